use crate::watch::Pace;
use deploy_core::WorkerInfo;
use std::time::Duration;

/// How a worker works.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// For people: host, process id.
    pub(crate) info: String,
    /// How long its leases outlive its last sign of life.
    pub(crate) alive_for: Duration,
    /// Looks into the store at least this often.
    pub(crate) poll: Duration,
    /// A machine that waits longer than this is released.
    pub(crate) keep: Duration,
    /// Turns at once.
    pub(crate) turns: usize,
    /// Machines held at once.
    pub(crate) machines: usize,
    /// How often tasks are asked about.
    pub(crate) pace: Pace,
    /// How often machines at rest are looked for, if ever.
    pub(crate) audit: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            info: format!("process {}", std::process::id()),
            alive_for: Duration::from_secs(30),
            poll: Duration::from_secs(1),
            keep: Duration::from_secs(5),
            turns: 64,
            machines: 10_000,
            pace: Pace { first: Duration::from_millis(50), longest: Duration::from_secs(2) },
            audit: Some(Duration::from_secs(300)),
        }
    }
}

impl Settings {
    /// How often the worker shows that it lives: two signs may be lost before its time is over.
    pub(crate) fn beat_every(&self) -> Duration {
        self.alive_for / 3
    }

    pub(crate) fn worker(&self, id: deploy_core::WorkerId) -> WorkerInfo {
        WorkerInfo { id, info: self.info.clone() }
    }
}
