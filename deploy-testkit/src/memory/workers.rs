use deploy_core::{CommitError, WorkerId};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// So long a worker whose time is over is remembered, so that a late heartbeat of its is recognised.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Until when each worker lives.
#[derive(Default)]
pub(super) struct Workers {
    until: BTreeMap<WorkerId, Timestamp>,
}

impl Workers {
    pub(super) fn heartbeat(
        &mut self,
        worker: WorkerId,
        alive_for: SignedDuration,
        now: Timestamp,
    ) -> Result<(), CommitError> {
        if self.until.get(&worker).is_some_and(|until| *until <= now) {
            return Err(CommitError::Fenced);
        }
        self.until.insert(worker, later(now, alive_for));
        Ok(())
    }

    pub(super) fn is_alive(&self, worker: WorkerId, now: Timestamp) -> bool {
        self.until.get(&worker).is_some_and(|until| *until > now)
    }

    pub(super) fn retire(&mut self, worker: WorkerId, now: Timestamp) {
        if let Some(until) = self.until.get_mut(&worker) {
            *until = now.min(*until);
        }
    }

    pub(super) fn forget_old(&mut self, now: Timestamp) {
        self.until.retain(|_, until| later(*until, REMEMBERED) >= now);
    }
}

/// The time so much later, at most the end of the calendar.
pub(super) fn later(at: Timestamp, duration: SignedDuration) -> Timestamp {
    at.checked_add(duration).unwrap_or(Timestamp::MAX)
}
