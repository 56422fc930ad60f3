use crate::{
    MachineActivity, RunningJobs, TickReport,
    mailbox::{Ending, Mailbox},
};
use deploy_core::{Doorbell, StoreError};
use std::{sync::Arc, time::Duration};
use tokio::task::JoinError;
use tokio_util::task::AbortOnDropHandle;

/// A worker at work.
///
/// Dropping it aborts what it does, as if the process had been killed: nothing is lost, but its machines go on only when
/// its leases have run out. [`drain`](Self::drain) is the better end.
#[must_use = "a running worker that is dropped is aborted"]
pub struct RunningWorker {
    mailbox: Arc<Mailbox>,
    dispatcher: AbortOnDropHandle<Result<TickReport, StoreError>>,
    jobs: Option<RunningJobs>,
}

impl RunningWorker {
    pub(crate) fn new(
        mailbox: Arc<Mailbox>,
        dispatcher: AbortOnDropHandle<Result<TickReport, StoreError>>,
        jobs: Option<RunningJobs>,
    ) -> Self {
        Self { mailbox, dispatcher, jobs }
    }

    /// The bell that tells it of orders and commands given in this process; without it they are found when the worker next
    /// looks into the store.
    pub fn doorbell(&self) -> Arc<dyn Doorbell> {
        Arc::clone(&self.mailbox) as Arc<dyn Doorbell>
    }

    /// What each machine that it holds does or waits for, in no particular order; none once it has ended. Cancel-safe.
    pub async fn activity(&self) -> Vec<MachineActivity> {
        self.mailbox.ask().await.unwrap_or_default()
    }

    /// Ends it in good order: running turns are finished, none is begun, all machines are released, and others can take
    /// them at once. Takes as long as the longest request under way; see [`drain_within`](Self::drain_within).
    ///
    /// # Errors
    /// [`StopError`]. The leases then run out by themselves.
    ///
    /// # Cancel safety
    /// Dropped, the worker is aborted, as by dropping it.
    pub async fn drain(mut self) -> Result<(), StopError> {
        self.mailbox.end(Ending::Drain);
        self.stop_jobs().await;
        ended(self.dispatcher.await)
    }

    /// Jobs are broken off: they begin anew the next time.
    async fn stop_jobs(&mut self) {
        if let Some(jobs) = self.jobs.take() {
            jobs.stop().await;
        }
    }

    /// As [`drain`](Self::drain), but turns that run longer than `patience` are broken off, as a crash would: where a request
    /// hangs, the other machines are not held up by it. All are released either way.
    ///
    /// # Errors
    /// [`StopError`]. The leases then run out by themselves.
    ///
    /// # Cancel safety
    /// Dropped, the worker is aborted, as by dropping it.
    pub async fn drain_within(mut self, patience: Duration) -> Result<(), StopError> {
        self.mailbox.end(Ending::Drain);
        self.stop_jobs().await;
        if let Ok(result) = tokio::time::timeout(patience, &mut self.dispatcher).await {
            return ended(result);
        }
        self.mailbox.end(Ending::BreakOff);
        ended(self.dispatcher.await)
    }

    /// Waits for `shutdown`, then drains; ends early only where the worker breaks down.
    pub(crate) async fn until(mut self, shutdown: impl Future<Output = ()>) -> Result<(), StopError> {
        tokio::select! {
            biased;
            result = &mut self.dispatcher => ended(result),
            () = shutdown => self.drain().await,
        }
    }
}

fn ended(result: Result<Result<TickReport, StoreError>, JoinError>) -> Result<(), StopError> {
    match result {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.into()),
        Err(error) => Err(StopError::Broken(error.to_string())),
    }
}

/// A worker did not end in good order. Nothing is lost: its leases run out by themselves.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StopError {
    /// Its leases could not be ended.
    #[error("the leases were not ended: {0}")]
    Store(#[from] StoreError),
    /// It broke down before: a bug, or its runtime was shut down.
    #[error("the worker broke down: {0}")]
    Broken(String),
}
