use rusqlite::Connection;
use std::path::Path;

/// Copies the one machine of an SQLite store so many times: all of them rest as it does. Nobody else has the store open.
///
/// # Panics
/// Where that fails; the file is of no use then.
pub fn settle_copies(path: &Path, count: u32) {
    copy(path, count).expect("copies");
}

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
