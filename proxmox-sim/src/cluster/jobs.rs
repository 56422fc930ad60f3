//! Running workers: their locks, their steps and their ends.

use std::collections::VecDeque;

use serde_json::Value;

use super::{CallId, Cluster, Event, Time};
use crate::flock::Flock;
use crate::reply::{Refusal, Reply};
use crate::task::TaskKey;
use crate::upid::Upid;
use crate::works::{Bench, Step, Work};

/// A worker under way.
#[derive(Debug)]
pub(super) struct Job {
    work: Box<dyn Work>,
    kind: &'static str,
    /// What the task is about.
    id: String,
    pub(super) node: String,
    pub(super) task: Option<TaskKey>,
    call: Option<CallId>,
    held: Vec<String>,
    wanted: VecDeque<Flock>,
    waiting: Option<Flock>,
    /// A task that is yet to be made of it.
    entering: Option<Entering>,
    steps: u32,
    /// The step before which it fails.
    doom: Option<u32>,
}

/// A worker that becomes a task once it has its locks and has done its first step.
#[derive(Debug)]
struct Entering {
    user: String,
    /// How long the call waits for the end.
    patience: Option<Time>,
}

impl Job {
    fn new(work: Box<dyn Work>, kind: &'static str, id: String, node: &str, doom: Option<u32>) -> Self {
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
            doom,
        }
    }

    fn answering(mut self, call: Option<CallId>) -> Self {
        self.call = call;
        self
    }
}

/// What an injected failure of a task is called.
const INJECTED: &str = "simulated failure";

impl Cluster {
    /// Starts a worker that becomes a task after its first step.
    pub(super) fn enter_task(
        &mut self,
        start: TaskStart,
        user: &str,
        doomed: bool,
        (call, patience): (CallId, Option<Time>),
    ) {
        let doom = self.doom(start.work.as_ref(), doomed).map(|step| step.max(1));
        let mut job = Job::new(start.work, start.kind, start.id, &start.node, doom).answering(Some(call));
        job.entering = Some(Entering { user: user.to_owned(), patience });
        self.begin(job);
    }

    /// Makes a worker that is past its first step a task, and answers its call.
    fn entered(&mut self, id: u64) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        let Some(entering) = job.entering.take() else {
            return;
        };
        let (kind, about, node, call) = (job.kind, job.id.clone(), job.node.clone(), job.call);
        let upid = self.new_upid(kind, &about, &node, &entering.user);
        let text = upid.to_string();
        let task = self.world.tasks.begin(upid);
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        job.task = Some(task);
        match (entering.patience, call) {
            (Some(patience), Some(call)) => self.schedule(patience, Event::Patience(call, text)),
            (None, Some(call)) => {
                job.call = None;
                self.respond(call, Reply::data(&text.into()));
            }
            _ => {}
        }
    }

    fn new_upid(&mut self, kind: &str, id: &str, node: &str, user: &str) -> Upid {
        let uptime = u64::try_from(self.world.now.as_millis() / 10).unwrap_or(u64::MAX);
        Upid {
            node: node.to_owned(),
            pid: self.world.random.pid(),
            pstart: 100_000 + uptime,
            starttime: self.world.unix(),
            kind: kind.to_owned(),
            id: id.to_owned(),
            user: user.to_owned(),
        }
    }

    /// Starts a worker behind a task and returns its UPID.
    pub(super) fn begin_task(
        &mut self,
        start: TaskStart,
        user: &str,
        doomed: bool,
        call: Option<CallId>,
    ) -> String {
        let upid = self.new_upid(start.kind, &start.id, &start.node, user);
        let text = upid.to_string();
        let doom = self.doom(start.work.as_ref(), doomed);
        let id = upid.id.clone();
        let mut job = Job::new(start.work, start.kind, id, &start.node, doom).answering(call);
        job.task = Some(self.world.tasks.begin(upid));
        self.begin(job);
        text
    }

    /// Before which step an injected failure strikes.
    fn doom(&mut self, work: &dyn Work, doomed: bool) -> Option<u32> {
        let roll = self.world.random.roll() * f64::from(work.phases());
        // The number of phases is small; what matters is that every one is hit now and then.
        let earlier = (1..work.phases()).take_while(|n| f64::from(*n) <= roll).count();
        doomed.then(|| 1 + u32::try_from(earlier).unwrap_or(0))
    }

    /// Starts a worker behind a synchronous call.
    pub(super) fn begin_call(&mut self, work: Box<dyn Work>, node: &str, call: CallId, doomed: bool) {
        let doom = self.doom(work.as_ref(), doomed);
        let job = Job::new(work, "call", String::new(), node, doom).answering(Some(call));
        self.begin(job);
    }

    fn begin(&mut self, mut job: Job) {
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
                if self.locks.take(id, &flock) {
                    job.held.push(flock.key);
                    continue;
                }
                if let Some(task) = job.task {
                    self.world.tasks.log(task, waiting_line(&flock));
                }
                let timeout = flock.timeout;
                job.waiting = Some(flock);
                self.schedule(timeout, Event::LockTimeout(id));
                return;
            }
            if job.doom.is_some_and(|step| job.steps >= step) {
                self.abandon(id, INJECTED);
                return;
            }
            job.steps += 1;
            let mut bench = Bench { world: &mut self.world, task: job.task, released: Vec::new(), next: None };
            let step = job.work.step(&mut bench);
            let (released, next) = (bench.released, bench.next);
            self.give_back(id, &released);
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
                        self.begin_task(start, &user, false, None);
                    }
                    return;
                }
                Step::Warned(count) => return self.finish(id, Ok((Value::Null, count))),
                Step::Failed(text) => return self.finish(id, Err(text)),
                Step::Refused(refusal) => return self.finish_refused(id, refusal),
            }
        }
    }

    pub(super) fn lock_timeout(&mut self, id: u64) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        // The wake-up of an earlier wait that ended well.
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
        let mut bench = Bench { world: &mut self.world, task: job.task, released: Vec::new(), next: None };
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

    /// Starts a worker that belongs to no call.
    pub(super) fn begin_aside(&mut self, work: Box<dyn Work>, node: &str) {
        self.begin(Job::new(work, "aside", String::new(), node, None));
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
        self.release_all(id, job.held, job.waiting);
    }

    fn finish(&mut self, id: u64, outcome: Result<(Value, u32), String>) {
        let Some(job) = self.jobs.remove(&id) else {
            return;
        };
        if let Some(task) = job.task {
            let now = self.world.unix();
            let result = outcome.as_ref().map(|(_, warnings)| *warnings).map_err(String::as_str);
            self.world.tasks.finish(task, now, result);
            self.counters.task(job.kind, outcome.is_ok());
            if let (true, Some(vmid)) = (outcome.is_ok(), job.work.makes()) {
                self.counters.made(job.kind, vmid);
            }
        }
        if let Some(call) = job.call {
            let reply = match (outcome, job.task) {
                (Ok((value, _)), None) => Reply::data(&value),
                (Ok(_), Some(_)) => Reply::data(&Value::Null),
                (Err(text), Some(_)) if job.kind == "qmconfig" => {
                    Refusal::Die(format!("failed to update VM {}: {text}", job.id)).reply()
                }
                (Err(text), _) => Refusal::Die(text).reply(),
            };
            self.respond(call, reply);
        }
        self.release_all(id, job.held, job.waiting);
    }

    /// Ends a worker with a refusal: a call is answered with it, a task has its text.
    fn finish_refused(&mut self, id: u64, refusal: Refusal) {
        let text = refusal.task_text();
        let answered = self.jobs.get_mut(&id).filter(|job| job.task.is_none()).and_then(|job| job.call.take());
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

/// A task to be started.
#[derive(Debug)]
pub(crate) struct TaskStart {
    pub(crate) kind: &'static str,
    pub(crate) id: String,
    pub(crate) node: String,
    pub(crate) work: Box<dyn Work>,
}

fn waiting_line(flock: &Flock) -> String {
    match flock.failure.strip_prefix("cfs-lock '").and_then(|rest| rest.split('\'').next()) {
        Some(name) => format!("trying to acquire cfs lock '{name}' ..."),
        None => "trying to acquire lock...".to_owned(),
    }
}
