//! A worker at work.

use deploy_core::{Doorbell, VmKey};
use std::sync::Arc;
use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

/// The bell of a worker.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bell(Arc<Notify>);

impl Bell {
    /// Until it rings; one that rang before is heard.
    pub(crate) async fn heard(&self) {
        self.0.notified().await;
    }
}

impl Doorbell for Bell {
    fn ring(&self, _key: VmKey) {
        self.0.notify_one();
    }

    fn wake(&self) {
        self.0.notify_one();
    }
}

/// A DNS worker at work. Dropping it aborts what it does, as if the process had been killed: nothing is lost, but what it had in
/// hand goes on only when its claims have run out. [`drain`](Self::drain) is the better end.
#[must_use = "a running worker that is dropped is aborted"]
pub struct RunningDns {
    pub(crate) bell: Bell,
    pub(crate) stop: CancellationToken,
    pub(crate) task: AbortOnDropHandle<()>,
}

impl RunningDns {
    /// The bell that tells it of what is asked for in this process; without it that is found when it next looks.
    pub fn doorbell(&self) -> Arc<dyn Doorbell> {
        Arc::new(self.bell.clone())
    }

    /// Ends it in good order: turns that were begun are finished. Takes as long as the longest of them.
    ///
    /// # Cancel safety
    /// Dropped, the worker is aborted, as by dropping it.
    pub async fn drain(self) {
        self.stop.cancel();
        // It fails only where the worker panicked; then there is nothing left to wait for.
        if let Err(error) = self.task.await {
            tracing::error!("the DNS worker broke down: {error}");
        }
    }
}
