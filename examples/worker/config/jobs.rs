//! How often jobs are run.

use super::delays::Seconds;
use deploy_core::Job;
use deploy_worker::JobPlan;
use serde::Deserialize;

/// What is not the default.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct JobsTable {
    #[serde(rename = "snapshots_seconds")]
    snapshots: Option<Seconds>,
    #[serde(rename = "orphans_seconds")]
    orphans: Option<Seconds>,
    #[serde(rename = "traffic_seconds")]
    traffic: Option<Seconds>,
    #[serde(rename = "retention_seconds")]
    retention: Option<Seconds>,
}

impl JobsTable {
    pub(crate) fn plan(&self) -> JobPlan {
        let said = [
            (Job::Snapshots, self.snapshots),
            (Job::Orphans, self.orphans),
            (Job::Traffic, self.traffic),
            (Job::Retention, self.retention),
        ];
        let said = said.into_iter().filter_map(|(job, gap)| Some((job, gap?.duration())));
        said.fold(JobPlan::default(), |plan, (job, gap)| plan.with(job, Some(gap)))
    }
}
