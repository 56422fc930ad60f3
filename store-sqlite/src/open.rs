//! Opening the database file: whose it is, who else has it, and how the connections are set.

use crate::{
    failure::words,
    lock::{LockFile, LockRefused},
    schema,
};
use deploy_core::SPEC_VERSION;
use rusqlite::{Connection, OpenFlags, config::DbConfig};
use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

/// Nobody else writes, so this only covers a person with the sqlite3 shell or a backup tool.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
const CACHED_STATEMENTS: usize = 64;

/// The store could not be opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process (or another store of this one) has the file.
    #[error(
        "{} is in use{}: only one process can use an SQLite store (lock file {}). Stop the other one, or use PostgreSQL \
         where several shall work on the same machines",
        path.display(), by(holder), lock.display()
    )]
    InUse {
        /// The database.
        path: PathBuf,
        /// The lock file.
        lock: PathBuf,
        /// What the other process wrote about itself; may be empty.
        holder: String,
    },
    /// It was written by a newer version of this program.
    #[error(
        "{} has schema version {found}, this program knows up to version {known}: update the program, or restore the \
         backup made before the other one was updated",
        path.display()
    )]
    TooNew {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// It is another program's database.
    #[error(
        "{} is another program's SQLite database (application_id {application_id}); give this store a file of its own",
        path.display()
    )]
    Foreign {
        /// The database.
        path: PathBuf,
        /// The id in its header.
        application_id: i64,
    },
    /// The path cannot hold a database.
    #[error("{} cannot be opened: {reason}", path.display())]
    Path {
        /// The path as it was given.
        path: PathBuf,
        /// Why, in words.
        reason: String,
    },
    /// SQLite could not do it: not a database, damaged, read-only, disk full.
    #[error("{0}")]
    Database(String),
}

fn by(holder: &str) -> String {
    if holder.is_empty() { String::new() } else { format!(" by {holder}") }
}

/// An open database: the right to it, and its one writing connection.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) path: PathBuf,
    pub(crate) writer: Connection,
    pub(crate) lock: LockFile,
}

/// Opens or creates the database at `path`. Blocks.
pub(crate) fn open(path: &Path) -> Result<Opened, OpenError> {
    let path = resolve(path)?;
    let lock = LockFile::take(&path).map_err(|refused| match refused {
        LockRefused::Held { lock, holder } => OpenError::InUse { path: path.clone(), lock, holder },
        LockRefused::Io(lock, error) => OpenError::Path {
            path: path.clone(),
            reason: format!("its lock file {}: {error}", lock.display()),
        },
    })?;
    let writer = connect(&path).map_err(|error| OpenError::Database(words(&error, &path)))?;
    schema::recognise(&writer, &path)?;
    write_ahead(&writer, &path)?;
    schema::migrate(&writer, &path)?;
    warn_of_newer_orders(&writer, &path)?;
    release_leases(&writer, &path)?;
    Ok(Opened { path, writer, lock })
}

/// Whoever held leases and claims when the file was last open is gone: the lock file lets one process in. So a restart after a crash
/// goes on at once instead of waiting for the dead worker's time to be over.
fn release_leases(writer: &Connection, path: &Path) -> Result<(), OpenError> {
    writer
        .execute_batch(
            "BEGIN IMMEDIATE;
             UPDATE vm SET owner = NULL WHERE owner IS NOT NULL;
             UPDATE worker SET lease_until = 0;
             UPDATE dns_machine SET claimed_until = NULL WHERE claimed_until IS NOT NULL;
             COMMIT;",
        )
        .map_err(|error| OpenError::Database(words(&error, path)))
}

/// The one name of the file, so that two ways to write its path meet at one lock file.
fn resolve(path: &Path) -> Result<PathBuf, OpenError> {
    let refused = |reason: String| OpenError::Path { path: path.to_owned(), reason };
    if path.is_dir() {
        return Err(refused("it is a directory; the path of a file is needed".to_owned()));
    }
    match path.canonicalize() {
        Ok(path) => return Ok(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(refused(error.to_string())),
    }
    let name = path.file_name().ok_or_else(|| refused("it names no file".to_owned()))?;
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let directory = directory
        .canonicalize()
        .map_err(|error| refused(format!("its directory {}: {error}", directory.display())))?;
    Ok(directory.join(name))
}

/// `synchronous=FULL`: under `NORMAL` a power loss takes back commits that were acknowledged, an address that was
/// already given away for one. What a savepoint needs to be undone stays in memory: a batch is small.
fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let conn = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    keep_plans(&conn)?;
    // Read before anything is set, so that a file that is no database of ours is left as it is.
    conn.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get::<_, i64>(0))?;
    conn.execute_batch(
        "PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;
         PRAGMA temp_store = MEMORY;
         PRAGMA journal_size_limit = 67108864;",
    )?;
    Ok(conn)
}

/// Statements are prepared once. Without the stability guarantee SQLite prepares one anew whenever a value that its plan might
/// depend on is bound to another value, which is to say: for every machine.
fn keep_plans(conn: &Connection) -> rusqlite::Result<()> {
    conn.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(|_| ())
}

/// Switches the file to the write-ahead log; done once it is known to be ours.
fn write_ahead(conn: &Connection, path: &Path) -> Result<(), OpenError> {
    let mode: String = conn
        .query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
        .map_err(|error| OpenError::Database(words(&error, path)))?;
    if mode.eq_ignore_ascii_case("wal") {
        Ok(())
    } else {
        Err(OpenError::Path {
            path: path.to_owned(),
            reason: format!(
                "its file system does not support SQLite's write-ahead log (journal mode stays {mode}); use a local disk"
            ),
        })
    }
}

/// What is passed over by every claim must be said somewhere.
fn warn_of_newer_orders(conn: &Connection, path: &Path) -> Result<(), OpenError> {
    let newer = conn
        .query_row("SELECT count(*) FROM vm WHERE spec_version > ?", [SPEC_VERSION], |row| {
            row.get::<_, i64>(0)
        })
        .map_err(|error| OpenError::Database(words(&error, path)))?;
    if newer > 0 {
        tracing::warn!(
            path = %path.display(),
            "{newer} machines were ordered in a form newer than version {SPEC_VERSION}, which is the newest that this \
             program knows: they are left as they are until it is updated"
        );
    }
    Ok(())
}

/// A connection that only reads. It never checkpoints: two connections that do can corrupt the write-ahead log
/// (SQLite before 3.51.3).
pub(crate) fn connect_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    keep_plans(&conn)?;
    conn.execute_batch("PRAGMA wal_autocheckpoint = 0; PRAGMA query_only = ON;")?;
    Ok(conn)
}
