//! On SQLite.

use crate::{DUE, SETTLED};
use benches::Fleet;
use deploy_core::Commit;
use deploy_testkit::{ManualClock, sample};
use std::{path::Path, sync::Arc};
use store_sqlite::SqliteStore;

pub(crate) async fn run(deployment: &[Commit]) {
    let directory = tempfile::tempdir().expect("a temporary folder");
    let none = fleet(&directory.path().join("none.db"), deployment, 0).await;
    let many = fleet(&directory.path().join("many.db"), deployment, SETTLED).await;
    crate::compare("SQLite", &none, &many, || ()).await;
}

/// A store with one machine that was deployed, so many copies of it, and those that are due.
async fn fleet(path: &Path, deployment: &[Commit], settled: u32) -> Fleet<SqliteStore> {
    let open = async || SqliteStore::open(path, Arc::new(ManualClock::default())).await.expect("a store");
    let mut fleet = Fleet::new(open().await, sample::spec()).await;
    let first = fleet.lease(1).await;
    fleet.commit_all(vec![(first[0], deployment.to_vec())]).await;
    fleet.release(&first).await;
    fleet.store().close().await;
    benches::settle_copies(path, settled);
    let mut reopened = fleet.reopened(open().await).await;
    reopened.order(DUE).await;
    reopened
}
