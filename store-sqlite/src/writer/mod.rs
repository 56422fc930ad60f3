//! The one thread that writes, and the way to it.

#[cfg(test)]
mod tests;
mod thread;
mod work;

use crate::{failure::Failure, lock::LockFile};
use deploy_core::{Clock, StoreError, StoreOutcome};
use jiff::Timestamp;
use rusqlite::Connection;
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
};
use thread::Thread;
use tokio::sync::{mpsc, oneshot};
use work::{Item, Message};

/// So many may wait before callers are held up.
const WAITING: usize = 4 * thread::BATCH;

/// An open transaction, as one piece of work sees it.
pub(crate) struct Tx<'a> {
    pub(crate) conn: &'a Connection,
    /// The store's clock; the same for a whole transaction.
    pub(crate) now: Timestamp,
}

/// What was written since the store was opened; their ratio says how well writes group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WriteStats {
    /// Transactions that were committed.
    pub transactions: u64,
    /// Writes that they carried.
    pub writes: u64,
}

#[derive(Debug, Default)]
struct Counters {
    transactions: AtomicU64,
    writes: AtomicU64,
}

/// The handle to the thread.
pub(crate) struct Writer {
    /// Taken away to let the thread end.
    messages: Option<mpsc::Sender<Message>>,
    thread: std::sync::Mutex<Option<JoinHandle<()>>>,
    counters: Arc<Counters>,
    path: Arc<PathBuf>,
}

impl Writer {
    /// Starts the thread, which owns the writing connection and the right to the file.
    pub(crate) fn start(
        path: Arc<PathBuf>,
        conn: Connection,
        lock: LockFile,
        clock: Arc<dyn Clock>,
    ) -> std::io::Result<Self> {
        let (sender, messages) = mpsc::channel(WAITING);
        let counters = Arc::new(Counters::default());
        let thread =
            Thread { messages, conn, clock, path: path.clone(), counters: counters.clone(), _lock: lock };
        let thread = std::thread::Builder::new().name("store-sqlite".to_owned()).spawn(|| thread.run())?;
        Ok(Self { messages: Some(sender), thread: Some(thread).into(), counters, path })
    }

    /// Has `work` run in a transaction, and answers when that is on the disk.
    ///
    /// Dropping the future after its first poll does not stop the work.
    pub(crate) async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&Tx<'_>) -> Result<T, Failure<E>> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let closed = || StoreError::not_written(format!("{} is closed", self.path.display()));
        let (reply, answer) = oneshot::channel();
        let item = Item::new(work, reply, self.path.clone());
        let messages = self.messages.as_ref().ok_or_else(closed)?;
        messages.send(Message::Work(Box::new(item))).await.map_err(|_| closed())?;
        answer.await.unwrap_or_else(|_| {
            let message = format!("the thread that writes {} is gone", self.path.display());
            Err(StoreError { message, outcome: StoreOutcome::Unknown }.into())
        })
    }

    pub(crate) fn stats(&self) -> WriteStats {
        WriteStats {
            transactions: self.counters.transactions.load(Ordering::Relaxed),
            writes: self.counters.writes.load(Ordering::Relaxed),
        }
    }

    /// How many messages wait for the thread.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.messages.as_ref().map_or(0, |messages| messages.max_capacity() - messages.capacity())
    }

    /// Lets what waits be written, refuses what comes later, and hands out the thread for waiting; `None` if that was done
    /// before.
    pub(crate) async fn close(&self) -> Option<JoinHandle<()>> {
        if let Some(messages) = &self.messages {
            // Closed already is as good.
            let _ = messages.send(Message::Close).await;
        }
        self.thread.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()
    }
}

impl Drop for Writer {
    /// Waits until what was handed in is written and the file is free again: at most one batch and one checkpoint.
    fn drop(&mut self) {
        self.messages = None;
        let thread = self.thread.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}
