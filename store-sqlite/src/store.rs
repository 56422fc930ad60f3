use crate::{
    failure::{Failure, words},
    open::{self, OpenError},
    reader::Readers,
    writer::{Tx, WriteStats, Writer},
};
use deploy_core::{Clock, StoreError};
use rusqlite::Connection;
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A store in one SQLite file, for one process. Cheap to clone; the clones are one store.
///
/// # Guarantees
/// - What was answered is on the disk, also after a power loss (`synchronous=FULL`).
/// - Writes that wait at the same moment share one transaction; where one of them fails, only that one fails.
/// - Times are kept to the microsecond.
///
/// # Assumptions
/// Its calls are made inside a tokio runtime: reads run on its blocking threads, writes on a thread of the store.
///
/// # Cancel safety
/// A dropped write may have been carried out, a dropped read does nothing.
#[derive(Clone)]
pub struct SqliteStore {
    inner: Arc<Inner>,
}

struct Inner {
    // Dropped first: the last one to close the file is the writer, which writes the log back.
    readers: Readers,
    writer: Writer,
    path: Arc<PathBuf>,
    clock: Arc<dyn Clock>,
}

impl SqliteStore {
    /// Opens the store at `path`, making the file where there is none, and brings its schema up to date.
    ///
    /// Beside the file there are then `-wal` and `-shm`, which belong to it, and `.lock`, which keeps a second process out.
    ///
    /// # Errors
    /// [`OpenError`].
    ///
    /// # Cancel safety
    /// Dropping it may leave an empty database behind, nothing else.
    pub async fn open(path: impl AsRef<Path>, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let path = path.as_ref().to_owned();
        let opening = path.clone();
        tokio::task::spawn_blocking(move || Self::open_blocking(opening, clock)).await.unwrap_or_else(
            |error| Err(OpenError::Path { path, reason: format!("opening was not finished: {error}") }),
        )
    }

    /// [`open`](Self::open) for programs that start before their runtime. Blocks.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_blocking(path: impl AsRef<Path>, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let opened = open::open(path.as_ref())?;
        let path = Arc::new(opened.path);
        let readers =
            Readers::open(path.clone()).map_err(|error| OpenError::Database(words(&error, &path)))?;
        let writer = Writer::start(path.clone(), opened.writer, opened.lock, clock.clone())
            .map_err(|error| OpenError::Path { path: path.to_path_buf(), reason: error.to_string() })?;
        Ok(Self { inner: Arc::new(Inner { readers, writer, path, clock }) })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// How much was written since the store was opened.
    pub fn write_stats(&self) -> WriteStats {
        self.inner.writer.stats()
    }

    /// Writes what waits, and gives the file free; then every write of every clone is refused.
    ///
    /// Dropping the last clone does the same, but blocks its thread meanwhile.
    pub async fn close(&self) {
        if let Some(thread) = self.inner.writer.close().await {
            // Joining fails only where the thread panicked; there is nothing left to close then.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }

    #[cfg(test)]
    pub(crate) fn writer(&self) -> &Writer {
        &self.inner.writer
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        self.inner.clock.as_ref()
    }

    pub(crate) async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&Tx<'_>) -> Result<T, Failure<E>> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.inner.writer.write(work).await
    }

    pub(crate) async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, Failure<E>> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.inner.readers.read(work).await
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("path", &self.inner.path).finish_non_exhaustive()
    }
}
