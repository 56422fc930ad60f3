//! Panics of turns, written down: people look for what is wrong in the log of a machine, not in that of the process.

use super::{
    Dispatcher,
    held::State,
    jobs::{Done, Job, TurnError, panicked},
};
use deploy_core::{
    Clock, Commit, CommitError, Due, ErrorClass, Lease, LeaseStore, Leased, Obscured, Outcome, Report,
    RetryPolicy, Turned, VmRecord, settle,
};
use jiff::Timestamp;
use std::sync::Arc;
use tracing::{Instrument, info_span};

impl Dispatcher {
    /// Has it written into the record that a turn panicked, as a failure like any other: with a backoff, and with a call
    /// for attention where it does not end. What comes of that counts as the turn's own result.
    pub(super) fn confess(&mut self, lease: Lease, words: String) {
        let Some(held) = self.machines.get_mut(&lease.key) else { return };
        let span = info_span!("confess", vm = %lease.key, step = %held.step);
        let (store, clock) = (Arc::clone(&self.parts.store), Arc::clone(&self.parts.clock));
        let policy = self.parts.policy.clone();
        let work = async move {
            match write_down(&*store, &*clock, &policy, lease, &words).await {
                Ok((leased, turned)) => Done::Turn(lease, Some(Box::new(leased)), Ok(turned)),
                Err(error) => Done::Turn(lease, None, Err(TurnError::Commit(error))),
            }
        };
        held.state = State::Working(self.jobs.start(Job::Confess(lease), work.instrument(span)));
        self.working += 1;
    }
}

/// Writes down that a turn panicked, into the record as it is now, since nobody knows how far the turn came.
async fn write_down(
    store: &dyn LeaseStore,
    clock: &dyn Clock,
    policy: &RetryPolicy,
    lease: Lease,
    words: &str,
) -> Result<(Leased, Turned), CommitError> {
    let mut record = store.reload(&lease).await?;
    let (commit, next) = settled(&record, clock.now(), policy, words);
    store.commit(&lease, commit.clone()).await?;
    commit.apply(&mut record);
    Ok((Leased::new(lease, record), Turned::Until(next)))
}

/// What is to be written down, and when the next turn is worth it.
fn settled(record: &VmRecord, now: Timestamp, policy: &RetryPolicy, words: &str) -> (Commit, Timestamp) {
    let failed = Obscured { class: ErrorClass::Failed, message: panicked(words) };
    let mut commit = settle(record, Report { outcome: Outcome::Failed(failed), seen_on: None }, now, policy);
    let next = match commit.due {
        Some(Due::At(at)) => at,
        Some(Due::OnCommand) | None => now,
    };
    // A time that the turn wrote down before it panicked stays: a clone that was never answered needs it to arrive. And a
    // record at rest is due by its commands alone; with a time it would be due for ever, with nothing to do.
    let is_kept = record.step.is_rest() || matches!(record.due, Due::At(at) if at > next);
    commit.due = commit.due.filter(|_| !is_kept);
    (commit, next)
}
