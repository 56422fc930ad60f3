//! What goes wrong with requests, and what follows for this record and for others.

use super::{
    model::{Model, Weather},
    stage::{FORWARD, LASTING, REVERSE, REVERSE6, Stage, zones},
};
use crate::{DnsError, Matching, Providers, Zones, turn::Ended};
use deploy_core::{Clock, DnsState, DnsStore, ErrorClass};
use deploy_testkit::sample;
use jiff::SignedDuration;
use std::sync::Arc;
use tokio::time::Instant;

fn published(name: &str, data: &str) -> (String, DnsState) {
    (format!("{name} {data}"), DnsState::Published)
}

#[tokio::test(start_paused = true)]
async fn a_zone_that_fails_does_not_hold_up_another_and_is_tried_ever_more_rarely() {
    let mut stage = Stage::new().await;
    let key = stage.machine(1).await;
    let refused = DnsError::answered(ErrorClass::Unauthorized, "the key may not");
    stage.model.set_weather(FORWARD, Weather::Error(refused));
    stage.assign(key, &["192.0.2.7"]).await;
    let mut pauses = Vec::new();
    for failures in 1..=8 {
        stage.turn().await;
        let states = stage.states(key).await;
        assert!(
            states.contains(&published("7.2.0.192.in-addr.arpa", "PTR vps-100.example.net")),
            "{states:?}"
        );
        let entries = stage.status(key).await.entries;
        let failed = entries.iter().find(|entry| entry.record.zone.as_str() == FORWARD).unwrap();
        assert_eq!((failed.state, failed.failures), (DnsState::Planned, failures));
        assert_eq!(failed.last_error.as_deref(), Some("the key may not"));
        let pause = failed.next_try.unwrap().duration_since(stage.clock.now());
        stage.pass(pause).await;
        pauses.push(pause);
    }
    assert!(pauses[0] >= SignedDuration::from_secs(10), "{pauses:?}");
    assert!(pauses[..5].is_sorted() && pauses[7] <= SignedDuration::from_secs(375), "{pauses:?}");
    stage.model.set_weather(FORWARD, Weather::Fair);
    stage.turn().await;
    let states = stage.states(key).await;
    assert!(states.contains(&published("vps-100.example.net", "A 192.0.2.7")), "{states:?}");
    assert_eq!(stage.status(key).await.entries[0].failures, 0);
}

/// Its records of this machine are not tried one by one, nor those of other machines; another provider's are.
#[tokio::test(start_paused = true)]
async fn a_provider_that_is_not_there_is_left_alone_for_a_while() {
    let (one, two) = (Model::with(&[FORWARD]), Model::with(&[REVERSE, REVERSE6]));
    let providers = Providers::new().with(sample::parsed("ns1"), Arc::new(one.clone()), 1).with(
        sample::parsed("ns2"),
        Arc::new(two.clone()),
        1,
    );
    let mut all = zones();
    all[1].provider = sample::parsed("ns2");
    all[2].provider = sample::parsed("ns2");
    let mut stage = Stage::of(one.clone(), providers, Zones::new(all, Matching::Longest)).await;
    let keys = [stage.machine(1).await, stage.machine(2).await];
    let down = DnsError::not_sent(ErrorClass::Unreachable, "nobody is there");
    one.set_weather(FORWARD, Weather::Error(down));
    stage.assign(keys[0], &["192.0.2.7", "192.0.2.8", "2001:db8::1"]).await;
    stage.assign(keys[1], &["192.0.2.9"]).await;
    stage.turn().await;
    assert_eq!(one.counts().0, 1, "asked once");
    assert_eq!(two.lines().len(), 4);
    one.set_weather(FORWARD, Weather::Fair);
    stage.settle().await;
    assert_eq!(one.lines().len(), 4);
    for key in keys {
        let states = stage.states(key).await;
        assert!(states.iter().all(|(_, state)| *state == DnsState::Published), "{states:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_says_how_long_to_wait_is_waited_for() {
    let mut stage = Stage::new().await;
    let key = stage.machine(1).await;
    let wait = SignedDuration::from_mins(7);
    let limited =
        DnsError { retry_after: Some(wait), ..DnsError::answered(ErrorClass::Busy, "too many requests") };
    stage.model.set_weather(FORWARD, Weather::Error(limited));
    stage.assign(key, &["192.0.2.7"]).await;
    // In the order of the zones the names of addresses come first, and are not limited here.
    stage.turn().await;
    let due = stage.status(key).await.due.unwrap();
    assert_eq!(due, stage.clock.now() + wait);
    stage.pass(wait - SignedDuration::from_secs(1)).await;
    let asked = stage.model.counts().0;
    stage.turn().await;
    assert_eq!(stage.model.counts().0, asked);
}

#[tokio::test(start_paused = true)]
async fn lost_answers_are_resolved_by_looking() {
    let mut stage = Stage::new().await;
    let key = stage.machine(1).await;
    for zone in [FORWARD, REVERSE] {
        stage.model.set_weather(zone, Weather::AnswersLost);
    }
    stage.assign(key, &["192.0.2.7"]).await;
    stage.settle().await;
    assert_eq!(stage.model.lines().len(), 2);
    assert_eq!(stage.model.counts().1, 2, "each was asked for once");
    let entries = stage.status(key).await.entries;
    assert!(entries.iter().all(|entry| entry.state == DnsState::Published && entry.in_doubt.is_none()));
    stage.terminate(key).await;
    stage.settle().await;
    assert_eq!(stage.model.lines(), Vec::<String>::new());
    assert_eq!(stage.model.counts().1, 4);
    assert_eq!(stage.status(key).await.entries, []);
}

/// A request that arrives after the record was taken away would bring it back: absence is believed once none can any more.
#[tokio::test(start_paused = true)]
async fn a_request_that_arrives_late_leaves_nothing_behind() {
    let mut stage = Stage::new().await;
    let key = stage.machine(1).await;
    stage.model.set_weather(REVERSE, Weather::Slow);
    stage.assign(key, &["192.0.2.7"]).await;
    stage.turn().await;
    stage.model.set_weather(REVERSE, Weather::Fair);
    stage.terminate(key).await;
    stage.pass(SignedDuration::from_secs(2)).await;
    stage.turn().await;
    assert_eq!(stage.model.lines(), Vec::<String>::new());
    let withdrawing = ("7.2.0.192.in-addr.arpa PTR vps-100.example.net".to_owned(), DnsState::Withdrawing);
    assert_eq!(stage.states(key).await, [withdrawing]);
    assert_eq!(stage.model.deliver(), 1);
    assert_ne!(stage.model.lines(), Vec::<String>::new());
    stage.settle().await;
    assert_eq!(stage.model.lines(), Vec::<String>::new());
    assert_eq!(stage.status(key).await.entries, []);
}

/// The other way round: a record that is wanted again is looked at once more, for its end may still arrive.
#[tokio::test(start_paused = true)]
async fn an_end_that_arrives_late_does_not_take_away_what_is_wanted_again() {
    let mut stage = Stage::new().await;
    let key = stage.machine(1).await;
    stage.assign(key, &["192.0.2.7"]).await;
    stage.turn().await;
    let wanted = stage.model.lines();
    stage.model.set_weather(REVERSE, Weather::Slow);
    stage.assign(key, &[]).await;
    stage.turn().await;
    stage.model.set_weather(REVERSE, Weather::Fair);
    stage.assign(key, &["192.0.2.7"]).await;
    stage.pass(SignedDuration::from_secs(2)).await;
    stage.turn().await;
    assert_eq!(stage.model.lines(), wanted);
    assert_eq!(stage.model.deliver(), 1);
    assert_ne!(stage.model.lines(), wanted);
    stage.settle().await;
    assert_eq!(stage.model.lines(), wanted);
}

/// It might arrive when somebody else has the machine. A thorough turn is owed as before.
#[tokio::test(start_paused = true)]
async fn a_turn_whose_time_is_half_over_sends_nothing_more() {
    let mut stage = Stage::new().await;
    let key = stage.machine(1).await;
    stage.assign(key, &["192.0.2.7"]).await;
    let mark = stage.store.refresh_dns(key).await.unwrap().unwrap();
    let claimed = stage.claim().await.remove(0);
    let begun = Instant::now();
    stage.pass(SignedDuration::try_from(LASTING / 2).unwrap()).await;
    assert!(matches!(stage.turns.take(claimed, begun).await, Err(Ended::Late)));
    assert_eq!(stage.model.counts(), (0, 0));
    assert!(stage.status(key).await.done < mark);
    stage.pass(SignedDuration::try_from(LASTING / 2).unwrap()).await;
    stage.turn().await;
    assert_eq!(stage.model.lines().len(), 2);
    assert!(stage.status(key).await.done >= mark);
}
