//! The jobs of a process that runs on.

use super::{BESIDE_MACHINES, JobTick, Jobs};
use deploy_core::Job;
use std::{sync::Arc, time::Duration};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long a job waits that somebody else runs, or whose store could not be asked.
const BUSY: Duration = Duration::from_secs(60);

/// Never sooner, whatever the plan says: a job of no pause is for cron.
const LEAST: Duration = Duration::from_secs(1);

/// Jobs that a process runs as their times come. Dropped, what runs is broken off, and its locks run out.
#[must_use = "jobs that are dropped are broken off"]
pub struct RunningJobs {
    stop: CancellationToken,
    loops: JoinSet<()>,
}

impl Jobs {
    /// Runs the jobs from now on, each when its time has come, but for those that a worker does by itself all the time
    /// ([`Job::Process`], [`Job::Audit`]).
    ///
    /// # Panics
    /// Outside of a tokio runtime with time.
    pub fn start(&self) -> RunningJobs {
        let stop = CancellationToken::new();
        let mut loops = JoinSet::new();
        let is_planned = |job: &&Job| self.plan.gap(**job).is_some();
        for job in BESIDE_MACHINES.iter().filter(is_planned) {
            loops.spawn(Arc::new(self.clone()).keep(*job, stop.clone()));
        }
        RunningJobs { stop, loops }
    }

    async fn keep(self: Arc<Self>, job: Job, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let tick = self.run_until(job, &stop).await;
            let pause = self.pause(job, &tick).max(LEAST);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// How long until the job may be run again.
    fn pause(&self, job: Job, tick: &JobTick) -> Duration {
        let gap = self.plan.gap(job).unwrap_or(BUSY);
        match tick {
            JobTick::Ran { took, .. } => gap.saturating_sub(Duration::try_from(*took).unwrap_or_default()),
            JobTick::Early { next } => {
                Duration::try_from(next.duration_since(self.clock.now())).unwrap_or_default().min(gap)
            }
            JobTick::Busy { .. } | JobTick::Unasked(_) | JobTick::Off => BUSY.min(gap),
        }
    }
}

impl RunningJobs {
    /// Breaks off what runs, gives the locks back, and ends.
    ///
    /// # Cancel safety
    /// Dropped, the locks run out by themselves.
    pub async fn stop(mut self) {
        self.stop.cancel();
        while self.loops.join_next().await.is_some() {}
    }
}
