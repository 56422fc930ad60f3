//! One run of a job, under its lock.

use super::{JobTick, Jobs, Report, orphans, snapshots, traffic};
use crate::{Worker, retention};
use deploy_core::{CommitError, Job, JobOutcome, JobRun, JobStart, JobTerms, RunId, StoreError};
use jiff::SignedDuration;
use std::{future::Future, time::Duration};
use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tracing::{info, warn};

impl Jobs {
    /// Runs a job, if its time has come. [`Job::Process`] and [`Job::Audit`] are a worker's: see [`tick`](Self::tick).
    pub(super) async fn run(&self, job: Job) -> JobTick {
        self.run_until(job, &CancellationToken::new()).await
    }

    /// The same, broken off where `stop` is cancelled.
    pub(super) async fn run_until(&self, job: Job, stop: &CancellationToken) -> JobTick {
        let jobs = self.clone();
        let work = async move {
            match job {
                Job::Snapshots => snapshots::expire(&jobs).await.map(Report::Snapshots),
                Job::Orphans => orphans::look(&jobs).await.map(Report::Orphans),
                Job::Traffic => traffic::count(&jobs).await.map(Report::Traffic),
                Job::Retention => {
                    let pruned = retention(&*jobs.store, jobs.clock.now(), &jobs.retention).await;
                    pruned.map(Report::Retention)
                }
                other => Err(StoreError::not_written(format!("job {other} is not done here"))),
            }
        };
        self.frame(job, stop, work).await
    }

    pub(super) async fn run_process(&self, worker: &Worker, within: Duration) -> JobTick {
        let worker = worker.clone();
        let work = async move { worker.tick(within).await.map(Report::Process) };
        self.frame(Job::Process, &CancellationToken::new(), work).await
    }

    pub(super) async fn run_audit(&self, worker: &Worker) -> JobTick {
        let worker = worker.clone();
        let work = async move { worker.audit().await.map(Report::Audit) };
        self.frame(Job::Audit, &CancellationToken::new(), work).await
    }

    /// Takes the lock, has the work done, gives the lock back with what came of it.
    async fn frame(
        &self,
        job: Job,
        stop: &CancellationToken,
        work: impl Future<Output = Result<Report, StoreError>> + Send + 'static,
    ) -> JobTick {
        let Some(gap) = self.plan.gap(job) else { return JobTick::Off };
        let run = JobRun { id: RunId(self.entropy.uuid()), info: self.info.clone() };
        let terms = JobTerms { gap: signed(gap), alive_for: signed(self.alive_for) };
        match self.store.begin_job(job, &run, terms).await {
            Ok(JobStart::Begun) => {}
            Ok(JobStart::Early { next }) => return JobTick::Early { next },
            Ok(JobStart::Busy { info, since }) => return JobTick::Busy { info, since },
            Err(error) => return JobTick::Unasked(error.to_string()),
        }
        let began = Instant::now();
        // A task of its own: a panic of a backend is that run's failure, and dropped it ends at once.
        let work = AbortOnDropHandle::new(tokio::spawn(work));
        let failed = |message: String| (JobOutcome::Failed { message }, None);
        let (outcome, report) = tokio::select! {
            biased;
            done = work => match done {
                Ok(Ok(report)) => (report.outcome(), Some(report)),
                Ok(Err(error)) => failed(error.to_string()),
                Err(error) => failed(format!("it broke off: {error}")),
            },
            why = self.stay_alive(job, run.id) => failed(why),
            () = stop.cancelled() => failed("it was broken off: its process was told to stop".to_owned()),
        };
        self.end(job, run.id, &outcome).await;
        let took = signed(began.elapsed());
        JobTick::Ran { outcome, took, report }
    }

    /// Gives signs of life, and returns why no more can be given. Then another process may run the job already.
    async fn stay_alive(&self, job: Job, run: RunId) -> String {
        let mut lives_until = Instant::now() + self.alive_for;
        loop {
            tokio::time::sleep(self.alive_for / 3).await;
            let asked = Instant::now();
            match self.store.prolong_job(job, run, signed(self.alive_for)).await {
                Ok(()) => lives_until = asked + self.alive_for,
                Err(CommitError::Fenced) => {
                    return "it lost its lock: it stood still for too long".to_owned();
                }
                Err(CommitError::Store(error)) if Instant::now() >= lives_until => {
                    return format!("it lost its lock: {error}");
                }
                Err(CommitError::Store(error)) => warn!(%job, %error, "the lock could not be prolonged"),
            }
        }
    }

    async fn end(&self, job: Job, run: RunId, outcome: &JobOutcome) {
        match outcome {
            JobOutcome::Done { summary } => info!(%job, summary, "done"),
            JobOutcome::Failed { message } => warn!(%job, message, "failed"),
            JobOutcome::Died => {}
        }
        // Its time runs out by itself.
        if let Err(error) = self.store.end_job(job, run, outcome).await {
            warn!(%job, %error, "the lock could not be given back");
        }
    }
}

pub(super) fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}
