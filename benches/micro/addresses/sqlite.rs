//! On SQLite.

use super::{Filled, Filling, Site};
use deploy_testkit::ManualClock;
use rusqlite::{Connection, params};
use std::{path::Path, sync::Arc};
use store_sqlite::SqliteStore;
use tempfile::TempDir;

/// A pool of its own in a file of its own, which goes with the folder.
pub(crate) async fn site(filling: &Filling) -> (TempDir, Site<SqliteStore>) {
    let directory = folder();
    let path = directory.path().join("pools.db");
    let store = SqliteStore::open(&path, Arc::new(ManualClock::default())).await.expect("a store");
    let site = Site::new(store, filling).await;
    let filled = filling.filled();
    fill(&path, &filled).expect("a full pool");
    site.check(&filled).await;
    (directory, site)
}

/// A folder in memory where the system has one: a disk would be all that is seen.
fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a temporary folder")
}

fn fill(path: &Path, filled: &Filled) -> rusqlite::Result<()> {
    let mut conn = Connection::open(path)?;
    let transaction = conn.transaction()?;
    let (pool, cluster) = (filled.pool.name.as_str(), filled.pool.cluster.as_str());
    transaction.execute("DELETE FROM free_range", [])?;
    {
        let mut insert = transaction
            .prepare("INSERT INTO address (cluster, address, pool, vm, nic) VALUES (?, ?, ?, ?, 0)")?;
        for (number, holder) in filled.held() {
            insert.execute(params![cluster, number.to_be_bytes(), pool, holder.to_string()])?;
        }
        let mut insert =
            transaction.prepare("INSERT INTO free_range (pool, first, last) VALUES (?, ?, ?)")?;
        for span in &filled.free {
            insert.execute(params![pool, span.first.to_be_bytes(), span.last.to_be_bytes()])?;
        }
    }
    transaction.commit()?;
    conn.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
}
