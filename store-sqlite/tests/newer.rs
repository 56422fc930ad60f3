//! Records that a newer program wrote: refused by name, left untouched, in nobody's way.
#![allow(clippy::unwrap_used)] // these are tests, also where a function helps them

use deploy_core::{Command, CommandId, LeaseStore, ListQuery, RecordStore, SPEC_VERSION};
use deploy_testkit::{ManualClock, sample};
use jiff::SignedDuration;
use rusqlite::Connection;
use std::{path::PathBuf, sync::Arc};
use store_sqlite::SqliteStore;
use tempfile::TempDir;

struct Bench {
    _directory: TempDir,
    path: PathBuf,
    clock: Arc<ManualClock>,
}

impl Bench {
    /// A file with three orders, the first of which was changed by `sql` as a newer program might.
    async fn with(sql: &str) -> (Self, SqliteStore) {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("deploy.db");
        let bench = Self { _directory: directory, path, clock: Arc::new(ManualClock::default()) };
        let store = bench.open().await;
        store.put_cluster(&sample::cluster(100, 199)).await.unwrap();
        for n in 1..=3 {
            store.create(&sample::order(n)).await.unwrap();
        }
        store.close().await;
        let newer = Connection::open(&bench.path).unwrap();
        assert_eq!(newer.execute(sql, [sample::key(1).to_string()]).unwrap(), 1);
        drop(newer);
        let store = bench.open().await;
        store.heartbeat(&sample::worker(1), SignedDuration::from_mins(1)).await.unwrap();
        (bench, store)
    }

    async fn open(&self) -> SqliteStore {
        SqliteStore::open(&self.path, self.clock.clone()).await.unwrap()
    }

    /// The first order's row, all of it.
    fn row(&self) -> Vec<rusqlite::types::Value> {
        let conn = Connection::open(&self.path).unwrap();
        let mut statement = conn.prepare("SELECT * FROM vm WHERE key = ?").unwrap();
        let columns = statement.column_count();
        statement
            .query_row([sample::key(1).to_string()], |row| (0..columns).map(|n| row.get(n)).collect())
            .unwrap()
    }
}

async fn expect_passed_over(bench: Bench, store: SqliteStore, says: &[&str]) {
    let before = bench.row();
    let named = |what: String| {
        assert!(says.iter().all(|word| what.contains(word)), "{what:?} says {says:?}");
        assert!(what.contains(&sample::key(1).to_string()), "it names the machine: {what}");
    };
    named(store.get(sample::key(1)).await.unwrap_err().to_string());
    named(store.by_reference(&sample::order(1).external_ref).await.unwrap_err().to_string());
    let id = CommandId(sample::key(9).0);
    named(store.command(sample::key(1), id, Command::Terminate).await.unwrap_err().to_string());
    named(store.create(&sample::order(1)).await.unwrap_err().to_string());

    let listed = store.list(&ListQuery::default()).await.unwrap();
    assert_eq!(listed.iter().map(|record| record.key).collect::<Vec<_>>(), [2, 3].map(sample::key));
    let leased = store.claim(sample::worker(1).id, 1).await.unwrap();
    assert_eq!(leased[0].lease.key, sample::key(2), "the first in line is passed over");
    assert_eq!(store.claim(sample::worker(1).id, 9).await.unwrap()[0].lease.key, sample::key(3));
    assert_eq!(store.next_due().await.unwrap(), None, "a worker need not wake up for it");
    store.sweep().await.unwrap();
    assert_eq!(bench.row(), before, "it is left untouched");
}

#[tokio::test]
async fn a_newer_form_of_order_is_refused_by_name() {
    let newer = SPEC_VERSION + 1;
    let (bench, store) =
        Bench::with(&format!("UPDATE vm SET spec_version = {newer}, spec = '{{\"gpu\": 2}}' WHERE key = ?"))
            .await;
    let (newer, known) = (format!("version {newer}"), format!("version {SPEC_VERSION}"));
    expect_passed_over(bench, store, &["order-1", &newer, &known, "update the program"]).await;
}

#[tokio::test]
async fn an_unknown_step_is_refused_by_name() {
    let (bench, store) = Bench::with("UPDATE vm SET step = 'set_gpu' WHERE key = ?").await;
    expect_passed_over(bench, store, &["column step", "set_gpu"]).await;
}
