//! Running workers: their locks, their steps and their ends.

use std::collections::VecDeque;

use serde_json::Value;

use super::doom::Doom;
use super::start::{Entering, TaskStart};
use super::{CallId, Cluster, Event, Time};
use crate::flock::Flock;
use crate::reply::{Refusal, Reply};
use crate::task::TaskKey;
use crate::works::{Bench, Step, Work};

/// A worker under way.
#[derive(Debug)]
pub(super) struct Job {
    work: Box<dyn Work>,
    pub(super) kind: &'static str,
    /// What the task is about.
    pub(super) id: String,
    pub(super) node: String,
    pub(super) task: Option<TaskKey>,
    pub(super) call: Option<CallId>,
    held: Vec<String>,
    wanted: VecDeque<Flock>,
    waiting: Option<Flock>,
    /// A task that is yet to be made of it.
    pub(super) entering: Option<Entering>,
    steps: u32,
    /// How often it has waited for a lock.
    waits: u32,
    /// What an injected fault will do to it.
    doom: Option<Doom>,
}

impl Job {
    pub(super) fn new(
        work: Box<dyn Work>,
        kind: &'static str,
        id: String,
        node: &str,
        doom: Option<Doom>,
    ) -> Self {
        Self {
            work,
            kind,
            id,
            node: node.to_owned(),
            task: None,
            call: None,
            held: Vec::new(),
            wanted: VecDeque::new(),
            waiting: None,
            entering: None,
            steps: 0,
            waits: 0,
            doom,
        }
    }

    /// Whether it is to leave a clean-up behind. Stopping a machine that does not run is one step.
    fn lingers(&self) -> bool {
        self.doom.is_some_and(|doom| doom.lingers()) && self.steps > 1
    }

    /// Whether it works on that machine, and does not only wait for it or keep others out.
    pub(super) fn works_on(&self, vmid: u32) -> bool {
        let lock = format!("/lock-{vmid}");
        // A backup needs the lock of the file only to begin.
        let backup = self.kind == "vzdump" && self.id == vmid.to_string();
        self.kind != "aside" && (backup || self.held.iter().any(|key| key.ends_with(&lock)))
    }

    /// The machines that it has to do with: what its task is about, what it makes, what it has locked.
    pub(super) fn machines(&self) -> impl Iterator<Item = u32> {
        let locked = self.held.iter().filter_map(|key| key.rsplit_once("/lock-")?.1.parse().ok());
        self.id.parse().ok().into_iter().chain(self.makes()).chain(locked)
    }

    /// The machine that it makes or destroys.
    pub(super) fn makes(&self) -> Option<u32> {
        self.work.makes()
    }

    pub(super) fn answering(mut self, call: Option<CallId>) -> Self {
        self.call = call;
        self
    }
}

/// What an injected failure of a task is called.
const INJECTED: &str = "simulated failure";

/// What an injected warning of a task is called.
const WARNED: &str = "simulated warning";

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
            let (released, next, broken) = (bench.released, bench.next, bench.broken);
            let doom = job.doom;
            self.give_back(id, &released);
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
        self.locks.give_up(id, &flock.key);
        if job.steps == 0 {
            self.finish(id, Err(flock.failure));
        } else {
            self.abandon(id, &flock.failure);
        }
    }

    fn abandon(&mut self, id: u64, reason: &str) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        let mut bench = Bench::new(&mut self.world, job.task);
        let text = job.work.abandon(&mut bench, reason);
        self.finish(id, Err(text));
    }

    /// Stops the worker of a task, as a signal would; it cleans up.
    pub(super) fn interrupt(&mut self, task: TaskKey) {
        let found = self.jobs.iter().find(|(_, job)| job.task == Some(task)).map(|(id, _)| *id);
        if let Some(id) = found {
            self.abandon(id, "received interrupt");
        }
    }

    /// Whether the worker of a task does not stop in the time it is given.
    pub(super) fn heedless(&self, task: TaskKey) -> bool {
        self.jobs.values().any(|job| job.task == Some(task) && job.work.heedless())
    }

    /// Kills the worker of a task.
    pub(super) fn kill_task(&mut self, task: TaskKey) {
        let found = self.jobs.iter().find(|(_, job)| job.task == Some(task)).map(|(id, _)| *id);
        if let Some(id) = found {
            self.kill(id);
        }
    }

    /// Kills every worker of a node; nothing is cleaned up.
    pub(super) fn kill_workers(&mut self, node: &str) {
        let dead: Vec<u64> =
            self.jobs.iter().filter(|(_, job)| job.node == node).map(|(id, _)| *id).collect();
        for id in dead {
            self.kill(id);
        }
    }

    /// Kills a worker as an injected fault.
    fn strike_dead(&mut self, id: u64) {
        self.counters.struck("killed");
        self.kill(id);
    }

    /// Counts what a worker has made.
    fn count_made(&mut self, id: u64) {
        if let Some((kind, vmid)) = self.jobs.get(&id).and_then(|job| Some((job.kind, job.makes()?))) {
            self.counters.made(kind, vmid);
        }
    }

    fn kill(&mut self, id: u64) {
        let Some(job) = self.jobs.remove(&id) else {
            return;
        };
        if let Some(task) = job.task {
            let now = self.world.unix();
            self.world.tasks.vanish(task, now);
            self.counters.task(job.kind, false);
        }
        if let Some(call) = job.call {
            self.respond(call, Reply::bare(596, "Broken pipe"));
        }
        self.note_locks(&job);
        self.release_all(id, job.held, job.waiting);
    }

    fn finish(&mut self, id: u64, mut outcome: Result<(Value, u32), String>) {
        let Some(job) = self.jobs.remove(&id) else {
            return;
        };
        let lingering = outcome.is_ok() && job.lingers();
        if let Some(task) = job.task {
            if let Ok((_, warnings @ 0)) = &mut outcome
                && job.doom.is_some_and(|doom| doom.warns())
            {
                *warnings = 1;
                self.world.tasks.log(task, format!("WARN: {WARNED}"));
                self.counters.struck("warnings");
            }
            let now = self.world.unix();
            let result = outcome.as_ref().map(|(_, warnings)| *warnings).map_err(String::as_str);
            self.world.tasks.finish(task, now, result);
            self.counters.task(job.kind, outcome.is_ok());
            if let (true, Some(vmid)) = (outcome.is_ok(), job.makes()) {
                self.counters.made(job.kind, vmid);
            }
        }
        if let Some(call) = job.call {
            let reply = match (outcome, job.task) {
                (Ok((value, _)), None) => Reply::data(value),
                (Ok(_), Some(_)) => Reply::data(Value::Null),
                (Err(text), Some(_)) if job.kind == "qmconfig" => {
                    Refusal::Die(format!("failed to update VM {}: {text}", job.id)).reply()
                }
                (Err(text), _) => Refusal::Die(text).reply(),
            };
            self.respond(call, reply);
        }
        self.note_locks(&job);
        self.release_all(id, job.held, job.waiting);
        if let Some(vmid) = job.id.parse().ok().filter(|_| lingering) {
            self.counters.struck("linger");
            self.linger(&job.node, vmid);
        }
    }

    /// Ends a worker with a refusal: a call is answered with it, a task has its text.
    fn finish_refused(&mut self, id: u64, refusal: Refusal) {
        let text = refusal.task_text();
        let answered =
            self.jobs.get_mut(&id).filter(|job| job.task.is_none()).and_then(|job| job.call.take());
        if let Some(call) = answered {
            self.respond(call, refusal.reply());
        }
        self.finish(id, Err(text));
    }

    fn release_all(&mut self, id: u64, held: Vec<String>, waiting: Option<Flock>) {
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
                let machine = job.waiting.take().is_some_and(|flock| flock.failure.contains("qemu-server"));
                if let (Some(task), true) = (job.task, machine) {
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
