//! Turns: starting them, and where a machine goes from each.

use super::{
    Dispatcher,
    held::{News, State},
    jobs::{Done, Job, TurnError},
};
use crate::{driver::Driver, watch::Work};
use deploy_core::{
    CommitError, Due, ErrorClass, Gate, Known, Lease, LeaseStore, Leased, Machine, Progress, TaskId, Turned,
    VmKey, VmRecord,
};
use jiff::Timestamp;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;
use tracing::{Instrument, info_span, warn};

impl Dispatcher {
    /// Puts a machine into the queue for a turn, behind those that are there.
    pub(super) fn queue(&mut self, key: VmKey) {
        if let Some(held) = self.machines.get_mut(&key) {
            held.state = State::Ready;
            self.ready.push_back(key);
        }
    }

    pub(super) fn start_turns(&mut self) {
        while self.working < self.parts.settings.turns {
            let Some(key) = self.ready.pop_front() else { return };
            self.start_turn(key);
        }
    }

    fn start_turn(&mut self, key: VmKey) {
        let Some(held) = self.machines.get_mut(&key) else { return };
        let lease = held.lease;
        let (leased, known) = (held.leased.take(), std::mem::take(&mut held.known));
        let stale = std::mem::take(&mut held.stale);
        held.news = News::default();
        let span = info_span!("turn", vm = %key, step = %held.step);
        let (store, driver) = (Arc::clone(&self.parts.store), Arc::clone(&self.parts.driver));
        let work = async move {
            let (leased, result) = take_turn(&*store, &*driver, lease, leased, stale, known).await;
            Done::Turn(lease, leased, result.map_err(TurnError::Commit))
        };
        held.state = State::Working(self.jobs.start(Job::Turn(lease), work.instrument(span)));
        self.working += 1;
    }

    pub(super) fn turned(
        &mut self,
        lease: Lease,
        leased: Option<Box<Leased>>,
        result: Result<Turned, TurnError>,
    ) {
        let key = lease.key;
        let Some(held) = self.machines.get_mut(&key) else { return };
        if let State::Doomed = held.state {
            return self.doom(key);
        }
        self.working -= 1;
        if let Some(leased) = &leased {
            held.step = leased.record.step;
        }
        held.leased = leased;
        match result {
            Ok(turned) => {
                held.troubles = 0;
                self.observe(key, &turned);
                self.proceed(key, turned);
            }
            Err(TurnError::Commit(CommitError::Fenced)) => {
                warn!(vm = %key, "the machine belongs to another worker now; dropped");
                self.forget(key);
            }
            Err(TurnError::Commit(CommitError::Store(error))) => {
                warn!(vm = %key, %error, "the store failed during a turn; reading the record again");
                self.trouble(key, ErrorClass::Unreachable);
            }
            Err(TurnError::Panicked(words)) => self.confess(lease, words),
            Err(TurnError::Broken) => self.trouble(key, ErrorClass::Failed),
        }
    }

    /// Goes where the turn leads.
    fn proceed(&mut self, key: VmKey, turned: Turned) {
        let Some(held) = self.machines.get_mut(&key) else { return };
        held.stale |= held.news.command;
        // A command, or a place that became free since, makes another turn worth it at once.
        let again = held.news.command || (held.news.place && matches!(turned, Turned::Slot(_)));
        if !matches!(turned, Turned::Slot(_)) {
            self.parts.turnstile.withdraw(key);
        }
        self.unwatch(key, &turned);
        match turned {
            // A machine on its way goes before those that have not begun: many finished ones rather than many half ones.
            Turned::Again(machine) => self.go_on(key, Known { task: None, machine }),
            Turned::Task(_, machine) if again => {
                self.keep(key, machine);
                self.queue(key);
            }
            _ if again => self.queue(key),
            Turned::Task(task, machine) => {
                self.keep(key, machine);
                self.park_on_task(key, task, false);
            }
            Turned::Slot(slot) => self.park(key, State::OnSlot(slot)),
            Turned::Until(at) => self.park_until(key, at),
            Turned::Rest => self.release(key),
        }
    }

    fn go_on(&mut self, key: VmKey, known: Known) {
        if let Some(held) = self.machines.get_mut(&key) {
            held.known = known;
            held.state = State::Ready;
            self.ready.push_front(key);
        }
    }

    /// What the next turn need not look at.
    fn keep(&mut self, key: VmKey, machine: Option<Box<Machine>>) {
        if let Some(held) = self.machines.get_mut(&key) {
            held.known.machine = machine;
        }
    }

    fn park(&mut self, key: VmKey, state: State) {
        if let Some(held) = self.machines.get_mut(&key) {
            held.state = state;
        }
    }

    /// Waits for a task, which was submitted a moment ago or is `resumed`.
    pub(super) fn park_on_task(&mut self, key: VmKey, task: TaskId, resumed: bool) {
        let Some(held) = self.machines.get_mut(&key) else { return };
        let Some(leased) = held.leased.as_deref() else { return self.queue(key) };
        if held.watched.as_ref().is_none_or(|(_, watched)| *watched != task) {
            let work = Work::of(&leased.record);
            held.watched = Some((work.place.clone(), task.clone()));
            self.watch.watch(work, resumed, task.clone(), key, Instant::now());
        }
        held.state = State::OnTask(task);
    }

    /// Ends the watch over a task that is no longer waited for.
    fn unwatch(&mut self, key: VmKey, turned: &Turned) {
        let Some(held) = self.machines.get_mut(&key) else { return };
        let stays = |watched: &TaskId| matches!(turned, Turned::Task(task, _) if task == watched);
        if let Some((place, task)) = held.watched.take_if(|(_, watched)| !stays(watched)) {
            self.watch.forget(&place, &task);
        }
    }

    /// Waits for a time: in hand if it is near, in the store if it is far and the store knows it.
    fn park_until(&mut self, key: VmKey, at: Timestamp) {
        let moment = self.moment(at);
        let keep_until = self.deadline().unwrap_or_else(|| Instant::now() + self.parts.settings.keep);
        let Some(held) = self.machines.get(&key) else { return };
        // Where the store has an earlier time, it would be claimed again at once. And while its task works it keeps its
        // slots, which are only known here.
        let is_stored = |record: &VmRecord| {
            record.pending.is_empty()
                && !matches!(record.progress, Progress::Submitted { .. })
                && matches!(record.due, Due::At(due) if self.moment(due) > keep_until)
        };
        if moment > keep_until && held.leased.as_deref().is_some_and(|leased| is_stored(&leased.record)) {
            self.release(key);
        } else {
            let alarm = self.alarms.set(moment, key);
            self.park(key, State::Until(at, alarm));
        }
    }

    /// Tries again later, after a failure that is not the machine's.
    fn trouble(&mut self, key: VmKey, class: ErrorClass) {
        let Some((at, troubles)) = self.later(key, class) else { return };
        // Its place in a queue goes to those who can use it.
        self.parts.turnstile.withdraw(key);
        let alarm = self.alarms.set(at, key);
        if let Some(held) = self.machines.get_mut(&key) {
            held.troubles = troubles;
            // After a lost answer nobody knows what was written.
            held.stale = true;
            held.state = State::Troubled(alarm);
        }
    }

    fn later(&self, key: VmKey, class: ErrorClass) -> Option<(Instant, u32)> {
        let troubles = self.machines.get(&key)?.troubles.saturating_add(1);
        let delay = Duration::try_from(self.parts.policy.delay(key, troubles, class)).unwrap_or_default();
        Some((Instant::now() + delay, troubles))
    }

    pub(super) fn ring_alarms(&mut self, now: Instant) {
        while let Some((key, alarm)) = self.alarms.ringing(now) {
            let Some(held) = self.machines.get(&key).filter(|held| held.waits_for(alarm)) else { continue };
            match (&held.state, held.task()) {
                (State::Unreleased(_), _) => self.release(key),
                // Together with all others, instead of asking for it alone.
                (State::Until(..), Some(task)) if !held.stale => self.park_on_task(key, task, true),
                _ => self.queue(key),
            }
        }
    }

    /// A slot that a machine waits for may be free.
    pub(super) fn called(&mut self, key: VmKey) {
        let Some(held) = self.machines.get_mut(&key) else { return };
        held.news.place = true;
        if let State::OnSlot(_) = held.state {
            self.queue(key);
        }
    }

    /// Ends the lease of a machine for which there is nothing to do.
    fn release(&mut self, key: VmKey) {
        self.parts.turnstile.leave(key);
        let Some(held) = self.machines.get_mut(&key) else { return };
        held.state = State::Releasing;
        held.news = News::default();
        let (store, lease) = (Arc::clone(&self.parts.store), held.lease);
        self.jobs
            .start(Job::Release(lease), async move { Done::Release(lease, store.release(&lease).await) });
    }

    pub(super) fn released(&mut self, lease: Lease, result: Result<(), CommitError>) {
        let key = lease.key;
        let Some(held) = self.machines.get_mut(&key).filter(|held| held.lease == lease) else { return };
        let State::Releasing = held.state else { return };
        held.stale = true;
        match result {
            Ok(()) | Err(CommitError::Fenced) => {
                if held.news.command {
                    self.claims.hint(key, Instant::now());
                }
                self.forget(key);
            }
            // Perhaps still ours, and then there is something to do.
            Err(CommitError::Store(_)) if held.news.command => self.queue(key),
            // Kept, or nobody would ever get it while we live.
            Err(CommitError::Store(error)) => {
                warn!(vm = %key, %error, "a lease could not be ended; it is tried again");
                let Some((at, troubles)) = self.later(key, ErrorClass::Unreachable) else { return };
                let alarm = self.alarms.set(at, key);
                if let Some(held) = self.machines.get_mut(&key) {
                    held.troubles = troubles;
                    held.state = State::Unreleased(alarm);
                }
            }
        }
    }
}

/// Takes one turn, on a record read anew where that is needed. The record comes back with the result.
async fn take_turn(
    store: &dyn LeaseStore,
    driver: &dyn Driver,
    lease: Lease,
    leased: Option<Box<Leased>>,
    stale: bool,
    known: Known,
) -> (Option<Box<Leased>>, Result<Turned, CommitError>) {
    let mut leased = match leased {
        Some(leased) if !stale => leased,
        old => match store.reload(&lease).await {
            Ok(record) => match old {
                Some(mut leased) => {
                    leased.record = record;
                    leased
                }
                None => Box::new(Leased::new(lease, record)),
            },
            Err(error) => return (old, Err(error)),
        },
    };
    let result = driver.turn(&mut leased, known).await;
    (Some(leased), result)
}
