//! Staying alive in the eyes of the store, and what happens when that failed.

use super::{
    Dispatcher,
    held::State,
    jobs::{Done, Job},
};
use deploy_core::{CommitError, Entropy, Gate, WorkerId};
use jiff::SignedDuration;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;
use tracing::{info, warn};

/// After a sign of life that did not get through, the next one follows soon.
const BEAT_AGAIN: Duration = Duration::from_secs(1);

/// A worker's life under one id.
pub(super) struct Life {
    pub(super) worker: WorkerId,
    /// Its leases hold until then, reckoned from before the last sign of life went out, so that we never believe in them
    /// longer than the store does; `None` before the first.
    alive_until: Option<Instant>,
    beat_at: Instant,
    /// A sign of life is under way, since then.
    beating: Option<Instant>,
    sweep_at: Instant,
    sweeping: bool,
    /// The id before this one, whose leases are still to be ended.
    previous: Option<WorkerId>,
}

impl Life {
    /// Begins under a fresh id.
    pub(super) fn begin(entropy: &(dyn Entropy + 'static), now: Instant) -> Self {
        Self {
            worker: WorkerId(entropy.uuid()),
            alive_until: None,
            beat_at: now,
            beating: None,
            sweep_at: now,
            sweeping: false,
            previous: None,
        }
    }

    pub(super) fn is_alive(&self) -> bool {
        self.alive_until.is_some()
    }

    pub(super) fn next(&self) -> Option<Instant> {
        let beat = self.beating.is_none().then_some(self.beat_at);
        let sweep = (self.is_alive() && !self.sweeping).then_some(self.sweep_at);
        [self.alive_until, beat, sweep].into_iter().flatten().min()
    }

    pub(super) fn swept(&mut self) {
        self.sweeping = false;
    }
}

impl Dispatcher {
    pub(super) fn keep_alive(&mut self, now: Instant) {
        if self.life.alive_until.is_some_and(|until| until <= now) {
            self.lose("no sign of life got through to the store in time");
        }
        if self.life.beating.is_none() && self.life.beat_at <= now {
            self.beat(now);
        }
        if self.life.is_alive() && !self.life.sweeping && self.life.sweep_at <= now {
            self.sweep(now);
        }
    }

    fn beat(&mut self, now: Instant) {
        let settings = &self.parts.settings;
        let worker = settings.worker(self.life.worker);
        let alive_for = SignedDuration::try_from(settings.alive_for).unwrap_or(SignedDuration::MAX);
        let patience = settings.beat_every();
        let store = Arc::clone(&self.parts.store);
        self.life.beating = Some(now);
        self.jobs.start(Job::Beat(worker.id), async move {
            let beat = tokio::time::timeout(patience, store.heartbeat(&worker, alive_for)).await;
            let late = || CommitError::Store(deploy_core::StoreError::not_written("no answer in time"));
            Done::Beat(worker.id, beat.unwrap_or_else(|_| Err(late())))
        });
    }

    pub(super) fn beaten(&mut self, worker: WorkerId, result: Result<(), CommitError>) {
        if worker != self.life.worker {
            return;
        }
        let Some(sent) = self.life.beating.take() else { return };
        match result {
            Ok(()) => {
                if !self.life.is_alive() {
                    info!(%worker, info = self.parts.settings.info, "taken in by the store");
                }
                self.life.alive_until = Some(sent + self.parts.settings.alive_for);
                self.life.beat_at = sent + self.parts.settings.beat_every();
            }
            Err(CommitError::Fenced) => self.lose("the store has given its machines up"),
            Err(CommitError::Store(error)) => {
                warn!(%worker, %error, "a sign of life did not get through");
                self.life.beat_at = Instant::now() + BEAT_AGAIN.min(self.parts.settings.beat_every());
                if !self.life.is_alive() {
                    self.pass_failed(error);
                }
            }
        }
    }

    /// Drops all machines and comes back under a new id: others may have them already.
    pub(super) fn lose(&mut self, why: &str) {
        let now = Instant::now();
        let lost = std::mem::replace(&mut self.life, Life::begin(&*self.parts.entropy, now));
        self.life.previous = Some(lost.worker);
        self.life.sweeping = lost.sweeping;
        warn!(lost = %lost.worker, worker = %self.life.worker, machines = self.machines.len(), why, "lost all leases");
        self.ready.clear();
        self.claims.restart(now);
        self.break_off_turns();
        let others = self.machines.iter().filter(|(_, held)| !matches!(held.state, State::Doomed));
        let others: Vec<_> = others.map(|(key, _)| *key).collect();
        for key in others {
            self.forget(key);
        }
    }

    /// Aborts the turns that are under way. They may be in the middle of something, also on another thread: their machines are
    /// not claimed again before they are gone.
    pub(super) fn break_off_turns(&mut self) {
        for held in self.machines.values_mut() {
            if let State::Working(abort) = &held.state {
                abort.abort();
                held.state = State::Doomed;
                self.working -= 1;
                self.doomed += 1;
            }
        }
    }

    /// Takes in what dead workers left behind, also ourselves under our last id.
    fn sweep(&mut self, now: Instant) {
        let store = Arc::clone(&self.parts.store);
        let previous = self.life.previous.take();
        self.life.sweeping = true;
        self.life.sweep_at = now + self.parts.settings.beat_every();
        self.jobs.start(Job::Sweep, async move {
            if let Some(previous) = previous
                && let Err(error) = store.retire(previous).await
            {
                warn!(worker = %previous, %error, "not retired; its time runs out by itself");
            }
            match store.sweep().await {
                Ok(0) => {}
                Ok(records) => info!(records, "took in what dead workers had held"),
                Err(error) => warn!(%error, "could not look for what dead workers hold"),
            }
            Done::Sweep
        });
    }

    /// The turn of a machine that was lost has ended.
    pub(super) fn doom(&mut self, key: deploy_core::VmKey) {
        self.doomed -= 1;
        self.machines.remove(&key);
        self.parts.turnstile.leave(key);
    }
}
