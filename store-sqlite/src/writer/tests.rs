//! What only the inside can see: full disks, who shares a transaction.

use crate::{SqliteStore, failure::Failure};
use deploy_core::{CreateError, RecordStore, StoreError, StoreOutcome};
use deploy_testkit::{ManualClock, sample};
use std::sync::{Arc, mpsc};
use tempfile::TempDir;

async fn store(directory: &TempDir) -> SqliteStore {
    let path = directory.path().join("deploy.db");
    let store = SqliteStore::open(path, Arc::new(ManualClock::default())).await.unwrap();
    store.put_cluster(&sample::cluster(100, 9999)).await.unwrap();
    store
}

/// Lets the database grow to so many pages and no further, which is what a full disk is to it.
async fn limit_pages(store: &SqliteStore, pages: u32) {
    let limit = store.write::<_, StoreError, _>(move |tx| {
        let sql = format!("PRAGMA max_page_count = {pages}");
        Ok(tx.conn.query_row(&sql, [], |row| row.get::<_, i64>(0))?)
    });
    limit.await.unwrap();
}

#[tokio::test]
async fn a_full_disk_is_said_in_words_and_goes_on_when_there_is_room() {
    let directory = TempDir::new().unwrap();
    let store = store(&directory).await;
    limit_pages(&store, 60).await;
    let mut written = 0;
    let error = loop {
        match store.create(&sample::order(written + 1)).await {
            Ok(_) => written += 1,
            Err(CreateError::Store(error)) => break error,
            Err(other) => panic!("{other}"),
        }
        assert!(written < 1000, "the limit is not reached");
    };
    assert!(error.message.contains("the disk is full") && error.message.contains("deploy.db"), "{error}");
    assert_eq!(error.outcome, StoreOutcome::NotWritten);
    assert_eq!(store.get(sample::key(written + 1)).await.unwrap(), None);
    limit_pages(&store, 1_000_000).await;
    let created = store.create(&sample::order(written + 1)).await.unwrap();
    assert_eq!(created.record().numbered.vmid, sample::vmid(100 + written), "the failed try took no number");
}

#[tokio::test]
async fn what_waits_while_the_thread_works_is_one_transaction() {
    let directory = TempDir::new().unwrap();
    let store = store(&directory).await;
    let (release, held) = mpsc::channel::<()>();
    let (working, works) = tokio::sync::oneshot::channel();
    let blocker = store.clone();
    let holding = tokio::spawn(async move {
        blocker
            .write::<_, StoreError, _>(move |_| {
                let _ = working.send(());
                held.recv().ok();
                Ok(())
            })
            .await
    });
    works.await.unwrap();
    let before = store.write_stats();
    let mut orders = tokio::task::JoinSet::new();
    for n in 1..=super::thread::BATCH {
        let store = store.clone();
        orders.spawn(async move { store.create(&sample::order(u32::try_from(n).unwrap())).await });
    }
    while store.writer().waiting() < super::thread::BATCH {
        tokio::task::yield_now().await;
    }
    release.send(()).unwrap();
    holding.await.unwrap().unwrap();
    assert!(orders.join_all().await.iter().all(Result::is_ok));
    let after = store.write_stats();
    assert_eq!(after.writes - before.writes, 1 + super::thread::BATCH as u64);
    assert_eq!(after.transactions - before.transactions, 2, "the blocker's and the one they share");
}

#[tokio::test]
async fn one_that_fails_is_undone_alone() {
    let directory = TempDir::new().unwrap();
    let store = store(&directory).await;
    let failing = store.write::<(), StoreError, _>(|tx| {
        tx.conn.execute("DELETE FROM cluster", [])?;
        Err(Failure::Refused(StoreError::not_written("on purpose")))
    });
    let order = sample::order(1);
    let (failed, created) = tokio::join!(failing, store.create(&order));
    assert_eq!(failed, Err(StoreError::not_written("on purpose")));
    created.unwrap();
}
