//! Every point at which a worker can die or stand still.
//!
//! A machine's records go through a life: published, an address named otherwise, another address, terminated. In each part
//! of it the turn is ended at every point where it waits for anything; what was under way then never arrives, arrives before
//! another worker looks, or while that one is at work. The other one goes on, and in the end exactly the wanted records
//! stand, beside those of others.

use super::stage::{FORWARD, REVERSE, Stage};
use crate::turn::Ended;
use deploy_core::{Clock, DnsState, DnsStore, VmKey};
use deploy_testkit::sample;
use futures_util::poll;
use jiff::SignedDuration;
use std::{collections::BTreeSet, future::Future, pin::Pin, task::Poll};
use tokio::time::Instant;

/// What happens to the machine, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Published,
    Named,
    Moved,
    /// Back to the addresses before.
    MovedBack,
    Terminated,
}

const PARTS: [Part; 5] = [Part::Published, Part::Named, Part::Moved, Part::MovedBack, Part::Terminated];

/// When a request arrives that was under way when its worker ended.
#[derive(Debug, Clone, Copy)]
enum Arrives {
    Never,
    BeforeTheNext,
    /// When the next worker has looked and done what it found to do.
    AfterTheNext,
}

/// How a worker ends.
#[derive(Debug, Clone, Copy)]
enum Ends {
    /// It is dropped.
    Dies,
    /// It goes on where it was when another one has finished.
    Wakes,
}

impl Part {
    async fn begin(self, stage: &Stage, key: VmKey) {
        match self {
            Self::Published | Self::MovedBack => stage.assign(key, &["192.0.2.7", "192.0.2.8"]).await,
            Self::Named => {
                let name = Some(sample::parsed("mail.example.org"));
                stage.store.set_ptr(key, sample::parsed("192.0.2.7"), name).await.unwrap();
            }
            Self::Moved => stage.assign(key, &["192.0.2.7", "192.0.2.9"]).await,
            Self::Terminated => {
                // Also in the very sets of ours.
                stage.model.put(FORWARD, "vps-100.example.net", "A", "198.51.100.7");
                stage.model.put(REVERSE, "9.2.0.192.in-addr.arpa", "PTR", "other.example.org");
                stage.terminate(key).await;
            }
        }
    }

    /// What stands afterwards, of ours and of others.
    fn expected(self) -> Vec<String> {
        let others = ["vps-100.example.net TXT \"kept\"", "www.example.net A 198.51.100.9"];
        let named = "7.2.0.192.in-addr.arpa PTR mail.example.org";
        let ours: &[&str] = match self {
            Self::Published => &[
                "7.2.0.192.in-addr.arpa PTR vps-100.example.net",
                "8.2.0.192.in-addr.arpa PTR vps-100.example.net",
                "vps-100.example.net A 192.0.2.7",
                "vps-100.example.net A 192.0.2.8",
            ],
            Self::Named | Self::MovedBack => &[
                named,
                "8.2.0.192.in-addr.arpa PTR vps-100.example.net",
                "vps-100.example.net A 192.0.2.7",
                "vps-100.example.net A 192.0.2.8",
            ],
            Self::Moved => &[
                named,
                "9.2.0.192.in-addr.arpa PTR vps-100.example.net",
                "vps-100.example.net A 192.0.2.7",
                "vps-100.example.net A 192.0.2.9",
            ],
            Self::Terminated => {
                &["9.2.0.192.in-addr.arpa PTR other.example.org", "vps-100.example.net A 198.51.100.7"]
            }
        };
        let mut lines: Vec<String> = ours.iter().chain(&others).map(ToString::to_string).collect();
        lines.sort();
        lines
    }
}

type TurnOf<'a> = Pin<Box<dyn Future<Output = Result<(), Ended>> + 'a>>;

/// Polls a turn so often, or to its end.
async fn polled(turn: &mut TurnOf<'_>, times: usize) -> Poll<Result<(), Ended>> {
    for _ in 0..times {
        if let Poll::Ready(ended) = poll!(turn.as_mut()) {
            return Poll::Ready(ended);
        }
    }
    Poll::Pending
}

async fn begun() -> (Stage, VmKey) {
    let mut stage = Stage::new().await;
    // Longer than claims last, so that requests may arrive when another worker has the machine.
    stage.turns.policy.late_arrival = SignedDuration::from_mins(10);
    stage.model.put(FORWARD, "www.example.net", "A", "198.51.100.9");
    stage.model.put(FORWARD, "vps-100.example.net", "TXT", "\"kept\"");
    let key = stage.machine(1).await;
    (stage, key)
}

/// Plays the life with one turn ended at a point; says whether the turn had such a point. What happens next happens when all
/// has come to rest, or, where `hurries` names it, at once.
async fn play(ended_in: Part, point: usize, arrives: Arrives, ends: Ends, hurries: Option<Part>) -> bool {
    let case = format!("{ended_in:?}, point {point}, {arrives:?}, {ends:?}, then {hurries:?} at once");
    let (stage, key) = begun().await;
    let mut had_point = true;
    for part in PARTS {
        if hurries.is_some_and(|next| ended_in < part && part < next) {
            continue;
        }
        if hurries != Some(part) {
            part.begin(&stage, key).await;
        }
        if part == ended_in {
            let claimed = stage.claim().await.remove(0);
            let mut turn: TurnOf<'_> = Box::pin(stage.turns.take(claimed, Instant::now()));
            had_point = polled(&mut turn, point).await.is_pending();
            if let Some(next) = hurries {
                next.begin(&stage, key).await;
            }
            match ends {
                Ends::Dies => {
                    drop(turn);
                    go_on(&stage, arrives).await;
                }
                Ends::Wakes => {
                    go_on(&stage, arrives).await;
                    if had_point {
                        // Whatever it still does, it is not taken for the one that has the machine.
                        let _ = turn.await;
                    }
                }
            }
        }
        stage.settle().await;
        if part == ended_in && hurries.is_some() {
            continue;
        }
        assert_eq!(stage.model.lines(), part.expected(), "{case}: after {part:?}");
        let states = stage.states(key).await;
        assert!(states.iter().all(|(_, state)| *state == DnsState::Published), "{case}: {states:?}");
    }
    assert_eq!(stage.status(key).await.entries, [], "{case}");
    had_point
}

/// Another worker goes on when the claim's time is over, or at once where the turn had ended.
async fn go_on(stage: &Stage, arrives: Arrives) {
    if matches!(arrives, Arrives::BeforeTheNext) {
        stage.model.deliver();
    }
    if let Some(at) = stage.store.next_dns_due().await.unwrap() {
        let wait = at.duration_since(stage.clock.now()).max(SignedDuration::ZERO);
        stage.pass(wait).await;
        stage.turn().await;
    }
    if matches!(arrives, Arrives::AfterTheNext) {
        stage.model.deliver();
    }
}

async fn enumerate(arrives: &[Arrives], ends: Ends) -> usize {
    let mut points = 0;
    for part in PARTS {
        let next = PARTS.into_iter().find(|next| *next > part);
        let hurries = BTreeSet::from([None, next, next.map(|_| Part::Terminated)]);
        for hurries in hurries {
            for arrives in arrives {
                let mut point = 0;
                while play(part, point, *arrives, ends, hurries).await {
                    point += 1;
                    points += 1;
                }
                assert!(point > 10, "{part:?} has {point} points");
            }
        }
    }
    points
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_dies_at_any_point_leaves_what_another_one_can_finish() {
    let arrives = [Arrives::Never, Arrives::BeforeTheNext, Arrives::AfterTheNext];
    let points = enumerate(&arrives, Ends::Dies).await;
    assert!(points > 1000, "only {points} points");
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_wakes_at_any_point_does_no_harm() {
    let points = enumerate(&[Arrives::BeforeTheNext], Ends::Wakes).await;
    assert!(points > 400, "only {points} points");
}
