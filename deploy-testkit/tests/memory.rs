//! The memory store does what every store must.

use deploy_testkit::{ManualClock, MemoryStore, conformance::StoreFactory};
use std::sync::Arc;

struct InMemory;

#[async_trait::async_trait]
impl StoreFactory for InMemory {
    type Store = MemoryStore;

    async fn fresh(&self, clock: Arc<ManualClock>) -> MemoryStore {
        MemoryStore::new(clock)
    }

    async fn reopen(&self, store: MemoryStore, _clock: Arc<ManualClock>) -> MemoryStore {
        store
    }
}

deploy_testkit::store_conformance!(InMemory);
