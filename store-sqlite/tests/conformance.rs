//! The SQLite store does what every store must.
#![allow(clippy::unwrap_used)] // these are tests, also where a function helps them

use deploy_testkit::{ManualClock, conformance::StoreFactory};
use std::sync::Arc;
use store_sqlite::SqliteStore;
use tempfile::TempDir;

struct InFile {
    directory: TempDir,
}

impl InFile {
    fn new() -> Self {
        Self { directory: TempDir::new().unwrap() }
    }

    async fn open(&self, clock: Arc<ManualClock>) -> SqliteStore {
        SqliteStore::open(self.directory.path().join("deploy.db"), clock).await.unwrap()
    }
}

#[async_trait::async_trait]
impl StoreFactory for InFile {
    type Store = SqliteStore;

    async fn fresh(&self, clock: Arc<ManualClock>) -> SqliteStore {
        self.open(clock).await
    }

    async fn reopen(&self, store: SqliteStore, clock: Arc<ManualClock>) -> SqliteStore {
        store.close().await;
        self.open(clock).await
    }
}

deploy_testkit::store_conformance!(InFile::new());
