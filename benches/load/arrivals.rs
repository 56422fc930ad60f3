//! Hears which machines are ready, as a panel would: from the worker's notices.

use async_trait::async_trait;
use deploy_core::{Notice, Notifier, NotifyError, QueuedNotice};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How many machines are ready, and when the last of them was told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrived {
    pub(crate) ready: u32,
    pub(crate) at: Instant,
}

/// Counts notices.
pub(crate) struct Arrivals {
    arrived: watch::Sender<Arrived>,
}

impl Arrivals {
    /// Nothing has arrived yet.
    pub(crate) fn new() -> Self {
        Self { arrived: watch::Sender::new(Arrived { ready: 0, at: Instant::now() }) }
    }

    /// Waits until so many are ready, or until no other one became so for as long as `patience`.
    pub(crate) async fn of(&self, machines: u32, patience: Duration) -> Arrived {
        let mut arrived = self.arrived.subscribe();
        loop {
            let now = *arrived.borrow_and_update();
            if now.ready >= machines {
                return now;
            }
            if tokio::time::timeout(patience, arrived.changed()).await.is_err() {
                return now;
            }
        }
    }
}

#[async_trait]
impl Notifier for Arrivals {
    async fn notify(&self, notice: &QueuedNotice) -> Result<(), NotifyError> {
        if notice.notice == Notice::Ready {
            self.arrived.send_modify(|arrived| {
                *arrived = Arrived { ready: arrived.ready + 1, at: Instant::now() };
            });
        }
        Ok(())
    }
}
