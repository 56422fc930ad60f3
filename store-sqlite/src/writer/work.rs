//! What the thread is given.

use super::Tx;
use crate::failure::{Failure, words};
use deploy_core::StoreError;
use std::{path::PathBuf, sync::Arc};
use tokio::sync::oneshot;

/// A message to the thread.
pub(super) enum Message {
    /// Something to write.
    Work(Box<dyn Work>),
    /// Nothing more comes.
    Close,
}

/// A piece of work on its way through the thread: run inside the batch's transaction, answered after its end.
pub(super) trait Work: Send {
    /// Runs it.
    fn run(&mut self, tx: &Tx<'_>) -> Ran;
    /// Answers the caller; an error here means that the whole transaction was not committed.
    fn answer(self: Box<Self>, outcome: Result<(), StoreError>);
}

/// What became of a piece of work.
pub(super) enum Ran {
    /// What it wrote is to be kept.
    Kept,
    /// It was refused, or failed alone: what it wrote is to be undone.
    Refused,
    /// It failed so badly (disk full, read error) that SQLite undid the whole transaction; why, in words.
    Lost(String),
}

/// A piece of work with the way back to its caller.
pub(super) struct Item<F, T, E> {
    work: Option<F>,
    result: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
    path: Arc<PathBuf>,
}

impl<F, T, E> Item<F, T, E> {
    pub(super) fn new(work: F, reply: oneshot::Sender<Result<T, E>>, path: Arc<PathBuf>) -> Self {
        Self { work: Some(work), result: None, reply, path }
    }
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
