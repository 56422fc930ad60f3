//! What is kept of a job, and how calls change it: the same for every store.

use crate::{
    CommitError, Job, JobOutcome, JobReport, JobRun, JobRunning, JobStart, JobState, JobTerms, RunId,
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// What a store keeps of a job that was begun at any time, and changes under a lock of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRecord {
    run: JobRun,
    began_at: Timestamp,
    alive_until: Timestamp,
    /// Whether the run has neither ended nor been found dead.
    running: bool,
    last: Option<JobReport>,
}

impl JobRecord {
    /// Whether a run may begin, and what is to be kept from then on; `None` leaves it as it is.
    pub fn begin(
        kept: Option<Self>,
        run: &JobRun,
        terms: JobTerms,
        now: Timestamp,
    ) -> (JobStart, Option<Self>) {
        let last = match kept {
            Some(record) if record.is_alive(now) && record.run.id == run.id => {
                return (JobStart::Begun, None);
            }
            Some(record) if record.is_alive(now) => {
                return (JobStart::Busy { info: record.run.info, since: record.began_at }, None);
            }
            Some(record) => {
                let next = later(record.began_at, terms.gap);
                if !record.running && next > now {
                    return (JobStart::Early { next }, None);
                }
                record.last_report(now)
            }
            None => None,
        };
        let alive_until = later(now, terms.alive_for);
        let begun = Self { run: run.clone(), began_at: now, alive_until, running: true, last };
        (JobStart::Begun, Some(begun))
    }

    /// The run lives on.
    ///
    /// # Errors
    /// [`CommitError::Fenced`] where its time was over.
    pub fn prolong(self, run: RunId, alive_for: SignedDuration, now: Timestamp) -> Result<Self, CommitError> {
        if self.run.id != run || !self.is_alive(now) {
            return Err(CommitError::Fenced);
        }
        Ok(Self { alive_until: later(now, alive_for), ..self })
    }

    /// The run is over; also one whose time was over, as long as no other has begun.
    ///
    /// # Errors
    /// [`CommitError::Fenced`] where another has.
    pub fn end(self, run: RunId, outcome: &JobOutcome, now: Timestamp) -> Result<Self, CommitError> {
        if self.run.id != run {
            return Err(CommitError::Fenced);
        }
        if !self.running {
            return Ok(self);
        }
        let last = JobReport { began_at: self.began_at, ended_at: now, outcome: outcome.clone() };
        Ok(Self { running: false, last: Some(last), ..self })
    }

    /// How the job stands.
    pub fn state(&self, job: Job, now: Timestamp) -> JobState {
        let running =
            self.is_alive(now).then(|| JobRunning { info: self.run.info.clone(), since: self.began_at });
        JobState { job, running, last: self.last_report(now) }
    }

    fn is_alive(&self, now: Timestamp) -> bool {
        self.running && self.alive_until > now
    }

    /// The last run that is over: also one that never said so, and whose time is over.
    fn last_report(&self, now: Timestamp) -> Option<JobReport> {
        if self.running && !self.is_alive(now) {
            let (began_at, ended_at) = (self.began_at, self.alive_until);
            return Some(JobReport { began_at, ended_at, outcome: JobOutcome::Died });
        }
        self.last.clone()
    }
}

/// The time so much later, at most the end of the calendar.
fn later(at: Timestamp, duration: SignedDuration) -> Timestamp {
    at.checked_add(duration).unwrap_or(Timestamp::MAX)
}
