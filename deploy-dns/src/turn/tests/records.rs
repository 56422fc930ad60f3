//! Which records stand after a turn, and what is said of each.

use super::{
    model::Model,
    stage::{FORWARD, REVERSE, Stage, zone, zones},
};
use crate::{Matching, Providers, Zones};
use deploy_core::{Clock, Commit, DnsState, DnsStore, LeaseStore, Numbered};
use deploy_testkit::sample;
use jiff::SignedDuration;
use std::sync::Arc;

const SIX: &str = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";

#[tokio::test(start_paused = true)]
async fn a_machine_gets_its_addresses_at_its_name_and_its_name_at_its_addresses() {
    let mut stage = Stage::new().await;
    let key = stage.machine(1).await;
    stage.assign(key, &["192.0.2.7", "2001:db8::1"]).await;
    stage.turn().await;
    let expected = [
        format!("{SIX} PTR vps-100.example.net"),
        "7.2.0.192.in-addr.arpa PTR vps-100.example.net".to_owned(),
        "vps-100.example.net A 192.0.2.7".to_owned(),
        "vps-100.example.net AAAA 2001:db8::1".to_owned(),
    ];
    assert_eq!(stage.model.lines(), expected);
    let status = stage.status(key).await;
    assert!(status.entries.iter().all(|entry| entry.state == DnsState::Published && entry.ttl == 300));
    assert!(status.is_settled() && status.due.is_none(), "{status:?}");
    let (requests, changes) = stage.model.counts();
    assert_eq!((requests, changes), (8, 4), "one look and one change for each record");
    stage.assign(key, &["192.0.2.7", "2001:db8::1"]).await;
    stage.turn().await;
    assert_eq!(stage.model.counts(), (8, 4), "the same addresses are nothing new");
}

#[tokio::test(start_paused = true)]
async fn other_addresses_replace_those_before() {
    let mut stage = Stage::new().await;
    let key = stage.machine(1).await;
    stage.assign(key, &["192.0.2.7", "192.0.2.8"]).await;
    stage.turn().await;
    stage.assign(key, &["192.0.2.8", "192.0.2.9"]).await;
    stage.turn().await;
    let expected = [
        "8.2.0.192.in-addr.arpa PTR vps-100.example.net",
        "9.2.0.192.in-addr.arpa PTR vps-100.example.net",
        "vps-100.example.net A 192.0.2.8",
        "vps-100.example.net A 192.0.2.9",
    ];
    assert_eq!(stage.model.lines(), expected);
    assert_eq!(stage.status(key).await.entries.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn another_number_brings_another_name() {
    let mut stage = Stage::new().await;
    let key = stage.machine(1).await;
    stage.assign(key, &["192.0.2.7"]).await;
    stage.turn().await;
    let record = deploy_core::RecordStore::get(&stage.store, key).await.unwrap().unwrap();
    let lease = deploy_core::Lease { key, worker: sample::worker(1).id, epoch: 1 };
    let vmid = stage.store.renumber(&lease, record.numbered.vmid).await.unwrap();
    let numbered = Numbered::resolve(&record.spec, &record.external_ref, vmid).unwrap();
    stage.commit(key, Commit { numbered: Some(numbered), ..Commit::default() }).await;
    stage.turn().await;
    let expected = ["7.2.0.192.in-addr.arpa PTR vps-101.example.net", "vps-101.example.net A 192.0.2.7"];
    assert_eq!(stage.model.lines(), expected);
}

#[tokio::test(start_paused = true)]
async fn termination_takes_everything_of_ours_away_and_nothing_else() {
    let mut stage = Stage::new().await;
    let key = stage.machine(1).await;
    stage.assign(key, &["192.0.2.7"]).await;
    stage.turn().await;
    stage.model.put(FORWARD, "vps-100.example.net", "A", "198.51.100.1");
    stage.model.put(FORWARD, "vps-100.example.net", "TXT", "\"kept\"");
    stage.model.put(REVERSE, "7.2.0.192.in-addr.arpa", "PTR", "other.example.org.");
    stage.terminate(key).await;
    stage.turn().await;
    let expected = [
        "7.2.0.192.in-addr.arpa PTR other.example.org",
        "vps-100.example.net A 198.51.100.1",
        "vps-100.example.net TXT \"kept\"",
    ];
    assert_eq!(stage.model.lines(), expected);
    let status = stage.status(key).await;
    assert_eq!((status.entries, status.due), (vec![], None));
}

#[tokio::test(start_paused = true)]
async fn an_address_is_named_as_it_is_asked_for_and_as_the_machine_again() {
    let mut stage = Stage::new().await;
    let key = stage.machine(1).await;
    stage.assign(key, &["192.0.2.7"]).await;
    stage.turn().await;
    let address = sample::parsed("192.0.2.7");
    for (name, stands) in [
        (Some("mail.example.org"), "mail.example.org"),
        (Some("mx.example.org"), "mx.example.org"),
        (None, "vps-100.example.net"),
    ] {
        stage.store.set_ptr(key, address, name.map(sample::parsed)).await.unwrap();
        stage.turn().await;
        let pointer = format!("7.2.0.192.in-addr.arpa PTR {stands}");
        assert_eq!(stage.model.lines(), [pointer, "vps-100.example.net A 192.0.2.7".to_owned()]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_somebody_elses_is_a_conflict_until_it_is_free() {
    let mut stage = Stage::new().await;
    let key = stage.machine(1).await;
    for (kind, text) in [("A", "198.51.100.1"), ("AAAA", "2001:db8:9::9"), ("CNAME", "www.example.org.")] {
        stage.model.put(FORWARD, "vps-100.example.net", kind, text);
        stage.assign(key, &["192.0.2.7"]).await;
        stage.turn().await;
        let conflict = ("vps-100.example.net A 192.0.2.7".to_owned(), DnsState::Conflict);
        assert!(stage.states(key).await.contains(&conflict), "{kind}: {:?}", stage.states(key).await);
        let said = stage.error_of(key, "vps-100.example.net").await;
        let has = format!("vps-100.example.net is somebody else's: it has {kind} ");
        assert!(said.starts_with(&has), "{said}");
        assert!(
            stage.model.lines().contains(&"7.2.0.192.in-addr.arpa PTR vps-100.example.net".to_owned()),
            "the other zone's records are not held up"
        );
        stage.model.take_away("vps-100.example.net");
        let due = stage.status(key).await.due.expect("it is tried again");
        stage.pass(due.duration_since(stage.clock.now())).await;
        stage.turn().await;
        assert!(stage.model.lines().contains(&"vps-100.example.net A 192.0.2.7".to_owned()));
        stage.assign(key, &[]).await;
        stage.turn().await;
        assert_eq!(stage.model.lines(), Vec::<String>::new());
    }
}

#[tokio::test(start_paused = true)]
async fn an_address_that_somebody_else_named_is_a_conflict() {
    let mut stage = Stage::new().await;
    let key = stage.machine(1).await;
    stage.model.put(REVERSE, "7.2.0.192.in-addr.arpa", "PTR", "other.example.org");
    stage.assign(key, &["192.0.2.7"]).await;
    stage.turn().await;
    let expected = [
        ("vps-100.example.net A 192.0.2.7".to_owned(), DnsState::Published),
        ("7.2.0.192.in-addr.arpa PTR vps-100.example.net".to_owned(), DnsState::Conflict),
    ];
    let states = stage.states(key).await;
    assert!(expected.iter().all(|state| states.contains(state)), "{states:?}");
    stage.terminate(key).await;
    stage.turn().await;
    assert_eq!(stage.model.lines(), ["7.2.0.192.in-addr.arpa PTR other.example.org"]);
}

/// Who put it is known by what was written down before it was asked for, not by what it says.
#[tokio::test(start_paused = true)]
async fn a_record_that_stood_before_is_somebody_elses_also_where_it_says_the_same() {
    let mut stage = Stage::new().await;
    let key = stage.machine(1).await;
    stage.model.put(FORWARD, "vps-100.example.net", "A", "192.0.2.7");
    stage.assign(key, &["192.0.2.7"]).await;
    stage.turn().await;
    let foreign = ("vps-100.example.net A 192.0.2.7".to_owned(), DnsState::Foreign);
    assert!(stage.states(key).await.contains(&foreign), "{:?}", stage.states(key).await);
    stage.terminate(key).await;
    stage.turn().await;
    assert_eq!(stage.model.lines(), ["vps-100.example.net A 192.0.2.7"]);
}

#[tokio::test(start_paused = true)]
async fn a_name_of_two_machines_goes_to_one_after_the_other() {
    let mut stage = Stage::new().await;
    let (one, two) =
        (stage.machine_called(1, "www.example.net").await, stage.machine_called(2, "www.example.net").await);
    stage.assign(one, &["192.0.2.7"]).await;
    stage.turn().await;
    stage.assign(two, &["192.0.2.8"]).await;
    stage.turn().await;
    let said = stage.error_of(two, "www.example.net").await;
    assert_eq!(said, format!("www.example.net is still a name of machine {one}"));
    stage.terminate(one).await;
    stage.settle().await;
    let expected = ["8.2.0.192.in-addr.arpa PTR www.example.net", "www.example.net A 192.0.2.8"];
    assert_eq!(stage.model.lines(), expected);
}

/// The address rests for less long than its record needs to go: the record is the first machine's until it is gone.
#[tokio::test(start_paused = true)]
async fn the_same_record_of_the_next_machine_waits_for_the_end_of_the_first_ones() {
    let mut stage = Stage::new().await;
    let (one, two) =
        (stage.machine_called(1, "www.example.net").await, stage.machine_called(2, "www.example.net").await);
    stage.assign(one, &["192.0.2.7"]).await;
    stage.turn().await;
    let down = crate::DnsError::answered(deploy_core::ErrorClass::Failed, "not today");
    stage.model.set_weather(FORWARD, super::model::Weather::Error(down));
    stage.terminate(one).await;
    stage.turn().await;
    stage.assign(two, &["192.0.2.7"]).await;
    stage.turn().await;
    stage.model.set_weather(FORWARD, super::model::Weather::Fair);
    stage.settle().await;
    let expected = ["7.2.0.192.in-addr.arpa PTR www.example.net", "www.example.net A 192.0.2.7"];
    assert_eq!(stage.model.lines(), expected);
    let states = stage.states(two).await;
    assert!(states.iter().all(|(_, state)| *state == DnsState::Published), "{states:?}");
}

#[tokio::test(start_paused = true)]
async fn another_time_to_live_is_written_into_what_stands() {
    let mut stage = Stage::new().await;
    let key = stage.machine(1).await;
    stage.assign(key, &["192.0.2.7"]).await;
    stage.turn().await;
    assert_eq!(stage.model.ttls(), [300].into());
    let other = zones().into_iter().map(|zone| crate::Zone { ttl: 60, ..zone });
    stage.turns.zones = Arc::new(Zones::new(other, Matching::Longest));
    stage.store.dns_plan(stage.turns.zones.fingerprint()).await.unwrap();
    stage.turn().await;
    assert_eq!(stage.model.ttls(), [60].into());
    assert_eq!(stage.model.lines().len(), 2);
    let entries = stage.status(key).await.entries;
    assert!(entries.iter().all(|entry| entry.state == DnsState::Published && entry.ttl == 60));
}

#[tokio::test(start_paused = true)]
async fn a_zone_that_is_added_gets_the_records_and_one_that_is_taken_out_is_told() {
    let inner = "vps.example.net";
    let (one, two) = (Model::with(&[FORWARD, inner]), Model::with(&[FORWARD]));
    let providers = Providers::new().with(sample::parsed("ns1"), Arc::new(one.clone()), 1).with(
        sample::parsed("ns2"),
        Arc::new(two.clone()),
        1,
    );
    let all = [zone("ns1", FORWARD, 300), zone("ns1", inner, 300), zone("ns2", FORWARD, 300)];
    let mut stage = Stage::of(one.clone(), providers, Zones::new(all[..1].to_vec(), Matching::Longest)).await;
    let key = stage.machine_called(1, "a.vps.example.net").await;
    stage.assign(key, &["192.0.2.7"]).await;
    stage.turn().await;
    assert_eq!((one.lines().len(), two.lines().len()), (1, 0));
    for (matching, expected) in [(Matching::All, (2, 1)), (Matching::Longest, (1, 0))] {
        stage.turns.zones = Arc::new(Zones::new(all.to_vec(), matching));
        stage.store.dns_plan(stage.turns.zones.fingerprint()).await.unwrap();
        stage.turn().await;
        assert_eq!((one.lines().len(), two.lines().len()), expected, "{matching:?}");
    }
    assert_eq!(stage.status(key).await.entries[0].record.zone.as_str(), inner);
    stage.turns.providers = Providers::new().with(sample::parsed("ns2"), Arc::new(two.clone()), 1);
    stage.turns.zones = Arc::new(Zones::new([zone("ns2", FORWARD, 300)], Matching::Longest));
    stage.store.dns_plan(stage.turns.zones.fingerprint()).await.unwrap();
    stage.turn().await;
    assert_eq!(two.lines(), ["a.vps.example.net A 192.0.2.7"]);
    let entries = stage.status(key).await.entries;
    let left: Vec<_> = entries.iter().filter(|entry| entry.state == DnsState::Withdrawing).collect();
    assert_eq!(left.len(), 1);
    let said = left[0].last_error.as_deref().unwrap_or_default();
    assert!(said.starts_with("the DNS provider ns1 is not configured"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_thorough_turn_brings_back_what_was_taken_away_and_waits_for_no_delay() {
    let mut stage = Stage::new().await;
    let key = stage.machine(1).await;
    stage.assign(key, &["192.0.2.7"]).await;
    stage.turn().await;
    let before = stage.model.lines();
    stage.model.take_away("vps-100.example.net");
    stage.pass(SignedDuration::from_hours(1)).await;
    stage.turn().await;
    assert_ne!(stage.model.lines(), before, "nothing is due by itself");
    stage.store.refresh_dns(key).await.unwrap();
    stage.turn().await;
    assert_eq!(stage.model.lines(), before);
    let down = crate::DnsError::not_sent(deploy_core::ErrorClass::Unreachable, "nobody is there");
    for zone in [FORWARD, REVERSE] {
        stage.model.set_weather(zone, super::model::Weather::Error(down.clone()));
    }
    stage.model.take_away("vps-100.example.net");
    stage.store.refresh_dns(key).await.unwrap();
    let asked = stage.model.counts().0;
    stage.turn().await;
    assert_eq!(stage.model.counts().0, asked + 1, "it is not there for the second one either");
    assert!(stage.status(key).await.entries.iter().all(|entry| entry.last_error.is_some()));
    for zone in [FORWARD, REVERSE] {
        stage.model.set_weather(zone, super::model::Weather::Fair);
    }
    stage.store.refresh_dns(key).await.unwrap();
    stage.turn().await;
    assert_eq!(stage.model.lines(), before);
}
