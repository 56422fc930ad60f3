use deploy_core::Job;
use std::{collections::BTreeMap, time::Duration};

/// How often each job is run: the least time from the beginning of one run to the beginning of the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobPlan(BTreeMap<Job, Duration>);

impl JobPlan {
    /// No job.
    pub fn none() -> Self {
        Self(BTreeMap::new())
    }

    /// Runs `job` so often, or, with `None`, never.
    #[must_use]
    pub fn with(mut self, job: Job, gap: Option<Duration>) -> Self {
        match gap {
            Some(gap) => self.0.insert(job, gap),
            None => self.0.remove(&job),
        };
        self
    }

    /// The least time between two runs of a job; `None` where it is not run.
    pub fn gap(&self, job: Job) -> Option<Duration> {
        self.0.get(&job).copied()
    }
}

impl Default for JobPlan {
    /// Machines at every tick; those at rest and traffic every 5 minutes; snapshots and orphans every hour; retention every
    /// day.
    fn default() -> Self {
        let minutes = |minutes: u64| Some(Duration::from_secs(60 * minutes));
        Self::none()
            .with(Job::Process, Some(Duration::ZERO))
            .with(Job::Audit, minutes(5))
            .with(Job::Traffic, minutes(5))
            .with(Job::Snapshots, minutes(60))
            .with(Job::Orphans, minutes(60))
            .with(Job::Retention, minutes(24 * 60))
    }
}
