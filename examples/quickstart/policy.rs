//! How patient the engine is.

use deploy_core::{Backoff, RetryPolicy};
use jiff::SignedDuration;

/// Delays for a simulated cluster, where a second is long. A real cluster gets the defaults.
pub(crate) fn of_demonstration() -> RetryPolicy {
    RetryPolicy {
        unreachable: Backoff::millis(100, 1_000),
        busy: Backoff::millis(100, 1_000),
        unknown: Backoff::millis(100, 1_000),
        failed: Backoff::millis(200, 2_000),
        exhausted: Backoff::millis(1_000, 5_000),
        refused: Backoff::millis(1_000, 5_000),
        poll: Backoff::millis(250, 1_000),
        patience: SignedDuration::from_secs(60),
        stale_lock: SignedDuration::from_secs(20),
        // The simulator delivers nothing later than half a second after it was sent.
        late_arrival: SignedDuration::from_secs(2),
        attention_after: 30,
        dns_patience: SignedDuration::from_secs(20),
        shutdown_patience: 5,
    }
}
