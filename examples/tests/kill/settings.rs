//! How long and how hard.

use deploy_core::Entropy;
use deploy_worker::SystemEntropy;
use std::{env, str::FromStr};

/// What a run is made of; each may be set by an environment variable, for longer runs.
pub(crate) struct Settings {
    /// Of the orders, the moments of the kills, and the cluster's faults: `KILL_SEED`.
    pub(crate) seed: u64,
    /// `KILL_MACHINES`
    pub(crate) machines: usize,
    /// Before all machines are ready: `KILL_KILLS`. A third as many again before all are gone.
    pub(crate) kills: u32,
}

impl Settings {
    pub(crate) fn from_environment(machines: usize, kills: u32) -> Self {
        Self {
            seed: variable("KILL_SEED").unwrap_or_else(another),
            machines: variable("KILL_MACHINES").unwrap_or(machines),
            kills: variable("KILL_KILLS").unwrap_or(kills),
        }
    }

    /// Before all machines are gone.
    pub(crate) fn later_kills(&self) -> u32 {
        self.kills.div_ceil(3)
    }
}

fn variable<T: FromStr>(name: &str) -> Option<T> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}: {text:?} is no number")))
}

/// A seed of few digits.
fn another() -> u64 {
    let entropy: &dyn Entropy = &SystemEntropy;
    u32::from_ne_bytes(entropy.bytes()).into()
}
