//! Starting workers: behind tasks, behind synchronous calls, and beside both.

use super::doom::Doom;
use super::job::Job;
use super::{CallId, Cluster, Event, Time};
use crate::faults::Fate;
use crate::reply::Reply;
use crate::upid::Upid;
use crate::works::Work;

/// A task to be started.
#[derive(Debug)]
pub(crate) struct TaskStart {
    pub(crate) kind: &'static str,
    pub(crate) id: String,
    pub(crate) node: String,
    pub(crate) work: Box<dyn Work>,
}

/// A worker that becomes a task once it has its locks and has done its first step.
#[derive(Debug)]
pub(super) struct Entering {
    user: String,
    /// How long the call waits for the end.
    patience: Option<Time>,
}

impl Cluster {
    /// Starts a worker that becomes a task after its first step.
    pub(super) fn enter_task(
        &mut self,
        mut start: TaskStart,
        user: &str,
        fate: Option<Fate>,
        (call, patience): (CallId, Option<Time>),
    ) {
        let doom = self.doom(start.work.as_mut(), fate).map(Doom::after_first_step);
        let mut job = Job::new(start.work, start.kind, start.id, &start.node, doom).answering(Some(call));
        job.entering = Some(Entering { user: user.to_owned(), patience });
        self.begin(job);
    }

    /// Makes a worker that is past its first step a task, and answers its call.
    pub(super) fn entered(&mut self, id: u64) {
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
        (job.task, job.began) = (Some(task), self.world.now);
        match (entering.patience, call) {
            (Some(patience), Some(call)) => self.schedule(patience, Event::Patience(call, text)),
            (None, Some(call)) => {
                job.call = None;
                self.respond(call, Reply::data(text.into()));
            }
            _ => {}
        }
    }

    pub(super) fn new_upid(&mut self, kind: &str, id: &str, node: &str, user: &str) -> Upid {
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
        mut start: TaskStart,
        user: &str,
        fate: Option<Fate>,
        call: Option<CallId>,
    ) -> String {
        let upid = self.new_upid(start.kind, &start.id, &start.node, user);
        let text = upid.to_string();
        let doom = self.doom(start.work.as_mut(), fate);
        let id = upid.id.clone();
        let mut job = Job::new(start.work, start.kind, id, &start.node, doom).answering(call);
        (job.task, job.began) = (Some(self.world.tasks.begin(upid)), self.world.now);
        self.begin(job);
        text
    }

    /// Starts a worker behind a synchronous call.
    pub(super) fn begin_call(
        &mut self,
        mut work: Box<dyn Work>,
        node: &str,
        call: CallId,
        fate: Option<Fate>,
    ) {
        let doom = self.doom(work.as_mut(), fate);
        let job = Job::new(work, "call", String::new(), node, doom).answering(Some(call));
        self.begin(job);
    }

    /// Starts a worker that belongs to no call.
    pub(super) fn begin_aside(&mut self, work: Box<dyn Work>, node: &str) {
        self.begin(Job::new(work, "aside", String::new(), node, None));
    }
}
