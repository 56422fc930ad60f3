//! How patient the worker is.

use deploy_core::{Backoff, RetryPolicy};
use jiff::SignedDuration;
use serde::{Deserialize, Deserializer, de::Error as _};
use std::time::Duration;

/// A time in seconds, as a file says it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seconds(Duration);

impl Seconds {
    pub(crate) fn duration(self) -> Duration {
        self.0
    }

    fn signed(self) -> SignedDuration {
        SignedDuration::try_from(self.0).unwrap_or(SignedDuration::MAX)
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        let wrong = |_| D::Error::custom(format!("\"{seconds}\" is not valid: a number of seconds from 0"));
        Duration::try_from_secs_f64(seconds).map(Self).map_err(wrong)
    }
}

/// A delay that doubles from the first to the longest.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Doubling {
    first_seconds: Seconds,
    longest_seconds: Seconds,
}

/// The delays that are not the defaults.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Delays {
    unreachable: Option<Doubling>,
    busy: Option<Doubling>,
    unknown: Option<Doubling>,
    failed: Option<Doubling>,
    exhausted: Option<Doubling>,
    refused: Option<Doubling>,
    poll: Option<Doubling>,
    patience_seconds: Option<Seconds>,
    stale_lock_seconds: Option<Seconds>,
    late_arrival_seconds: Option<Seconds>,
    attention_after: Option<u32>,
    dns_seconds: Option<Seconds>,
    shutdown_seconds: Option<u16>,
}

impl Delays {
    /// The policy that they make.
    pub(crate) fn policy(&self) -> RetryPolicy {
        let default = RetryPolicy::default();
        let backoff = |said: Option<Doubling>, default: Backoff| {
            let said = said.map(|said| Backoff {
                first: said.first_seconds.signed(),
                longest: said.longest_seconds.signed(),
            });
            said.unwrap_or(default)
        };
        RetryPolicy {
            unreachable: backoff(self.unreachable, default.unreachable),
            busy: backoff(self.busy, default.busy),
            unknown: backoff(self.unknown, default.unknown),
            failed: backoff(self.failed, default.failed),
            exhausted: backoff(self.exhausted, default.exhausted),
            refused: backoff(self.refused, default.refused),
            poll: backoff(self.poll, default.poll),
            patience: self.patience_seconds.map_or(default.patience, Seconds::signed),
            stale_lock: self.stale_lock_seconds.map_or(default.stale_lock, Seconds::signed),
            late_arrival: self.late_arrival_seconds.map_or(default.late_arrival, Seconds::signed),
            attention_after: self.attention_after.unwrap_or(default.attention_after),
            dns_patience: self.dns_seconds.map_or(default.dns_patience, Seconds::signed),
            shutdown_patience: self.shutdown_seconds.unwrap_or(default.shutdown_patience),
        }
    }
}
