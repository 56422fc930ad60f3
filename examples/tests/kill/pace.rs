//! When the next kill comes.

use rand::{Rng, rngs::StdRng};
use std::time::Duration;

/// Draws the moments of the kills, so that the wanted number fits before the work is done, on a quick machine and on a slow one.
pub(crate) struct Pace {
    wanted: u32,
    mean: f64,
}

/// How long a worker may live.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Life {
    /// From its start: it may not even have come to open its database.
    FromStart(Duration),
    /// From when it has its database.
    AtWork(Duration),
}

const QUICKEST: f64 = 0.06;
const SLOWEST: f64 = 10.0;
const EARLY: f64 = 0.3;

impl Pace {
    pub(crate) fn new(wanted: u32) -> Self {
        Self { wanted, mean: 0.4 }
    }

    /// `done` is the share of the work that is done after so many kills.
    pub(crate) fn next(&mut self, kills: u32, done: f64, rng: &mut StdRng) -> Life {
        // A little is to be left for the last one, which nobody kills.
        let expected = f64::from(kills) / f64::from(self.wanted) * 0.9;
        self.mean = (self.mean * if done > expected { 0.9 } else { 1.1 }).clamp(QUICKEST, SLOWEST);
        if rng.random_ratio(1, 4) {
            return Life::FromStart(Duration::from_secs_f64(rng.random_range(0.0..EARLY)));
        }
        Life::AtWork(Duration::from_secs_f64(rng.random_range(0.0..2.0 * self.mean)))
    }
}
