//! The thread: takes what waits, writes it in one transaction, answers.

use super::{
    Counters, Tx,
    work::{Message, Ran, Work},
};
use crate::{failure::words, lock::LockFile};
use deploy_core::{Clock, StoreError, StoreOutcome};
use rusqlite::{Connection, ErrorCode};
use std::{
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
};
use tokio::sync::mpsc;

/// So many writes share one transaction, and with it one `fsync`, at most.
pub(super) const BATCH: usize = 64;

/// What the thread owns.
pub(super) struct Thread {
    pub(super) messages: mpsc::Receiver<Message>,
    pub(super) conn: Connection,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) path: Arc<PathBuf>,
    pub(super) counters: Arc<Counters>,
    /// The last field: the right to the file is given back after the connection is closed.
    pub(super) _lock: LockFile,
}

impl Thread {
    /// Works until the channel is closed and empty.
    pub(super) fn run(mut self) {
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
