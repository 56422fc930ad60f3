//! A database for a test, and stores in it.
#![allow(dead_code)] // not every test needs all of it

use deploy_core::{Lease, LeaseStore, RecordStore, WorkerId};
use deploy_testkit::{ManualClock, sample};
use jiff::SignedDuration;
use std::sync::Arc;
use store_postgres::{PostgresStore, Settings, Sharing};
use throwaway_postgres::Database;

pub(crate) struct Place {
    pub(crate) database: Database<'static>,
    pub(crate) clock: Arc<ManualClock>,
}

impl Place {
    pub(crate) fn new() -> Self {
        let database = throwaway_postgres::shared().fresh_database().unwrap();
        Self { database, clock: Arc::new(ManualClock::default()) }
    }

    /// With the test's clock, and workers that take all there is.
    pub(crate) fn settings(&self) -> Settings {
        let settings = Settings::parse(&self.database.url()).unwrap();
        settings.with_clock(self.clock.clone()).with_sharing(Sharing::Greedy)
    }

    pub(crate) async fn open(&self) -> PostgresStore {
        PostgresStore::connect(self.settings()).await.unwrap()
    }

    /// A store with the sample cluster and a worker who lives for an hour.
    pub(crate) async fn with_cluster(&self) -> PostgresStore {
        let store = self.open().await;
        set_up(&store).await;
        store
    }
}

pub(crate) async fn set_up(store: &PostgresStore) {
    store.put_cluster(&sample::cluster(100, 9999)).await.unwrap();
    store.heartbeat(&sample::worker(1), SignedDuration::from_hours(1)).await.unwrap();
}

pub(crate) fn worker() -> WorkerId {
    sample::worker(1).id
}

/// Orders machines and leases them.
pub(crate) async fn leased(store: &PostgresStore, machines: std::ops::RangeInclusive<u32>) -> Vec<Lease> {
    for n in machines {
        store.create(&sample::order(n)).await.unwrap();
    }
    store.claim(worker(), 1000).await.unwrap().iter().map(|leased| leased.lease).collect()
}
