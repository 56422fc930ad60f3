//! How the worker works.

use super::{
    delays::{Delays, Seconds},
    jobs::JobsTable,
};
use deploy_core::Job;
use deploy_worker::{Jobs, Limits, Worker};
use serde::Deserialize;
use std::num::NonZero;

pub(crate) struct Tuning {
    pub(super) name: Option<String>,
    pub(super) lease: Option<Seconds>,
    pub(super) poll: Option<Seconds>,
    pub(super) audit: Option<Seconds>,
    pub(super) jobs: JobsTable,
    pub(super) concurrency: Concurrency,
    pub(super) delays: Delays,
}

/// What is not the default.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Concurrency {
    pub(super) turns: Option<NonZero<usize>>,
    pub(super) machines: Option<NonZero<usize>>,
    pub(super) cluster: Option<NonZero<u32>>,
    pub(super) node: Option<NonZero<u32>>,
    pub(super) clone_storage: Option<NonZero<u32>>,
    pub(super) template: Option<NonZero<u32>>,
    pub(super) migration: Option<NonZero<u32>>,
    pub(super) backup: Option<NonZero<u32>>,
}

impl Concurrency {
    fn limits(&self) -> Limits {
        let or = |said: Option<NonZero<u32>>, default| said.map_or(default, NonZero::get);
        let default = Limits::default();
        Limits {
            cluster: or(self.cluster, default.cluster),
            node: or(self.node, default.node),
            clone_storage: or(self.clone_storage, default.clone_storage),
            template: or(self.template, default.template),
            migration: or(self.migration, default.migration),
            backup: or(self.backup, default.backup),
        }
    }
}

impl Tuning {
    /// Who the worker is, for people that look at logs and at the database.
    pub(crate) fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| {
            let host = rustix::system::uname();
            format!("{}, process {}", host.nodename().to_string_lossy(), std::process::id())
        })
    }

    /// How often jobs are run.
    pub(crate) fn jobs(&self, jobs: Jobs) -> Jobs {
        let plan = self.jobs.plan();
        let plan = match self.audit {
            Some(audit) => plan.with(Job::Audit, Some(audit.duration())),
            None => plan,
        };
        jobs.with_info(self.name()).with_plan(plan)
    }

    pub(crate) fn apply(&self, mut worker: Worker) -> Worker {
        let Concurrency { turns, machines, .. } = self.concurrency;
        worker = worker
            .with_info(self.name())
            .with_policy(self.delays.policy())
            .with_limits(self.concurrency.limits());
        if let Some(turns) = turns {
            worker = worker.with_turns(turns.get());
        }
        if let Some(machines) = machines {
            worker = worker.with_machines(machines.get());
        }
        if let Some(lease) = self.lease {
            worker = worker.with_alive_for(lease.duration());
        }
        if let Some(poll) = self.poll {
            worker = worker.with_poll(poll.duration());
        }
        if let Some(audit) = self.audit {
            worker = worker.with_audit(Some(audit.duration()));
        }
        worker
    }
}
