use deploy_core::Clock;
use deploy_testkit::sample;
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;
use tokio::time::Instant;

/// So many minutes.
pub(crate) const fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

/// A clock that goes with tokio's, which in a simulation jumps from one event to the next.
pub(crate) struct VirtualClock {
    started: Instant,
}

impl VirtualClock {
    /// It is now the [beginning](sample::epoch).
    pub(crate) fn start() -> Self {
        Self { started: Instant::now() }
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.started.elapsed()).unwrap_or(SignedDuration::MAX);
        sample::epoch().checked_add(elapsed).unwrap_or(Timestamp::MAX)
    }
}
