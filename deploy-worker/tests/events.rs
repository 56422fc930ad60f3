//! What happens to machines, as embedders hear of it.

#![allow(clippy::unwrap_used)] // also in what the tests share

use deploy_core::{Clock, Deployments, LogEntry, LogId, VmKey};
use deploy_testkit::{ManualClock, MemoryStore, SeededEntropy, sample};
use deploy_worker::EventStream;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, timeout};

struct Bench {
    deployments: Deployments,
    ordered: u32,
}

impl Bench {
    async fn new() -> Self {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(sample::epoch()));
        let store = Arc::new(MemoryStore::new(Arc::clone(&clock)));
        let deployments = Deployments::new(store, clock, Arc::new(SeededEntropy::new(7)));
        deployments.put_cluster(&sample::cluster(1000, 4999)).await.unwrap();
        Self { deployments, ordered: 0 }
    }

    /// Each order is an event.
    async fn order(&mut self) -> VmKey {
        self.ordered += 1;
        let reference = format!("order-{}", self.ordered).parse().unwrap();
        let created = self.deployments.create(reference, sample::spec(), serde_json::Value::Null).await;
        created.unwrap().record().key
    }

    fn events(&self, after: LogId) -> EventStream {
        EventStream::new(self.deployments.clone(), after)
    }
}

async fn none(events: &mut EventStream) {
    let quiet = timeout(Duration::from_secs(10), events.next()).await;
    assert!(quiet.is_err(), "{quiet:?}");
}

#[tokio::test(start_paused = true)]
async fn every_event_comes_once_and_in_order() {
    let mut bench = Bench::new().await;
    let mut events = bench.events(LogId::default());
    none(&mut events).await;
    // More than are read at once.
    let mut keys = Vec::new();
    for _ in 0..600 {
        keys.push(bench.order().await);
    }
    let mut heard = Vec::new();
    for _ in 0..600 {
        heard.push(events.next().await.unwrap());
    }
    assert_eq!(heard.iter().map(|entry| entry.key).collect::<Vec<_>>(), keys);
    assert!(heard.is_sorted_by(|one, next| one.id < next.id));
    assert_eq!(Some(events.cursor()), heard.last().map(|entry| entry.id));
    none(&mut events).await;

    // Whoever kept the cursor goes on there.
    let mut again = bench.events(heard[399].id);
    assert_eq!(again.cursor(), heard[399].id);
    assert_eq!(again.next().await.unwrap(), heard[400]);
}

#[tokio::test(start_paused = true)]
async fn it_looks_at_its_pace_and_at_once_when_the_bell_rings() {
    let mut bench = Bench::new().await;
    let mut events = bench.events(LogId::default()).every(Duration::from_secs(30));
    let bell = events.doorbell();
    none(&mut events).await;
    let ordered = Instant::now();
    let key = bench.order().await;
    assert_eq!(events.next().await.unwrap().key, key);
    assert_eq!(ordered.elapsed(), Duration::ZERO, "whoever asks anew looks first");

    let following = tokio::spawn(async move {
        let mut took: Vec<(LogEntry, Duration)> = Vec::new();
        for _ in 0..2 {
            let since = Instant::now();
            took.push((events.next().await.unwrap(), since.elapsed()));
        }
        took
    });
    tokio::time::sleep(Duration::from_secs(5)).await;
    let rung = bench.order().await;
    bell.ring(rung);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let silent = bench.order().await;
    let took = following.await.unwrap();
    let took: Vec<_> = took.into_iter().map(|(entry, took)| (entry.key, took.as_secs())).collect();
    assert_eq!(took, [(rung, 5), (silent, 30)]);
}

/// A bell that is rung while nobody waits is heard by the next wait.
#[tokio::test(start_paused = true)]
async fn dropping_a_wait_loses_no_event_and_no_ring() {
    let mut bench = Bench::new().await;
    let mut events = bench.events(LogId::default()).every(Duration::from_secs(3600));
    for millis in [0, 1, 700] {
        assert!(timeout(Duration::from_millis(millis), events.next()).await.is_err());
        let keys = [bench.order().await, bench.order().await];
        events.doorbell().wake();
        for key in keys {
            let heard = timeout(Duration::from_secs(1), events.next()).await;
            assert_eq!(heard.expect("it is there already").unwrap().key, key);
        }
    }
    let since = Instant::now();
    assert!(timeout(Duration::from_secs(2), events.next()).await.is_err());
    assert_eq!(since.elapsed(), Duration::from_secs(2));
}
