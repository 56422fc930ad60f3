use crate::{
    audit::{AuditReport, Cursors},
    outbox::{Outbox, Round},
    watch::Question,
};
use deploy_core::{CommitError, Lease, Leased, StoreError, StoreOutcome, TaskState, Turned, WorkerId};
use jiff::Timestamp;
use std::{any::Any, collections::HashMap, future::Future, time::Duration};
use tokio::{
    task::{AbortHandle, Id, JoinError, JoinSet},
    time::Instant,
};
use tracing::error;

/// Characters of a panic's message that are kept.
const LONGEST_WORDS: usize = 500;

/// Everything that waits for somebody else runs as a job, so that the dispatcher itself never waits.
#[derive(Default)]
pub(super) struct Jobs {
    running: JoinSet<Done>,
    kinds: HashMap<Id, Job>,
}

/// What a job is for: all that is known where it ends by a panic.
pub(super) enum Job {
    Turn(Lease),
    /// Writes down that a turn panicked.
    Confess(Lease),
    Release(Lease),
    Claim(WorkerId),
    Beat(WorkerId),
    Sweep,
    Tasks(Question),
    /// Of which target.
    Post(usize),
    Audit,
}

/// What a job came to.
pub(super) enum Done {
    Turn(Lease, Option<Box<Leased>>, Result<Turned, TurnError>),
    Release(Lease, Result<(), CommitError>),
    Claim(WorkerId, Result<Claimed, StoreError>),
    Beat(WorkerId, Result<(), CommitError>),
    Sweep,
    Tasks(Question, Vec<TaskState>, Duration),
    Post(usize, Option<Box<Outbox>>, Result<Round, StoreError>),
    Audit(Cursors, Result<AuditReport, StoreError>),
}

/// What a claim brought.
pub(super) struct Claimed {
    pub(super) machines: Vec<Leased>,
    /// As many as were asked for: there may be more.
    pub(super) full: bool,
    /// When the next record is due that was not to be had now.
    pub(super) next_due: Option<Timestamp>,
}

/// A turn that came to nothing.
pub(super) enum TurnError {
    Commit(CommitError),
    /// It panicked, with these words.
    Panicked(String),
    /// It was aborted, or to write down its panic panicked too.
    Broken,
}

impl Jobs {
    pub(super) fn start(
        &mut self,
        job: Job,
        work: impl Future<Output = Done> + Send + 'static,
    ) -> AbortHandle {
        let handle = self.running.spawn(work);
        self.kinds.insert(handle.id(), job);
        handle
    }

    pub(super) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// The next job that ended; `None` where none runs. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<Done> {
        loop {
            let (id, done) = match self.running.join_next_with_id().await? {
                Ok((id, done)) => (id, Ok(done)),
                Err(error) => (error.id(), Err(error)),
            };
            match (self.kinds.remove(&id), done) {
                (_, Ok(done)) => return Some(done),
                (Some(job), Err(error)) => {
                    if !error.is_cancelled() {
                        error!(%error, "a job of the worker panicked");
                    }
                    return Some(job.broken(error));
                }
                // Every job has its kind; were one without, there would be nobody to tell.
                (None, Err(_)) => {}
            }
        }
    }

    /// Aborts what still runs and waits until it is gone.
    pub(super) async fn abort(&mut self) {
        self.running.shutdown().await;
        self.kinds.clear();
    }
}

impl Job {
    /// What comes of a job that ended without a word.
    fn broken(self, error: JoinError) -> Done {
        let lost = || StoreError { message: "the call broke off".to_owned(), outcome: StoreOutcome::Unknown };
        let words = error.try_into_panic().ok().map(|panic| words(&*panic));
        match self {
            Self::Turn(lease) => {
                Done::Turn(lease, None, Err(words.map_or(TurnError::Broken, TurnError::Panicked)))
            }
            Self::Confess(lease) => Done::Turn(lease, None, Err(TurnError::Broken)),
            Self::Release(lease) => Done::Release(lease, Err(CommitError::Store(lost()))),
            Self::Claim(worker) => Done::Claim(worker, Err(lost())),
            Self::Beat(worker) => Done::Beat(worker, Err(CommitError::Store(lost()))),
            Self::Sweep => Done::Sweep,
            Self::Tasks(question) => {
                let why = words.map_or("the call broke off".to_owned(), |words| panicked(&words));
                let states = question.unanswered(&why);
                Done::Tasks(question, states, Duration::ZERO)
            }
            Self::Post(target) => Done::Post(target, None, Err(lost())),
            Self::Audit => Done::Audit(Cursors::default(), Err(lost())),
        }
    }
}

/// What is written down where a call panicked.
pub(super) fn panicked(words: &str) -> String {
    format!("a backend panicked: {words}")
}

/// What a panic says; the beginning of it, since it ends up in records.
fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("without words").chars().take(LONGEST_WORDS).collect()
}

/// Runs a call and says how long it took.
pub(super) async fn timed<T>(call: impl Future<Output = T>) -> (T, Duration) {
    let started = Instant::now();
    let result = call.await;
    (result, started.elapsed())
}
