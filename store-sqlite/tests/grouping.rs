//! Group commit: what waits at one moment is one transaction.
#![allow(clippy::unwrap_used)] // these are tests, also where a function helps them

use deploy_core::{Commit, LeaseStore, RecordStore};
use deploy_testkit::{ManualClock, sample};
use jiff::SignedDuration;
use std::sync::Arc;
use store_sqlite::{SqliteStore, WriteStats};
use tempfile::TempDir;

async fn store(directory: &TempDir) -> SqliteStore {
    let path = directory.path().join("deploy.db");
    let store = SqliteStore::open(path, Arc::new(ManualClock::default())).await.unwrap();
    store.put_cluster(&sample::cluster(100, 9999)).await.unwrap();
    store.heartbeat(&sample::worker(1), SignedDuration::from_mins(1)).await.unwrap();
    store
}

#[tokio::test]
async fn a_write_on_its_own_is_a_transaction_on_its_own() {
    let directory = TempDir::new().unwrap();
    let store = store(&directory).await;
    for n in 1..=5 {
        store.create(&sample::order(n)).await.unwrap();
    }
    assert_eq!(store.write_stats(), WriteStats { transactions: 7, writes: 7 });
}

#[tokio::test]
async fn writes_that_wait_together_share_a_transaction() {
    let directory = TempDir::new().unwrap();
    let store = store(&directory).await;
    for n in 1..=100 {
        store.create(&sample::order(n)).await.unwrap();
    }
    let leased = store.claim(sample::worker(1).id, 100).await.unwrap();
    let before = store.write_stats();
    let mut commits = tokio::task::JoinSet::new();
    for nth in 0..20 {
        for lease in leased.iter().map(|leased| leased.lease) {
            let store = store.clone();
            let commit = Commit { failures: Some(nth), ..Commit::default() };
            commits.spawn(async move { store.commit(&lease, commit).await });
        }
    }
    assert!(commits.join_all().await.iter().all(Result::is_ok));
    let after = store.write_stats();
    assert_eq!(after.writes - before.writes, 2000);
    // 2,000 in groups of at most 64 are at least 32; the thread may begin with what is there when it looks.
    let transactions = after.transactions - before.transactions;
    assert!((32..=400).contains(&transactions), "{transactions} transactions");
}
