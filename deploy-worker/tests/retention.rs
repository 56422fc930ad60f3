//! What is old is forgotten, step by step.
#![allow(clippy::unwrap_used)] // in tests also outside of test functions

use async_trait::async_trait;
use deploy_core::{
    Clock, Commit, LeaseStore, Leased, LogEvent, LogId, LogKeep, LogLine, LogPruned, LogRetention, NewRecord,
    RecordStore, StoreError, VmKey,
};
use deploy_testkit::{ManualClock, MemoryStore, sample};
use deploy_worker::{Pruned, RetentionPolicy, retention};
use jiff::SignedDuration;
use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

/// A store that counts its transactions, and fails in one of them.
struct Counted {
    store: MemoryStore,
    calls: AtomicUsize,
    fails_at: Option<usize>,
}

#[async_trait]
impl LogRetention for Counted {
    async fn prune_log(&self, keep: &LogKeep, after: LogId, limit: usize) -> Result<LogPruned, StoreError> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        if self.fails_at == Some(call) {
            return Err(StoreError::not_written("away"));
        }
        self.store.prune_log(keep, after, limit).await
    }
}

/// So many machines, ordered an hour apart, with two entries each from that time; none is terminated.
async fn store(machines: u32) -> (Counted, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::default());
    let store = MemoryStore::new(clock.clone());
    store.put_cluster(&sample::cluster(100, 999)).await.unwrap();
    for n in 1..=machines {
        store.create(&NewRecord { created_at: clock.now(), ..sample::order(n) }).await.unwrap();
        clock.advance(SignedDuration::from_hours(1));
    }
    let worker = sample::worker(1);
    store.heartbeat(&worker, SignedDuration::from_hours(1)).await.unwrap();
    for Leased { lease, record } in store.claim(worker.id, 1000).await.unwrap() {
        let (at, operation, step) = (record.created_at, record.operation, record.step);
        let line = LogLine { at, operation, step, event: LogEvent::Began };
        store.commit(&lease, Commit { log: Some(line), ..Commit::default() }).await.unwrap();
    }
    (Counted { store, calls: AtomicUsize::new(0), fails_at: None }, clock)
}

fn policy(hours: i64) -> RetentionPolicy {
    let log = SignedDuration::from_hours(hours);
    RetentionPolicy { log, of_living: NonZeroU32::new(1), batch: 10, ..RetentionPolicy::default() }
}

async fn entries(store: &MemoryStore) -> Vec<VmKey> {
    let log = store.events(LogId(0), 1000).await.unwrap();
    log.iter().map(|entry| entry.key).collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_old_goes_in_small_steps_with_pauses() {
    let (counted, clock) = store(25).await;
    let began = Instant::now();
    // The first 15 machines are older than ten hours, and the first entry of each may go.
    let pruned = retention(&counted, clock.now(), &policy(10)).await.unwrap();
    assert_eq!(pruned.log_entries, 15);
    let left = entries(&counted.store).await;
    assert_eq!(left.iter().filter(|key| **key == sample::key(15)).count(), 1);
    assert_eq!(left.iter().filter(|key| **key == sample::key(16)).count(), 2);
    assert_eq!(counted.calls.load(Ordering::SeqCst), 2);
    assert_eq!(began.elapsed(), Duration::from_millis(50));
    // Nothing is left to do.
    assert_eq!(retention(&counted, clock.now(), &policy(10)).await.unwrap(), Pruned::default());
}

#[tokio::test(start_paused = true)]
async fn machines_that_live_keep_their_log_unless_that_is_said() {
    let (counted, clock) = store(5).await;
    clock.advance(SignedDuration::from_hours(24 * 365));
    let pruned = retention(&counted, clock.now(), &RetentionPolicy::default()).await.unwrap();
    assert_eq!((pruned.log_entries, entries(&counted.store).await.len()), (0, 10));
    let pruned = retention(&counted, clock.now(), &policy(1)).await.unwrap();
    assert_eq!((pruned.log_entries, entries(&counted.store).await.len()), (5, 5));
}

#[tokio::test(start_paused = true)]
async fn an_error_ends_it_and_the_next_time_goes_on() {
    let (mut counted, clock) = store(30).await;
    counted.fails_at = Some(1);
    let error = retention(&counted, clock.now(), &policy(0)).await.unwrap_err();
    assert_eq!(error.message, "away");
    counted.fails_at = None;
    assert_eq!(retention(&counted, clock.now(), &policy(0)).await.unwrap().log_entries, 20);
    // Longer than there is time.
    let eternal = RetentionPolicy { log: SignedDuration::MAX, ..policy(0) };
    assert_eq!(retention(&counted, clock.now(), &eternal).await.unwrap(), Pruned::default());
}
