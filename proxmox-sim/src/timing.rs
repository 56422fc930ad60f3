//! How long things take.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::request::Request;

/// Durations in seconds, per kind of work. Jitter is added from the seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Durations {
    /// Everything below is multiplied by this.
    pub scale: f64,
    /// Share of a duration that varies, 0.1 for plus or minus ten per cent.
    pub jitter: f64,
    /// Linked clone, whole task.
    pub clone_linked: f64,
    /// Full clone, whole task.
    pub clone_full: f64,
    /// Configuration change without an allocation.
    pub config: f64,
    /// Each volume allocated by a configuration change.
    pub allocate: f64,
    /// How long a storage is locked for one allocation. With many at a time some wait too long.
    pub storage_lock: f64,
    /// Resize.
    pub resize: f64,
    /// Offline migration.
    pub migrate: f64,
    /// Live migration.
    pub migrate_online: f64,
    /// Start.
    pub start: f64,
    /// Hard stop.
    pub stop: f64,
    /// How long a guest needs to shut down when asked.
    pub guest_shutdown: f64,
    /// Destroy.
    pub destroy: f64,
    /// Deletion of one volume.
    pub delete_volume: f64,
    /// Conversion to a template, creation and snapshots.
    pub other: f64,
    /// Time from start until the guest agent answers.
    pub guest_boot: f64,
    /// Every write of the firewall.
    pub firewall: f64,
}

impl Default for Durations {
    fn default() -> Self {
        Self {
            scale: 1.0,
            jitter: 0.1,
            clone_linked: 0.4,
            clone_full: 1.5,
            config: 0.02,
            allocate: 0.38,
            storage_lock: 0.05,
            resize: 0.15,
            migrate: 1.0,
            migrate_online: 2.0,
            start: 0.35,
            stop: 0.15,
            guest_shutdown: 0.8,
            destroy: 0.15,
            delete_volume: 0.1,
            other: 0.15,
            guest_boot: 1.5,
            firewall: 0.0,
        }
    }
}

impl Durations {
    /// Every duration zero: for tests that only look at the outcome.
    pub fn instant() -> Self {
        Self { scale: 0.0, ..Self::default() }
    }

    /// A duration, scaled; `roll` is from 0 to 1 and places it within the jitter.
    pub(crate) fn scaled(&self, seconds: f64, roll: f64) -> Duration {
        let jitter = 1.0 + self.jitter * (2.0 * roll - 1.0);
        seconds_of(seconds * self.scale * jitter)
    }
}

/// A duration from seconds; what is not a sensible number counts as zero.
pub(crate) fn seconds_of(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

/// How long answers are on the way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Latency {
    read: Duration,
    write: Duration,
}

impl Latency {
    pub(crate) fn of_seconds(read: f64, write: f64) -> Self {
        Self { read: seconds_of(read), write: seconds_of(write) }
    }

    /// That of the answer to this request.
    pub(crate) fn of(self, request: &Request) -> Duration {
        if request.method == "GET" { self.read } else { self.write }
    }
}
