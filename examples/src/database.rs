//! Where everything is kept: in a file, with SQLite.

use deploy_core::{AddressStore, LeaseStore, RecordStore};
use deploy_worker::SystemClock;
use std::{path::Path, sync::Arc};
use store_sqlite::{OpenError, SqliteStore};

/// A database as the engine sees it, whichever it is.
pub trait Store: LeaseStore + RecordStore + AddressStore {}

impl<S: LeaseStore + RecordStore + AddressStore + ?Sized> Store for S {}

/// Opens an SQLite database.
///
/// # Errors
/// [`OpenError`].
pub async fn open_sqlite(path: &Path) -> Result<SqliteStore, OpenError> {
    SqliteStore::open(path, Arc::new(SystemClock)).await
}
