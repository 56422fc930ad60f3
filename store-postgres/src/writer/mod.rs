//! The one connection that writes: a task that takes everything that waits at the moment and groups what can be grouped.

mod answers;
mod line;
mod task;
mod trouble;
mod work;

use crate::{Settings, db::Db, failure::Failure, vm::Item};
use deploy_core::{CommitError, StoreError, StoreOutcome};
use futures_util::future::BoxFuture;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use task::Task;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use work::{Message, Waiting};

/// So many writes may wait; then callers are held up.
const WAITING: usize = 4 * task::BATCH;

/// A piece of work: what it is given, and what it does with it in a transaction. It may be done again where the first time
/// proved not to have happened.
pub(crate) type Run<A, T, E> = for<'a> fn(&'a Db<'a>, &'a A) -> BoxFuture<'a, Result<T, Failure<E>>>;

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

impl Counters {
    fn count(&self, writes: usize) {
        self.transactions.fetch_add(1, Ordering::Relaxed);
        self.writes.fetch_add(writes as u64, Ordering::Relaxed);
    }
}

/// The handle to the task, which ends when the last one is dropped and all is written.
pub(crate) struct Writer {
    messages: mpsc::Sender<Message>,
    counters: Arc<Counters>,
    /// Cancelled where the task has ended.
    ended: CancellationToken,
}

impl Writer {
    /// Starts the task.
    pub(crate) fn start(settings: Arc<Settings>) -> Self {
        let (messages, waiting) = mpsc::channel(WAITING);
        let counters = Arc::new(Counters::default());
        let ended = CancellationToken::new();
        let (task, at_its_end) =
            (Task::new(settings, waiting, Arc::clone(&counters)), ended.clone().drop_guard());
        tokio::spawn(async move {
            let _at_its_end = at_its_end;
            task.run().await;
        });
        Self { messages, counters, ended }
    }

    /// Has `run` done in a transaction of its own, and answers when that is committed.
    ///
    /// Dropping the future after its first poll does not stop the work.
    pub(crate) async fn write<A, T, E>(&self, args: A, run: Run<A, T, E>) -> Result<T, E>
    where
        A: Send + Sync + 'static,
        T: Send + Sync + 'static,
        E: From<StoreError> + Send + Sync + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let waiting = Waiting::new(args, run, reply);
        self.messages.send(Message::Work(Box::new(waiting))).await.map_err(|_| closed())?;
        answer.await.unwrap_or_else(|_| Err(gone().into()))
    }

    /// Writes under a lease, together with whatever else waits.
    pub(crate) async fn commit(&self, item: Box<Item>) -> Result<(), CommitError> {
        let (reply, answer) = oneshot::channel();
        self.messages.send(Message::Commit(item, reply)).await.map_err(|_| closed())?;
        answer.await.unwrap_or_else(|_| Err(gone().into()))
    }

    pub(crate) fn stats(&self) -> WriteStats {
        WriteStats {
            transactions: self.counters.transactions.load(Ordering::Relaxed),
            writes: self.counters.writes.load(Ordering::Relaxed),
        }
    }

    /// Lets what waits be written, refuses what comes later, and returns when the task has ended.
    pub(crate) async fn close(&self) {
        // Refused where somebody else has closed it. The channel is closed long before its last message is written.
        let _ = self.messages.send(Message::Close).await;
        self.ended.cancelled().await;
    }
}

fn closed() -> StoreError {
    StoreError::not_written("the store is closed")
}

fn gone() -> StoreError {
    StoreError { message: "the task that writes is gone".to_owned(), outcome: StoreOutcome::Unknown }
}
