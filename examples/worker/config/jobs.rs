//! How often jobs are run.

use super::delays::Seconds;
use deploy_core::Job;
use deploy_worker::JobPlan;
use serde::Deserialize;

/// What is not the default.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct JobsTable {
    snapshots_seconds: Option<Seconds>,
    orphans_seconds: Option<Seconds>,
    traffic_seconds: Option<Seconds>,
    retention_seconds: Option<Seconds>,
}

impl JobsTable {
    pub(crate) fn plan(&self) -> JobPlan {
        let said = [
            (Job::Snapshots, self.snapshots_seconds),
            (Job::Orphans, self.orphans_seconds),
            (Job::Traffic, self.traffic_seconds),
            (Job::Retention, self.retention_seconds),
        ];
        let said = said.into_iter().filter_map(|(job, gap)| Some((job, gap?.duration())));
        said.fold(JobPlan::default(), |plan, (job, gap)| plan.with(job, Some(gap)))
    }
}
