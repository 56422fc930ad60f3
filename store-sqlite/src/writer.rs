//! The one thread that writes.

use crate::{
    failure::{Failure, words},
    lock::LockFile,
};
use deploy_core::{Clock, StoreError, StoreOutcome};
use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode};
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
};
use tokio::sync::{mpsc, oneshot};

/// So many writes share one transaction, and with it one `fsync`, at most.
const BATCH: usize = 64;
/// So many may wait before callers are held up.
const WAITING: usize = 4 * BATCH;

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

enum Message {
    Work(Box<dyn Work>),
    Close,
}

/// A piece of work on its way through the thread: run inside the batch's transaction, answered after its end.
trait Work: Send {
    /// Runs it.
    fn run(&mut self, tx: &Tx<'_>) -> Ran;
    /// Answers the caller; an error here means that the whole transaction was not committed.
    fn answer(self: Box<Self>, outcome: Result<(), StoreError>);
}

/// What became of a piece of work.
enum Ran {
    /// What it wrote is to be kept.
    Kept,
    /// It was refused, or failed alone: what it wrote is to be undone.
    Refused,
    /// It failed so badly (disk full, read error) that SQLite undid the whole transaction; why, in words.
    Lost(String),
}

struct Item<F, T, E> {
    work: Option<F>,
    result: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
    path: Arc<PathBuf>,
}

impl<F, T, E> Work for Item<F, T, E>
where
    F: FnOnce(&Tx<'_>) -> Result<T, Failure<E>> + Send,
    T: Send,
    E: From<StoreError> + Send,
{
    fn run(&mut self, tx: &Tx<'_>) -> Ran {
        let Some(work) = self.work.take() else { return Ran::Refused };
        let failure = match work(tx) {
            Ok(value) => {
                self.result = Some(Ok(value));
                return Ran::Kept;
            }
            Err(failure) => failure,
        };
        let ran = match &failure {
            Failure::Sql(error) if tx.conn.is_autocommit() => Ran::Lost(words(error, &self.path)),
            _ => Ran::Refused,
        };
        self.result = Some(Err(failure.into_error(&self.path)));
        ran
    }

    fn answer(self: Box<Self>, outcome: Result<(), StoreError>) {
        // Also a refusal is void when the transaction failed: it may rest on what an earlier item of it wrote.
        let answer = match (outcome, self.result) {
            (Ok(()), Some(result)) => result,
            (Ok(()), None) => Err(StoreError::not_written("the write was not carried out").into()),
            (Err(error), _) => Err(error.into()),
        };
        // The caller may have stopped waiting; the write stands all the same.
        let _ = self.reply.send(answer);
    }
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
        let item = Item { work: Some(work), result: None, reply, path: self.path.clone() };
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

struct Thread {
    messages: mpsc::Receiver<Message>,
    conn: Connection,
    clock: Arc<dyn Clock>,
    path: Arc<PathBuf>,
    counters: Arc<Counters>,
    // The last field: the right to the file is given back after the connection is closed.
    _lock: LockFile,
}

impl Thread {
    fn run(mut self) {
        while let Some(message) = self.messages.blocking_recv() {
            let mut batch = Vec::with_capacity(BATCH);
            self.take_in(message, &mut batch);
            // No timer: whatever waits at this moment goes along, and an idle store commits at once.
            while batch.len() < BATCH
                && let Ok(message) = self.messages.try_recv()
            {
                self.take_in(message, &mut batch);
            }
            if !batch.is_empty() {
                self.write(batch);
            }
        }
        if let Err(error) = self.conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())) {
            // Nothing is lost: the write-ahead log is read back at the next start.
            tracing::warn!(path = %self.path.display(), %error, "the write-ahead log was not written back");
        }
    }

    fn take_in(&mut self, message: Message, batch: &mut Vec<Box<dyn Work>>) {
        match message {
            Message::Work(work) => batch.push(work),
            Message::Close => self.messages.close(),
        }
    }

    fn write(&self, mut batch: Vec<Box<dyn Work>>) {
        let outcome = self.transact(&mut batch);
        match &outcome {
            Ok(()) => {
                self.counters.transactions.fetch_add(1, Ordering::Relaxed);
                self.counters.writes.fetch_add(batch.len() as u64, Ordering::Relaxed);
            }
            Err(error) => tracing::error!(%error, writes = batch.len(), "a transaction was not committed"),
        }
        for work in batch {
            work.answer(outcome.clone());
        }
    }

    fn transact(&self, batch: &mut [Box<dyn Work>]) -> Result<(), StoreError> {
        let not_written = |error: &rusqlite::Error| StoreError::not_written(words(error, &self.path));
        self.conn.execute_batch("BEGIN IMMEDIATE").map_err(|e| not_written(&e))?;
        let tx = Tx { conn: &self.conn, now: self.clock.now() };
        for work in batch {
            let lost = match savepoint(&tx, work.as_mut()) {
                Ok(Ran::Kept | Ran::Refused) => continue,
                Ok(Ran::Lost(why)) => StoreError::not_written(why),
                Err(error) => not_written(&error),
            };
            // Fails where SQLite has undone everything already, as it should.
            let _ = self.conn.execute_batch("ROLLBACK");
            return Err(lost);
        }
        self.conn.execute_batch("COMMIT").map_err(|error| {
            let _ = self.conn.execute_batch("ROLLBACK");
            StoreError { message: words(&error, &self.path), outcome: after_commit(&error) }
        })
    }
}

/// Runs one item, so that it alone is undone where it fails.
fn savepoint(tx: &Tx<'_>, work: &mut dyn Work) -> rusqlite::Result<Ran> {
    tx.conn.prepare_cached("SAVEPOINT item")?.execute([])?;
    let ran = work.run(tx);
    match ran {
        Ran::Lost(_) => return Ok(ran),
        Ran::Refused => {
            tx.conn.prepare_cached("ROLLBACK TO item")?.execute([])?;
        }
        Ran::Kept => {}
    }
    tx.conn.prepare_cached("RELEASE item")?.execute([])?;
    Ok(ran)
}

/// Whether a transaction whose COMMIT failed may be on the disk all the same. A sync that fails may leave the whole
/// transaction in the write-ahead log, where the next start would find it.
fn after_commit(error: &rusqlite::Error) -> StoreOutcome {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy | ErrorCode::ConstraintViolation) => {
            StoreOutcome::NotWritten
        }
        _ => StoreOutcome::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use crate::{SqliteStore, failure::Failure};
    use deploy_core::{CreateError, RecordStore, StoreError, StoreOutcome};
    use deploy_testkit::{ManualClock, sample};
    use std::sync::{Arc, mpsc};
    use tempfile::TempDir;

    async fn store(directory: &TempDir) -> SqliteStore {
        let path = directory.path().join("deploy.db");
        let store = SqliteStore::open(path, Arc::new(ManualClock::default())).await.unwrap();
        store.put_cluster(&sample::cluster(100, 9999)).await.unwrap();
        store
    }

    /// Lets the database grow to so many pages and no further, which is what a full disk is to it.
    async fn limit_pages(store: &SqliteStore, pages: u32) {
        let limit = store.write::<_, StoreError, _>(move |tx| {
            let sql = format!("PRAGMA max_page_count = {pages}");
            Ok(tx.conn.query_row(&sql, [], |row| row.get::<_, i64>(0))?)
        });
        limit.await.unwrap();
    }

    #[tokio::test]
    async fn a_full_disk_is_said_in_words_and_goes_on_when_there_is_room() {
        let directory = TempDir::new().unwrap();
        let store = store(&directory).await;
        limit_pages(&store, 60).await;
        let mut written = 0;
        let error = loop {
            match store.create(&sample::order(written + 1)).await {
                Ok(_) => written += 1,
                Err(CreateError::Store(error)) => break error,
                Err(other) => panic!("{other}"),
            }
            assert!(written < 1000, "the limit is not reached");
        };
        assert!(error.message.contains("the disk is full") && error.message.contains("deploy.db"), "{error}");
        assert_eq!(error.outcome, StoreOutcome::NotWritten);
        assert_eq!(store.get(sample::key(written + 1)).await.unwrap(), None);
        limit_pages(&store, 1_000_000).await;
        let created = store.create(&sample::order(written + 1)).await.unwrap();
        assert_eq!(
            created.record().numbered.vmid,
            sample::vmid(100 + written),
            "the failed try took no number"
        );
    }

    #[tokio::test]
    async fn what_waits_while_the_thread_works_is_one_transaction() {
        let directory = TempDir::new().unwrap();
        let store = store(&directory).await;
        let (release, held) = mpsc::channel::<()>();
        let (working, works) = tokio::sync::oneshot::channel();
        let blocker = store.clone();
        let blocked = tokio::spawn(async move {
            blocker
                .write::<_, StoreError, _>(move |_| {
                    let _ = working.send(());
                    held.recv().ok();
                    Ok(())
                })
                .await
        });
        works.await.unwrap();
        let before = store.write_stats();
        let mut orders = tokio::task::JoinSet::new();
        for n in 1..=super::BATCH {
            let store = store.clone();
            orders.spawn(async move { store.create(&sample::order(u32::try_from(n).unwrap())).await });
        }
        while store.writer().waiting() < super::BATCH {
            tokio::task::yield_now().await;
        }
        release.send(()).unwrap();
        blocked.await.unwrap().unwrap();
        assert!(orders.join_all().await.iter().all(Result::is_ok));
        let after = store.write_stats();
        assert_eq!(after.writes - before.writes, 1 + super::BATCH as u64);
        assert_eq!(after.transactions - before.transactions, 2, "the blocker's and the one they share");
    }

    #[tokio::test]
    async fn one_that_fails_is_undone_alone() {
        let directory = TempDir::new().unwrap();
        let store = store(&directory).await;
        let failing = store.write::<(), StoreError, _>(|tx| {
            tx.conn.execute("DELETE FROM cluster", [])?;
            Err(Failure::Refused(StoreError::not_written("on purpose")))
        });
        let order = sample::order(1);
        let (failed, created) = tokio::join!(failing, store.create(&order));
        assert_eq!(failed, Err(StoreError::not_written("on purpose")));
        created.unwrap();
    }
}
