//! The simulated cluster, without any IO.
//!
//! Time is an argument everywhere. A caller hands in requests and the time, asks when the next thing
//! will happen by itself, and comes back then.

mod daemon;
mod doom;
mod ends;
mod ha_manager;
mod intake;
mod job;
mod jobs;
mod mishaps;
mod people;
mod stale_locks;
mod start;
mod state;
mod switch;

use std::collections::BTreeMap;

use serde_json::Value;

pub use stale_locks::StaleLock;
pub use switch::Switch;

use crate::config::ClusterConfig;
use crate::counters::Counters;
use crate::faults::{FaultSource, Faults};
use crate::flock::LockTable;
use crate::journal::{Entry, Journal};
use crate::reply::{Answer, Reply};
use crate::request::Request;
use crate::task_times::{TaskTimes, TaskTimesLog};
use crate::timing::{Latency, seconds_of};
use crate::version::Version;
use crate::world::{Time, World};
use daemon::Daemons;
use job::Job;
use mishaps::MishapSource;

/// A request whose answer comes later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallId(u64);

/// What came of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Handled {
    /// Answered.
    Now(Answer),
    /// Still at work; [`Cluster::take_answers`] will have the answer.
    Later(CallId),
}

/// The state of a cluster and everything that is under way in it.
///
/// ```
/// use std::time::Duration;
/// use proxmox_sim::{Cluster, ClusterConfig, Request};
///
/// let config = ClusterConfig::quick();
/// let token = config.tokens[0].credential();
/// let mut cluster = Cluster::new(config);
/// let clone = Request::new("POST", "/nodes/pve1/qemu/9000/clone").param("newid", 100).token(&token);
/// let (now, reply) = cluster.complete(Duration::ZERO, clone);
/// assert!(reply.payload().as_str().unwrap().contains(":qmclone:9000:"));
/// let now = cluster.settle(now);
/// assert!(now > Duration::from_millis(300), "cloning takes time, here virtual time");
/// assert_eq!(cluster.counters().clones[&100], 1);
/// ```
#[derive(Debug)]
pub struct Cluster {
    world: World,
    events: BTreeMap<(Time, u64), Event>,
    sequence: u64,
    jobs: BTreeMap<u64, Job>,
    locks: LockTable,
    waiting: BTreeMap<CallId, Waiting>,
    answers: Vec<(CallId, Answer)>,
    faults: FaultSource,
    mishaps: MishapSource,
    daemons: Daemons,
    /// The HA manager will look again.
    ha_awake: bool,
    /// Since when nobody works on a machine that has a lock.
    lock_since: BTreeMap<u32, Time>,
    counters: Counters,
    task_times: TaskTimesLog,
    journal: Journal,
    latency: Latency,
    unauthorized_delay: Time,
    proxy_timeout: Time,
}

/// A call that is not answered yet.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    journal: u64,
    /// How long its answer is on the way.
    latency: Time,
    /// The answer will be lost on the way.
    lost: bool,
    /// The answer is wanted in the form that the web interface uses.
    wrapped: bool,
    /// Another daemon than the one that was asked carries it out.
    relayed: bool,
}

#[derive(Debug)]
enum Event {
    /// A worker's next step.
    Step(u64),
    /// A worker has waited long enough for a lock.
    /// The number tells its waits apart.
    LockTimeout(u64, u32),
    /// A request that was held up on the way.
    Arrive(Option<CallId>, Box<Request>),
    /// The proxying hop gives up.
    GatewayTimeout(CallId),
    /// A worker of a daemon is done with a call that it refused late.
    Handled(CallId),
    /// A worker of that node's daemon is free.
    Employ(String),
    /// A task that was asked to stop is killed, and the call that asked is answered.
    Kill(crate::task::TaskKey, CallId),
    /// A call that wanted to wait for its task has waited long enough.
    Patience(CallId, String),
    /// The HA manager looks after its machines.
    HaRound,
    /// A mishap of that plan.
    Mishap(u32),
    /// The end of all mishaps of that plan.
    Rest(u32),
    /// A mishap is over.
    Mend(usize),
}

impl Cluster {
    /// A cluster as configured, at time zero.
    pub fn new(config: ClusterConfig) -> Self {
        let mut world = World::build(&config);
        world.statistics.reach_back(config.faults.look_back());
        let mut cluster = Self {
            world,
            events: BTreeMap::new(),
            sequence: 0,
            jobs: BTreeMap::new(),
            locks: LockTable::default(),
            waiting: BTreeMap::new(),
            answers: Vec::new(),
            faults: FaultSource::new(config.faults, config.seed),
            mishaps: MishapSource::new(config.seed),
            daemons: Daemons::new(config.daemon_workers),
            ha_awake: false,
            lock_since: BTreeMap::new(),
            counters: Counters::default(),
            task_times: TaskTimesLog::remembering(config.task_history),
            journal: Journal::remembering(config.request_history),
            latency: Latency::of_seconds(config.read_latency, config.write_latency),
            unauthorized_delay: seconds_of(config.unauthorized_delay),
            proxy_timeout: seconds_of(config.proxy_timeout),
        };
        cluster.plan_mishaps();
        cluster
    }

    /// Lets everything happen that is due. Time never goes back: an earlier `now` counts as the
    /// latest seen.
    pub fn advance(&mut self, now: Time) {
        while let Some(entry) = self.events.first_entry().filter(|entry| entry.key().0 <= now) {
            let ((time, _), event) = entry.remove_entry();
            self.world.statistics.refresh(time, &self.world.machines, &self.world.nodes);
            self.world.now = self.world.now.max(time);
            self.happen(event);
        }
        self.world.statistics.refresh(now, &self.world.machines, &self.world.nodes);
        self.world.now = self.world.now.max(now);
    }

    /// When something will happen by itself.
    pub fn next_event(&self) -> Option<Time> {
        self.events.first_key_value().map(|((time, _), _)| *time)
    }

    /// Answers to calls that were [`Handled::Later`], since the last time this was asked.
    pub fn take_answers(&mut self) -> Vec<(CallId, Answer)> {
        std::mem::take(&mut self.answers)
    }

    /// Handles a request and lets virtual time pass until it is answered. Returns the time of the
    /// answer. An answer that is lost counts as one with status 0.
    pub fn complete(&mut self, now: Time, request: Request) -> (Time, Reply) {
        let reply = |answer: Answer| answer.reply.unwrap_or_else(|| Reply::bare(0, "connection reset"));
        let id = match self.handle(now, request) {
            Handled::Now(answer) => return (self.world.now + answer.delay, reply(answer)),
            Handled::Later(id) => id,
        };
        loop {
            if let Some(at) = self.answers.iter().position(|(done, _)| *done == id) {
                let (_, answer) = self.answers.remove(at);
                return (self.world.now + answer.delay, reply(answer));
            }
            match self.next_event() {
                Some(time) => self.advance(time),
                None => return (self.world.now, Reply::bare(0, "never answered")),
            }
        }
    }

    /// Lets virtual time pass until nothing is under way, and returns the time then.
    pub fn settle(&mut self, now: Time) -> Time {
        self.advance(now);
        while !self.jobs.is_empty()
            || self.daemons.is_waited_for()
            || self.events.values().any(|e| matches!(e, Event::Arrive(..)))
        {
            let Some(time) = self.next_event() else {
                break;
            };
            self.advance(time);
        }
        self.world.now
    }

    /// What was asked and done so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// When the latest tasks began and ended, in the order of their ends, as many as
    /// [`task_history`](ClusterConfig::task_history) says.
    pub fn task_times(&self) -> impl Iterator<Item = &TaskTimes> {
        self.task_times.iter()
    }

    /// The latest requests, oldest first, as many as
    /// [`request_history`](ClusterConfig::request_history) says.
    pub fn requests(&self) -> Vec<Entry> {
        self.journal.entries().cloned().collect()
    }

    /// Everything there is, for assertions.
    ///
    /// `vms` has the machines by VMID, with their options (`config`, `pending`, `deleted`), whether they run
    /// (`status`), and whether somebody else made them (`stranger`); `volumes` the volumes with their `owner`, and
    /// whether its configuration names them: an image that is not `referenced` is an orphan. Besides `nodes`,
    /// `firewalls` by VMID, `pools`, `ha`, `quorate` and `now` in seconds.
    pub fn state(&self) -> Value {
        state::dump(&self.world)
    }

    /// Changes the faults from now on. Mishaps that last go on to their end, also when there are to be no
    /// new ones.
    pub fn set_faults(&mut self, faults: Faults) {
        self.world.statistics.reach_back(faults.look_back());
        let other = self.faults.faults.mishaps != faults.mishaps;
        self.faults.faults = faults;
        if other {
            self.plan_mishaps();
        }
    }

    /// The faults as set.
    pub fn faults(&self) -> &Faults {
        &self.faults.faults
    }

    fn schedule(&mut self, after: Time, event: Event) {
        self.sequence += 1;
        self.events.insert((self.world.now + after, self.sequence), event);
    }

    fn happen(&mut self, event: Event) {
        self.world.statistics.touch();
        match event {
            Event::Step(job) => self.run(job),
            Event::LockTimeout(job, wait) => self.lock_timeout(job, wait),
            Event::Arrive(call, request) => self.arrive(call, &request),
            Event::GatewayTimeout(call) => self.reply(call, Reply::bare(596, "Connection timed out")),
            Event::Handled(call) => self.handled(call),
            Event::Employ(node) => self.employ(&node),
            Event::Kill(task, call) => {
                self.kill_task(task);
                self.respond(call, Reply::data(Value::Null));
            }
            Event::Patience(call, upid) => self.respond(call, Reply::data(upid.into())),
            Event::HaRound => self.ha_round(),
            Event::Mishap(plan) => self.mishap(plan),
            Event::Rest(plan) => self.rest(plan),
            Event::Mend(index) => self.mend(index),
        }
    }

    /// Answers a call when it has been carried out.
    fn respond(&mut self, call: CallId, reply: Reply) {
        self.handled(call);
        self.reply(call, reply);
    }

    /// Answers a waiting call, if it still waits.
    fn reply(&mut self, call: CallId, reply: Reply) {
        if let Some(waiting) = self.waiting.remove(&call) {
            let answer = self.answer(waiting, reply);
            self.answers.push((call, answer));
        }
    }

    fn answer(&mut self, waiting: Waiting, reply: Reply) -> Answer {
        let reply = match (waiting.wrapped, self.world.version) {
            (true, _) => reply.wrapped(),
            (false, Version::V7_4) => reply.without_message(),
            (false, _) => reply,
        };
        let status = if waiting.lost { 0 } else { reply.status };
        self.journal.answered(waiting.journal, status);
        let held_back = if reply.status == 401 { self.unauthorized_delay } else { Time::ZERO };
        let relayed = waiting.relayed && reply.status == 200;
        Answer { reply: (!waiting.lost).then_some(reply), delay: waiting.latency + held_back, relayed }
    }
}
