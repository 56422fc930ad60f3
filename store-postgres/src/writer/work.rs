//! What the task is given.

use super::{Run, line::Line};
use crate::{
    failure::Failure,
    vm::{self, Item},
};
use async_trait::async_trait;
use deploy_core::{CommitError, StoreError};
use tokio::sync::oneshot;

/// Where the answer to a commit goes.
pub(super) type Reply = oneshot::Sender<Result<(), CommitError>>;

/// A message to the task.
pub(super) enum Message {
    /// Something to write under a lease.
    Commit(Box<Item>, Reply),
    /// Something else to write.
    Work(Box<dyn Work>),
    /// Nothing more comes.
    Close,
}

/// A piece of work on its way through the task: run inside a transaction, answered after its end.
#[async_trait]
pub(super) trait Work: Send + Sync {
    /// Runs it in the transaction number `batch`.
    async fn run(&mut self, line: &Line, batch: i64) -> Ran;
    /// Answers the caller; an error here means that the transaction was not committed, or that nobody knows.
    fn answer(self: Box<Self>, outcome: Result<(), StoreError>);
}

/// What became of a piece of work.
pub(super) enum Ran {
    /// What it wrote is to be kept.
    Kept,
    /// It was refused: what it wrote is to be undone.
    Refused,
    /// The database could not do it.
    Failed(tokio_postgres::Error),
}

/// A piece of work with the way back to its caller.
pub(super) struct Waiting<A, T, E> {
    args: A,
    run: Run<A, T, E>,
    result: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<A, T, E> Waiting<A, T, E> {
    pub(super) fn new(args: A, run: Run<A, T, E>, reply: oneshot::Sender<Result<T, E>>) -> Self {
        Self { args, run, result: None, reply }
    }
}

#[async_trait]
impl<A, T, E> Work for Waiting<A, T, E>
where
    A: Send + Sync,
    T: Send + Sync,
    E: From<StoreError> + Send + Sync,
{
    async fn run(&mut self, line: &Line, _batch: i64) -> Ran {
        ran((self.run)(&line.db(), &self.args).await, &mut self.result)
    }

    fn answer(self: Box<Self>, outcome: Result<(), StoreError>) {
        answer(self.reply, self.result, outcome);
    }
}

/// A commit that needs a transaction of its own.
pub(super) struct Single {
    item: Box<Item>,
    result: Option<Result<(), CommitError>>,
    reply: Reply,
}

impl Single {
    pub(super) fn new(item: Box<Item>, reply: Reply) -> Self {
        Self { item, result: None, reply }
    }
}

#[async_trait]
impl Work for Single {
    async fn run(&mut self, line: &Line, batch: i64) -> Ran {
        ran(vm::commit_one(&line.db(), line.session, batch, &self.item).await, &mut self.result)
    }

    fn answer(self: Box<Self>, outcome: Result<(), StoreError>) {
        answer(self.reply, self.result, outcome);
    }
}

/// Keeps a result until the transaction has ended; errors of the database are the transaction's.
fn ran<T, E: From<StoreError>>(done: Result<T, Failure<E>>, result: &mut Option<Result<T, E>>) -> Ran {
    match done {
        Ok(value) => {
            *result = Some(Ok(value));
            Ran::Kept
        }
        Err(Failure::Sql(error)) => Ran::Failed(error),
        Err(failure) => {
            *result = Some(Err(failure.into_error()));
            Ran::Refused
        }
    }
}

fn answer<T, E: From<StoreError>>(
    reply: oneshot::Sender<Result<T, E>>,
    result: Option<Result<T, E>>,
    outcome: Result<(), StoreError>,
) {
    let answer = match (outcome, result) {
        (Ok(()), Some(result)) => result,
        (Ok(()), None) => Err(StoreError::not_written("the write was not carried out").into()),
        (Err(error), _) => Err(error.into()),
    };
    // The caller may have stopped waiting; the write stands all the same.
    let _ = reply.send(answer);
}
