//! Running workers: their locks and their steps.

use serde_json::Value;

use super::doom::Doom;
use super::job::Job;
use super::start::TaskStart;
use super::{Cluster, Event, Time};
use crate::flock::Flock;
use crate::works::{Bench, Step};

/// What an injected failure of a task is called.
const INJECTED: &str = "simulated failure";

impl Cluster {
    pub(super) fn begin(&mut self, mut job: Job) {
        self.sequence += 1;
        let id = self.sequence;
        job.wanted = job.work.locks(&self.world).into();
        self.jobs.insert(id, job);
        self.run(id);
    }

    /// Lets a worker go on until it has to wait.
    pub(super) fn run(&mut self, id: u64) {
        loop {
            let Some(job) = self.jobs.get_mut(&id) else {
                return;
            };
            if let Some(flock) = job.wanted.pop_front() {
                let starves = job.doom.as_mut().is_some_and(Doom::starves);
                if starves {
                    self.counters.struck("lock_timeout");
                } else if self.locks.take(id, &flock) {
                    job.held.push(flock.key);
                    continue;
                }
                if let Some(task) = job.task {
                    self.world.tasks.log(task, waiting_line(&flock));
                }
                let timeout = flock.timeout;
                job.waiting = Some(flock);
                job.waits += 1;
                let wait = job.waits;
                self.schedule(timeout, Event::LockTimeout(id, wait));
                return;
            }
            if job.doom.is_some_and(|doom| doom.kills(job.steps)) {
                return self.strike_dead(id);
            }
            if job.doom.is_some_and(|doom| doom.fails(job.steps)) {
                self.counters.struck("task");
                self.abandon(id, INJECTED);
                return;
            }
            job.steps += 1;
            let mut bench = Bench::new(&mut self.world, job.task);
            let step = job.work.step(&mut bench);
            let (released, next, broken, interrupts) =
                (bench.released, bench.next, bench.broken, bench.interrupts);
            let doom = job.doom;
            self.give_back(id, &released);
            for task in interrupts {
                self.interrupt(task);
            }
            let ended = matches!(step, Step::Done(_) | Step::Warned(_));
            if doom.is_some_and(|doom| doom.is_death() && (broken || ended)) {
                if !broken {
                    self.count_made(id);
                }
                return self.strike_dead(id);
            }
            if let Some(doom) = doom.filter(|_| broken) {
                self.counters.struck(doom.name());
            }
            if !matches!(step, Step::Failed(_) | Step::Refused(_)) {
                self.entered(id);
            }
            match step {
                Step::After(time) if time.is_zero() => {}
                Step::After(time) => {
                    self.schedule(time, Event::Step(id));
                    return;
                }
                Step::Take(flock) => {
                    if let Some(job) = self.jobs.get_mut(&id) {
                        job.wanted.push_back(flock);
                    }
                }
                Step::Done(value) => {
                    let started = self.jobs.get(&id).map(|job| (job.node.clone(), job.task));
                    self.finish(id, Ok((value, 0)));
                    if let (Some((kind, about, work)), Some((node, task))) = (next, started) {
                        let user = task.and_then(|key| self.world.tasks.user(key)).unwrap_or_default();
                        let start = TaskStart { kind, id: about, node, work };
                        self.begin_task(start, &user, None, None);
                    }
                    return;
                }
                Step::Warned(count) => return self.finish(id, Ok((Value::Null, count))),
                Step::Failed(text) => return self.finish(id, Err(text)),
                Step::Refused(refusal) => return self.finish_refused(id, refusal),
            }
        }
    }

    pub(super) fn lock_timeout(&mut self, id: u64, wait: u32) {
        // The wake-up of an earlier wait that ended well is none of this one's.
        let Some(job) = self.jobs.get_mut(&id).filter(|job| job.waits == wait) else {
            return;
        };
        let Some(flock) = job.waiting.take() else {
            return;
        };
        self.counters.lock_timeouts += 1;
        self.locks.give_up(id, &flock.key);
        if job.steps == 0 {
            self.finish(id, Err(flock.failure));
        } else {
            self.abandon(id, &flock.failure);
        }
    }

    pub(super) fn release_all(&mut self, id: u64, held: Vec<String>, waiting: Option<Flock>) {
        if let Some(flock) = waiting {
            self.locks.give_up(id, &flock.key);
        }
        for key in held {
            let woken = self.locks.release(id, &key);
            self.wake(woken, &key);
        }
    }

    fn give_back(&mut self, id: u64, keys: &[String]) {
        for key in keys {
            if let Some(job) = self.jobs.get_mut(&id) {
                job.held.retain(|held| held != key);
            }
            let woken = self.locks.release(id, key);
            self.wake(woken, key);
        }
    }

    fn wake(&mut self, woken: Vec<u64>, key: &str) {
        for id in woken {
            if let Some(job) = self.jobs.get_mut(&id) {
                job.held.push(key.to_owned());
                let file = job.waiting.take().is_some_and(|flock| !flock.failure.starts_with("cfs-lock"));
                if let (Some(task), true) = (job.task, file) {
                    self.world.tasks.log(task, " OK".to_owned());
                }
                self.schedule(Time::ZERO, Event::Step(id));
            }
        }
    }
}

fn waiting_line(flock: &Flock) -> String {
    match flock.failure.strip_prefix("cfs-lock '").and_then(|rest| rest.split('\'').next()) {
        Some(name) => format!("trying to acquire cfs lock '{name}' ..."),
        None => "trying to acquire lock...".to_owned(),
    }
}
