//! The SQLite store does what every store must.
#![allow(clippy::unwrap_used)] // these are tests, also where a function helps them

use deploy_testkit::{ManualClock, conformance::StoreFactory};
use std::{
    path::Path,
    sync::{Arc, Mutex},
};
use store_sqlite::SqliteStore;
use tempfile::TempDir;

/// Each store in a folder of its own.
#[derive(Default)]
struct InFile {
    directories: Mutex<Vec<TempDir>>,
}

async fn open(path: &Path, clock: Arc<ManualClock>) -> SqliteStore {
    SqliteStore::open(path, clock).await.unwrap()
}

#[async_trait::async_trait]
impl StoreFactory for InFile {
    type Store = SqliteStore;

    async fn fresh(&self, clock: Arc<ManualClock>) -> SqliteStore {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("deploy.db");
        self.directories.lock().unwrap().push(directory);
        open(&path, clock).await
    }

    async fn reopen(&self, store: SqliteStore, clock: Arc<ManualClock>) -> SqliteStore {
        store.close().await;
        open(store.path(), clock).await
    }

    fn writes(&self, store: &SqliteStore) -> Option<u64> {
        Some(store.write_stats().writes)
    }
}

deploy_testkit::store_conformance!(InFile::default());
