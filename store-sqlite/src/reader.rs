//! Connections that only read, on blocking threads.

use crate::failure::{Failure, words};
use deploy_core::StoreError;
use rusqlite::Connection;
use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::Semaphore;

/// So many reads run at once; more wait.
const READERS: usize = 4;

/// A few connections that are handed around.
pub(crate) struct Readers {
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
    path: Arc<PathBuf>,
}

impl Readers {
    /// Opens them. Blocks.
    pub(crate) fn open(path: Arc<PathBuf>) -> rusqlite::Result<Self> {
        let idle =
            (0..READERS).map(|_| crate::open::connect_reader(&path)).collect::<rusqlite::Result<Vec<_>>>()?;
        Ok(Self { idle: Arc::new(Mutex::new(idle)), permits: Arc::new(Semaphore::new(READERS)), path })
    }

    /// Has `work` run on one of them. Every statement sees all that was committed before; work that needs one state over
    /// several statements opens a transaction.
    ///
    /// Cancel safe: a dropped read ends on its thread, and the connection comes back.
    pub(crate) async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, Failure<E>> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let gone = |what: &str| StoreError::not_written(format!("{}: {what}", self.path.display()));
        let permit =
            self.permits.clone().acquire_owned().await.map_err(|_| gone("its readers are closed"))?;
        let (idle, path) = (self.idle.clone(), self.path.clone());
        let read = tokio::task::spawn_blocking(move || {
            let conn = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            // Missing only where work panicked with it in its hands.
            let conn = match conn {
                Some(conn) => conn,
                None => crate::open::connect_reader(&path)
                    .map_err(|error| StoreError::not_written(words(&error, &path)))?,
            };
            let result = work(&conn).map_err(|failure| failure.into_error(&path));
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(conn);
            drop(permit);
            result
        });
        read.await.unwrap_or_else(|error| Err(gone(&format!("a read was not finished: {error}")).into()))
    }
}
