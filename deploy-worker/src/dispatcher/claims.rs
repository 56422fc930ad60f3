//! Leasing due records.

use super::{
    Dispatcher,
    held::{Held, State},
    jobs::{Claimed, Done, Job},
};
use deploy_core::{Leased, Progress, StoreError, StoreOutcome, TaskId, VmKey, WorkerId, slots};
use jiff::Timestamp;
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::time::Instant;
use tracing::{debug, warn};

/// When the store says that a record is due in a moment, this is the shortest one.
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);

/// When the store is looked into next.
pub(super) struct Claims {
    at: Instant,
    /// A claim is under way, under this id.
    claiming: Option<WorkerId>,
    /// Rung for since the claim went out: their records may have been read before the ring.
    rung: BTreeSet<VmKey>,
    /// Woken since the claim went out: it may have looked before there was something.
    woken: bool,
    /// The last claim got all there was.
    pub(super) exhausted: bool,
}

impl Claims {
    pub(super) fn new(now: Instant) -> Self {
        Self { at: now, claiming: None, rung: BTreeSet::new(), woken: false, exhausted: false }
    }

    /// Forgets the claim under way; its answer will be nobody's.
    pub(super) fn restart(&mut self, now: Instant) {
        *self = Self::new(now);
    }

    pub(super) fn is_idle(&self) -> bool {
        self.claiming.is_none() && !self.woken
    }

    /// There may be something to claim.
    pub(super) fn wake(&mut self, now: Instant) {
        self.at = self.at.min(now);
        self.exhausted = false;
        self.woken |= self.claiming.is_some();
    }

    /// There is something to claim.
    pub(super) fn hint(&mut self, key: VmKey, now: Instant) {
        self.wake(now);
        if self.claiming.is_some() {
            self.rung.insert(key);
        }
    }
}

impl Dispatcher {
    /// How many more machines can be taken. Only as many as can be worked on at once, so that other workers get theirs.
    fn room(&self) -> usize {
        let settings = &self.parts.settings;
        let turns = settings.turns.saturating_sub(self.ready.len() + self.working);
        turns.min(settings.machines.saturating_sub(self.machines.len()))
    }

    /// When the next claim goes out; `None` where none can.
    pub(super) fn next_claim(&self) -> Option<Instant> {
        let can = self.life.is_alive()
            && self.claims.claiming.is_none()
            // A turn that was aborted may still be on its way out with a machine that would be claimed again.
            && self.doomed == 0
            && self.room() > 0;
        can.then_some(self.claims.at)
    }

    pub(super) fn claim(&mut self, now: Instant) {
        if self.next_claim().is_none_or(|at| at > now) {
            return;
        }
        let store = Arc::clone(&self.parts.store);
        let (worker, room) = (self.life.worker, self.room());
        self.claims.claiming = Some(worker);
        self.jobs.start(Job::Claim(worker), async move {
            Done::Claim(worker, claim(&*store, worker, room).await)
        });
    }

    pub(super) fn claimed(&mut self, worker: WorkerId, result: Result<Claimed, StoreError>) {
        if self.claims.claiming != Some(worker) {
            return;
        }
        self.claims.claiming = None;
        let now = Instant::now();
        let rung = std::mem::take(&mut self.claims.rung);
        let again = std::mem::take(&mut self.claims.woken);
        match result {
            Ok(claimed) => {
                debug!(machines = claimed.machines.len(), "claimed");
                let pause = self.pause(&claimed);
                self.claims.exhausted = !claimed.full && !again;
                self.claims.at = if claimed.full || again { now } else { now + pause };
                for leased in claimed.machines {
                    let stale = rung.contains(&leased.lease.key);
                    if !self.take_in(leased, stale) {
                        break;
                    }
                }
            }
            Err(StoreError { message, outcome: StoreOutcome::NotWritten }) => {
                warn!(error = message, "could not look for due machines");
                self.claims.at = now + self.poll();
            }
            // We may hold machines that we do not know of, and nobody else would ever get them.
            Err(StoreError { outcome: StoreOutcome::Unknown, .. }) => {
                self.lose("it is not known what was leased: the answer was lost");
                self.claims.at = now + self.poll();
            }
        }
    }

    /// How long until the next claim is worth it.
    fn pause(&self, claimed: &Claimed) -> Duration {
        let poll = self.poll();
        let Some(due) = claimed.next_due else { return poll };
        match Duration::try_from(due.duration_since(self.parts.clock.now())) {
            Ok(wait) if !wait.is_zero() => wait.max(SHORTEST_PAUSE).min(poll),
            // Due, but not to be had: the store's clock is behind ours, or another worker was quicker.
            _ => poll / 4,
        }
    }

    /// The pause between two looks into the store, up to a quarter shorter than was asked for: workers that were started, or
    /// lost their store, at the same moment do not look at the same moment for ever.
    fn poll(&self) -> Duration {
        let [part] = self.parts.entropy.bytes();
        self.parts.settings.poll * (768 + u32::from(part)) / 1023
    }

    /// Takes a machine in; `false` where that showed that our view of what we hold is wrong.
    fn take_in(&mut self, leased: Leased, stale: bool) -> bool {
        let key = leased.lease.key;
        match self.machines.get(&key).map(|held| &held.state) {
            None => {}
            Some(State::Working(_) | State::Doomed) => {
                self.lose("a machine in hand was leased anew");
                return false;
            }
            // Its release was carried out and has not been heard of yet.
            Some(_) => self.forget(key),
        }
        self.count_machine(&leased);
        let task = self.resume(&leased);
        let mut held = Held::new(leased);
        held.stale = stale;
        self.machines.insert(key, held);
        match task {
            Some(task) if !stale => self.park_on_task(key, task, true),
            _ => self.queue(key),
        }
        true
    }

    /// Takes the slots of a change that an earlier run submitted, also where that is one too many; says for which task there
    /// is nothing to do but to wait, together with all others instead of asking for it alone.
    fn resume(&self, leased: &Leased) -> Option<TaskId> {
        let record = &leased.record;
        let Progress::Submitted { task, change } = &record.progress else { return None };
        self.parts.turnstile.occupy(record.key, &slots(record, change.kind, &record.node));
        record.pending.is_empty().then(|| task.clone())
    }

    /// A machine was ordered, or a command was given to it.
    pub(super) fn rung(&mut self, key: VmKey) {
        let Some(held) = self.machines.get_mut(&key) else {
            self.claims.hint(key, Instant::now());
            return;
        };
        match held.state {
            State::Working(_) | State::Releasing => held.news.command = true,
            State::Doomed => self.claims.hint(key, Instant::now()),
            State::Ready => held.stale = true,
            State::OnTask(_) => {
                held.stale = true;
                // The watch would have said so if it had ended; the turn need not ask for it alone.
                held.known.task = Some(deploy_core::TaskState::Running);
                self.queue(key);
            }
            State::OnSlot(_) | State::Until(..) | State::Troubled(_) | State::Unreleased(_) => {
                held.stale = true;
                self.queue(key);
            }
        }
    }
}

async fn claim(
    store: &dyn deploy_core::LeaseStore,
    worker: WorkerId,
    room: usize,
) -> Result<Claimed, StoreError> {
    let machines = store.claim(worker, room).await?;
    let full = machines.len() >= room;
    // What was claimed is ours whether or not this is answered.
    let next_due: Option<Timestamp> = if full { None } else { store.next_due().await.unwrap_or_default() };
    Ok(Claimed { machines, full, next_due })
}
