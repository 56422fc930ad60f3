//! The PostgreSQL store does what every store must, on a real server.
#![allow(clippy::unwrap_used)] // these are tests, also where a function helps them

use deploy_testkit::{ManualClock, conformance::StoreFactory};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use store_postgres::{PostgresStore, Settings, Sharing};
use throwaway_postgres::Database;

/// Each store in a schema of its own, of one database.
struct InSchema {
    database: Database<'static>,
    schemas: AtomicUsize,
}

impl InSchema {
    fn new() -> Self {
        let database = throwaway_postgres::shared().fresh_database().unwrap();
        Self { database, schemas: AtomicUsize::new(0) }
    }

    async fn open(&self, schema: usize, clock: Arc<ManualClock>) -> PostgresStore {
        let settings = Settings::parse(&self.database.url()).unwrap();
        let settings = settings.with_schema(&format!("deploy_{schema}")).unwrap().with_clock(clock);
        // The suite's workers take all there is.
        PostgresStore::connect(settings.with_sharing(Sharing::Greedy)).await.unwrap()
    }
}

#[async_trait::async_trait]
impl StoreFactory for InSchema {
    type Store = PostgresStore;

    async fn fresh(&self, clock: Arc<ManualClock>) -> PostgresStore {
        self.open(self.schemas.fetch_add(1, Ordering::Relaxed), clock).await
    }

    async fn reopen(&self, store: PostgresStore, clock: Arc<ManualClock>) -> PostgresStore {
        store.close().await;
        self.open(self.schemas.load(Ordering::Relaxed) - 1, clock).await
    }

    fn writes(&self, store: &PostgresStore) -> Option<u64> {
        Some(store.write_stats().writes)
    }
}

deploy_testkit::store_conformance!(InSchema::new());
