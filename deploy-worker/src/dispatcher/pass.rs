//! One pass: everything that is due, as far as it goes until a deadline.

use super::Dispatcher;
use crate::TickReport;
use deploy_core::{Leased, Step, StoreError, Turned, VmKey};
use std::collections::BTreeMap;
use tokio::time::Instant;

/// What a pass has seen so far.
pub(super) struct Pass {
    deadline: Instant,
    machines: BTreeMap<VmKey, Seen>,
    notices: usize,
    /// All that was due is done or waits for later.
    complete: bool,
    failed: Option<StoreError>,
}

/// A machine as it was leased, or as its last turn left it.
struct Seen {
    step: Step,
    attention: bool,
    advanced: bool,
}

impl Pass {
    pub(super) fn new(deadline: Instant) -> Self {
        Self { deadline, machines: BTreeMap::new(), notices: 0, complete: false, failed: None }
    }

    pub(super) fn report(self) -> Result<TickReport, StoreError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let count = |is: fn(&Seen) -> bool| self.machines.values().filter(|seen| is(seen)).count();
        Ok(TickReport {
            machines: self.machines.len(),
            advanced: count(|seen| seen.advanced),
            ready: count(|seen| seen.step == Step::Ready),
            terminated: count(|seen| seen.step == Step::Terminated),
            waiting: count(|seen| !seen.step.is_rest()),
            attention: count(|seen| seen.attention),
            notices: self.notices,
            complete: self.complete,
        })
    }
}

impl Dispatcher {
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.pass.as_ref().map(|pass| pass.deadline)
    }

    /// Counts a machine that was leased in, whether or not it comes to a turn.
    pub(super) fn count_machine(&mut self, leased: &Leased) {
        if let Some(pass) = &mut self.pass {
            let record = &leased.record;
            let seen = Seen { step: record.step, attention: record.attention.is_some(), advanced: false };
            pass.machines.entry(record.key).or_insert(seen);
        }
    }

    /// Looks at what a turn did: for the report of a pass, and for notices it may have caused.
    pub(super) fn observe(&mut self, key: VmKey, turned: &Turned) {
        let Some(held) = self.machines.get_mut(&key) else { return };
        let Some(leased) = held.leased.as_deref() else { return };
        let attention = leased.record.attention.is_some();
        if matches!(turned, Turned::Rest) || (attention && !held.attention) {
            self.post.hint();
        }
        held.attention = attention;
        if let Some(seen) = self.pass.as_mut().and_then(|pass| pass.machines.get_mut(&key)) {
            let step = leased.record.step;
            seen.advanced |= seen.step != step || matches!(turned, Turned::Again(_) | Turned::Task(..));
            (seen.step, seen.attention) = (step, attention);
        }
    }

    pub(super) fn count_notices(&mut self, delivered: usize) {
        if let Some(pass) = &mut self.pass {
            pass.notices += delivered;
        }
    }

    /// Ends the pass when there is nothing left that it could wait for, or no time.
    pub(super) fn end_pass(&mut self, now: Instant) {
        let is_done = self.claims.exhausted
            && self.claims.is_idle()
            && self.machines.is_empty()
            && !self.post.is_away()
            && self.post.next().is_none_or(|at| at > now);
        let Some(pass) = &mut self.pass else { return };
        if !self.draining && (is_done || pass.deadline <= now) {
            pass.complete = is_done;
            self.draining = true;
        }
    }

    /// The store does not even take us in: there will be no pass.
    pub(super) fn pass_failed(&mut self, error: StoreError) {
        if let Some(pass) = &mut self.pass {
            pass.failed = Some(error);
            self.draining = true;
        }
    }
}
