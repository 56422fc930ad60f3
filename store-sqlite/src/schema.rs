//! The database's form: its application id, its version, and the migrations that lead to it.

use crate::failure::words;
use crate::open::OpenError;
use rusqlite::Connection;
use std::path::Path;

/// Says in the file's header whose database it is: "pvdp".
pub(crate) const APPLICATION_ID: i64 = 0x7076_6470;

/// The migrations, in order; the n-th leads to version n. Only ever appended to.
const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/0001_first.sql"),
    include_str!("../migrations/0002_who_delivers.sql"),
    include_str!("../migrations/0003_jobs_traffic_locks.sql"),
    include_str!("../migrations/0004_dns.sql"),
    include_str!("../migrations/0005_life.sql"),
];

/// The version that this program reads and writes.
pub(crate) fn known_version() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// Brings the database to the known version, all migrations in one transaction.
pub(crate) fn migrate(conn: &Connection, path: &Path) -> Result<(), OpenError> {
    let database = |error: &rusqlite::Error| OpenError::Database(words(error, path));
    // Also proves that the file can be written, before anybody relies on it.
    conn.execute_batch("BEGIN IMMEDIATE").map_err(|e| database(&e))?;
    let migrated = bring_up(conn);
    match migrated.and_then(|()| conn.execute_batch("COMMIT")) {
        Ok(()) => Ok(()),
        Err(error) => {
            // A full disk has rolled back already; then this one fails, and there is nothing left to undo.
            let _ = conn.execute_batch("ROLLBACK");
            Err(database(&error))
        }
    }
}

/// Refuses a database that is not ours to touch.
pub(crate) fn recognise(conn: &Connection, path: &Path) -> Result<(), OpenError> {
    let pragma = |sql: &str| {
        conn.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(|e| OpenError::Database(words(&e, path)))
    };
    let application = pragma("PRAGMA application_id")?;
    let version = pragma("PRAGMA user_version")?;
    let tables = pragma("SELECT count(*) FROM sqlite_master")?;
    let new = application == 0 && version == 0 && tables == 0;
    if application != APPLICATION_ID && !new {
        return Err(OpenError::Foreign { path: path.to_owned(), application_id: application });
    }
    if version > known_version() {
        return Err(OpenError::TooNew { path: path.to_owned(), found: version, known: known_version() });
    }
    Ok(())
}

fn bring_up(conn: &Connection) -> rusqlite::Result<()> {
    let version: i64 = conn.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let pending = MIGRATIONS.iter().skip(usize::try_from(version).unwrap_or(0));
    for migration in pending {
        conn.execute_batch(migration)?;
    }
    conn.execute_batch(&format!(
        "PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {}",
        known_version()
    ))
}
