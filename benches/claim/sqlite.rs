//! On SQLite.

use crate::{DUE, SETTLED};
use benches::Fleet;
use deploy_core::Commit;
use deploy_testkit::{ManualClock, sample};
use rusqlite::Connection;
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
    copy(path, settled).expect("copies");
    let mut reopened = fleet.reopened(open().await).await;
    reopened.order(DUE).await;
    reopened
}

/// Copies the one machine. Nobody else is there, and if it fails the file is thrown away.
fn copy(path: &Path, count: u32) -> rusqlite::Result<()> {
    let conn = Connection::open(path)?;
    conn.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -1000000;")?;
    let columns = columns(&conn)?;
    let values: Vec<&str> = columns
        .iter()
        .map(|column| match column.as_str() {
            "key" => {
                "lower(printf('%s-%s-4%s-8%s-%s', hex(randomblob(4)), hex(randomblob(2)),
                substr(hex(randomblob(2)), 2), substr(hex(randomblob(2)), 2), hex(randomblob(6))))"
            }
            "external_ref" => "'settled-' || n",
            "vmid" => "1000000 + n",
            other => other,
        })
        .collect();
    conn.execute_batch(&format!(
        "WITH RECURSIVE numbers (n) AS (SELECT 1 WHERE {count} > 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})
         INSERT INTO vm ({}) SELECT {} FROM numbers CROSS JOIN vm WHERE vm.id = 1;
         INSERT INTO vmid_reservation (cluster, vmid, vm) SELECT cluster, vmid, key FROM vm WHERE id > 1;
         INSERT INTO deploy_log (vm, at, operation, step, event, last_at)
             SELECT vm.key, at, line.operation, line.step, event, last_at FROM vm
             CROSS JOIN (SELECT * FROM deploy_log ORDER BY id DESC LIMIT 1) AS line WHERE vm.id > 1;
         ANALYZE;",
        columns.join(", "),
        values.join(", "),
    ))
}

/// All that are not numbered by the database itself.
fn columns(conn: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = conn.prepare("SELECT name FROM pragma_table_info('vm') WHERE name <> 'id'")?;
    statement.query_map([], |row| row.get(0))?.collect()
}
