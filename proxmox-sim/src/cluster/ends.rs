//! How workers end: well, with an error, stopped, or killed.

use serde_json::Value;

use super::Cluster;
use super::job::Job;
use crate::reply::{Refusal, Reply};
use crate::task::TaskKey;
use crate::task_times::TaskTimes;
use crate::works::Bench;

/// What an injected warning of a task is called.
const WARNED: &str = "simulated warning";

impl Cluster {
    pub(super) fn abandon(&mut self, id: u64, reason: &str) {
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
        self.forget_daemon(node);
        let dead: Vec<u64> =
            self.jobs.iter().filter(|(_, job)| job.node == node).map(|(id, _)| *id).collect();
        for id in dead {
            self.kill(id);
        }
    }

    /// Kills a worker as an injected fault.
    pub(super) fn strike_dead(&mut self, id: u64) {
        self.counters.struck("killed");
        self.kill(id);
    }

    /// Counts what a worker has made.
    pub(super) fn count_made(&mut self, id: u64) {
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
            self.note_times(&job, false);
        }
        if let Some(call) = job.call {
            self.respond(call, Reply::bare(596, "Broken pipe"));
        }
        self.note_locks(&job);
        self.release_all(id, job.held, job.waiting);
    }

    fn note_times(&mut self, job: &Job, ok: bool) {
        self.task_times.add(TaskTimes {
            kind: job.kind,
            vmid: job.makes().or_else(|| job.id.parse().ok()),
            node: job.node.clone(),
            began: job.began.as_secs_f64(),
            ended: self.world.now.as_secs_f64(),
            ok,
        });
    }

    pub(super) fn finish(&mut self, id: u64, mut outcome: Result<(Value, u32), String>) {
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
            self.note_times(&job, outcome.is_ok());
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
    pub(super) fn finish_refused(&mut self, id: u64, refusal: Refusal) {
        let text = refusal.task_text();
        let answered =
            self.jobs.get_mut(&id).filter(|job| job.task.is_none()).and_then(|job| job.call.take());
        if let Some(call) = answered {
            self.respond(call, refusal.reply());
        }
        self.finish(id, Err(text));
    }
}
