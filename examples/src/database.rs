//! Where everything is kept: a file with SQLite, or a PostgreSQL server. Which one it is, is chosen here and nowhere else.

use deploy_core::{AddressStore, Clock, DnsStore, Doorbell, LeaseStore};
use deploy_worker::{JobsStore, SystemClock};
use std::{fmt, path::PathBuf, sync::Arc};
use store_postgres::{Listening, PostgresStore, Settings};
use store_sqlite::SqliteStore;

/// A database as the engine sees it, whichever it is.
pub trait Store: LeaseStore + AddressStore + JobsStore + DnsStore {}

impl<S: LeaseStore + AddressStore + JobsStore + DnsStore + ?Sized> Store for S {}

/// A database that was chosen, and is not open yet.
#[derive(Debug, Clone)]
pub enum Database {
    /// The file of one process.
    Sqlite(PathBuf),
    /// A server for many.
    Postgres(Box<Settings>),
}

/// An open database.
pub enum Opened {
    /// The file of this process.
    Sqlite(SqliteStore),
    /// A server.
    Postgres(PostgresStore),
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "{}", path.display()),
            // Without the password.
            Self::Postgres(settings) => write!(f, "PostgreSQL: {}", settings.place()),
        }
    }
}

impl Database {
    /// Opens it, and brings its schema up to date.
    ///
    /// # Errors
    /// [`store_sqlite::OpenError`], [`store_postgres::ConnectError`].
    pub async fn open(self) -> anyhow::Result<Opened> {
        match self {
            Self::Sqlite(path) => Ok(Opened::Sqlite(SqliteStore::open(path, Arc::new(SystemClock)).await?)),
            Self::Postgres(settings) => Ok(Opened::Postgres(PostgresStore::connect(*settings).await?)),
        }
    }
}

impl Opened {
    /// The store.
    pub fn store(&self) -> Arc<dyn Store> {
        match self {
            Self::Sqlite(store) => Arc::new(store.clone()),
            Self::Postgres(store) => Arc::new(store.clone()),
        }
    }

    /// The clock that is right for it: where several machines share a database, its own.
    pub fn clock(&self) -> Arc<dyn Clock> {
        match self {
            Self::Sqlite(_) => Arc::new(SystemClock),
            Self::Postgres(store) => store.clock(),
        }
    }

    /// Rings the bell for what other processes order and command, for as long as the answer is kept. With SQLite there are
    /// no others.
    pub fn listen(&self, doorbell: Arc<dyn Doorbell>) -> Option<Listening> {
        match self {
            Self::Sqlite(_) => None,
            Self::Postgres(store) => Some(store.listen(doorbell)),
        }
    }

    /// Writes what waits, and ends.
    pub async fn close(self) {
        match self {
            Self::Sqlite(store) => store.close().await,
            Self::Postgres(store) => store.close().await,
        }
    }
}
