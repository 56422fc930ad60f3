//! What is done now and then: by a worker that runs, or from cron.

mod keep;
mod orphans;
mod plan;
mod report;
mod run;
mod snapshots;
mod traffic;

pub use keep::RunningJobs;
pub use orphans::{Orphan, OrphanReport, WhyOrphan};
pub use plan::JobPlan;
pub use report::{JobTick, Report};
pub use snapshots::SnapshotReport;
pub use traffic::TrafficReport;

use crate::{RetentionPolicy, SystemClock, SystemEntropy, Worker};
use deploy_core::{
    AddressAudit, Clock, ClusterName, Entropy, Hypervisor, Job, JobStore, ListQuery, LockStore, LogRetention,
    RecordStore, StoreError, Surveyor, TrafficStore, VmRecord,
};
use std::{sync::Arc, time::Duration};

/// Records that are read at once.
const PAGE: usize = 1000;

/// The jobs that are not a worker's.
const BESIDE_MACHINES: [Job; 4] = [Job::Snapshots, Job::Orphans, Job::Traffic, Job::Retention];

/// A store as jobs see it.
pub trait JobsStore: JobStore + RecordStore + TrafficStore + LockStore + AddressAudit + LogRetention {}

impl<S> JobsStore for S where
    S: JobStore + RecordStore + TrafficStore + LockStore + AddressAudit + LogRetention + ?Sized
{
}

/// A cluster as jobs see it.
pub trait JobsHypervisor: Hypervisor + Surveyor {}

impl<H: Hypervisor + Surveyor + ?Sized> JobsHypervisor for H {}

/// The jobs: each has a lock in the store, so that of many processes one runs it at a time; the lock of a process that died
/// is free again after a while. Each has a least time between two runs: whoever comes earlier is told so, and nothing is done.
///
/// From cron, call [`tick`](Self::tick) every minute: each job decides by itself whether its time has come. A worker that
/// runs does them by itself, given them by [`Worker::with_jobs`]. Both together do no harm.
#[derive(Clone)]
pub struct Jobs {
    hypervisor: Arc<dyn JobsHypervisor>,
    store: Arc<dyn JobsStore>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    plan: JobPlan,
    retention: RetentionPolicy,
    info: String,
    alive_for: Duration,
}

impl Jobs {
    /// The jobs on these clusters and this store, by the system's clock and the default plan.
    pub fn new(hypervisor: Arc<dyn JobsHypervisor>, store: Arc<dyn JobsStore>) -> Self {
        Self {
            hypervisor,
            store,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            plan: JobPlan::default(),
            retention: RetentionPolicy::default(),
            info: format!("process {}", std::process::id()),
            alive_for: Duration::from_secs(60),
        }
    }

    /// Takes the time from this clock: the store's.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Takes ids of runs from this.
    #[must_use]
    pub fn with_entropy(mut self, entropy: Arc<dyn Entropy>) -> Self {
        self.entropy = entropy;
        self
    }

    /// Runs each job so often.
    #[must_use]
    pub fn with_plan(mut self, plan: JobPlan) -> Self {
        self.plan = plan;
        self
    }

    /// Keeps the deploy log for so long.
    #[must_use]
    pub fn with_retention(mut self, policy: RetentionPolicy) -> Self {
        self.retention = policy;
        self
    }

    /// Says who runs them, for people; by default the process id.
    #[must_use]
    pub fn with_info(mut self, info: impl Into<String>) -> Self {
        self.info = info.into();
        self
    }

    /// How long the lock of a run outlives its last sign of life, from a second to a day; by default a minute. It gives a sign
    /// every third of that.
    #[must_use]
    pub fn with_alive_for(mut self, alive_for: Duration) -> Self {
        self.alive_for = alive_for.clamp(Duration::from_secs(1), Duration::from_secs(24 * 60 * 60));
        self
    }

    /// Runs every job whose time has come, at once, and says of each what came of it, in the order of [`Job::ALL`]. The worker
    /// first looks for machines at rest, then makes a pass of at most `within`.
    ///
    /// # Errors
    /// None: that the store could not be asked is what came of a job.
    ///
    /// # Cancel safety
    /// Dropped, what runs is broken off; its locks are free again when their time is over.
    pub async fn tick(&self, worker: &Worker, within: Duration) -> Vec<(Job, JobTick)> {
        let machines = Box::pin(async {
            let audit = (Job::Audit, self.run_audit(worker).await);
            vec![audit, (Job::Process, self.run_process(worker, within).await)]
        });
        // Each holds what all of its calls hold.
        let one = |job| Box::pin(async move { (job, self.run(job).await) });
        let [snapshots, orphans, traffic, retention] = BESIDE_MACHINES.map(one);
        let (mut ticks, snapshots, orphans, traffic, retention) =
            tokio::join!(machines, snapshots, orphans, traffic, retention);
        ticks.extend([snapshots, orphans, traffic, retention]);
        ticks.sort_by_key(|(job, _)| *job);
        ticks
    }

    /// Looks for what no record knows, at once and without a lock: it changes nothing. What the job does now and then.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// Safe to drop.
    pub async fn orphans(&self) -> Result<OrphanReport, StoreError> {
        orphans::look(self).await
    }

    /// The records of a cluster's machines that are not terminated.
    async fn records(&self, cluster: &ClusterName) -> Result<Vec<VmRecord>, StoreError> {
        let mut records: Vec<VmRecord> = Vec::new();
        loop {
            let after = records.last().map(|record| record.key);
            let query = ListQuery { cluster: Some(cluster.clone()), terminated: false, after, limit: PAGE };
            let page = self.store.list(&query).await?;
            let is_last = page.len() < PAGE;
            records.extend(page);
            if is_last {
                return Ok(records);
            }
        }
    }
}
