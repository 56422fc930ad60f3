//! Injected faults.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use crate::timing::seconds_of;

/// How often something goes wrong, and what.
///
/// With a rate of 0.2 every fifth request meets a fault; which one is drawn from the weights of
/// those that can happen to it. The draws come from the seed: the same sequence of requests meets
/// the same faults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Share of the requests that meet a fault, from 0 to 1.
    pub rate: f64,
    /// The connection is reset and nothing was done.
    pub lose_request: u32,
    /// The request is carried out and the connection reset before the answer.
    pub lose_answer: u32,
    /// The connection is reset at once and the request carried out some time later.
    pub late: u32,
    /// 595: the next hop did not take the request.
    pub refused: u32,
    /// 596: the next hop gave up waiting; the request is carried out all the same.
    pub gateway: u32,
    /// 500 with the text of a lock that was not had in time. Changing requests only.
    pub busy: u32,
    /// The task that the request starts fails and rolls back. Changing requests only.
    pub task: u32,
    /// The request is carried out and answered late.
    pub slow: u32,
    /// Longest delay of `slow`, `late` and `gateway`, in seconds.
    pub delay: f64,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            rate: 0.0,
            lose_request: 3,
            lose_answer: 3,
            late: 1,
            refused: 2,
            gateway: 2,
            busy: 2,
            task: 3,
            slow: 2,
            delay: 0.5,
        }
    }
}

impl Faults {
    /// The sensible mixture at the given rate.
    pub fn at_rate(rate: f64) -> Self {
        Self { rate, ..Self::default() }
    }

    /// No faults at all.
    pub fn none() -> Self {
        Self::default()
    }
}

/// The fault that one request meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    LoseRequest,
    LoseAnswer,
    Late(Duration),
    Refused,
    Gateway(Duration),
    Busy,
    Task,
    Slow(Duration),
}

/// Draws faults.
#[derive(Debug)]
pub(crate) struct FaultSource {
    pub(crate) faults: Faults,
    rng: StdRng,
}

impl FaultSource {
    pub(crate) fn new(faults: Faults, seed: u64) -> Self {
        Self { faults, rng: StdRng::seed_from_u64(seed ^ 0xfa17) }
    }

    /// Draws for one request. Always takes the same number of random values, so that a fault that
    /// cannot happen does not shift the later ones.
    pub(crate) fn draw(&mut self, changes: bool) -> Option<Fault> {
        let hit = self.rng.random::<f64>();
        let which = self.rng.random::<f64>();
        let delay = seconds_of(self.faults.delay * self.rng.random::<f64>());
        if hit >= self.faults.rate {
            return None;
        }
        let f = &self.faults;
        let table = [
            (f.lose_request, Fault::LoseRequest),
            (f.lose_answer, Fault::LoseAnswer),
            (if changes { f.late } else { 0 }, Fault::Late(delay)),
            (f.refused, Fault::Refused),
            (f.gateway, Fault::Gateway(delay)),
            (if changes { f.busy } else { 0 }, Fault::Busy),
            (if changes { f.task } else { 0 }, Fault::Task),
            (f.slow, Fault::Slow(delay)),
        ];
        let total: u32 = table.iter().map(|(weight, _)| weight).sum();
        let mut left = which * f64::from(total);
        for (weight, fault) in table {
            left -= f64::from(weight);
            if left < 0.0 {
                return Some(fault);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_and_the_seed_decide() {
        let draws = |seed| {
            let mut source = FaultSource::new(Faults::at_rate(0.3), seed);
            (0..1000).map(|_| source.draw(true)).collect::<Vec<_>>()
        };
        let first = draws(7);
        assert_eq!(first, draws(7));
        assert_ne!(first, draws(8));
        let hits = first.iter().flatten().count();
        assert!((250..350).contains(&hits), "{hits} of 1000");
    }

    #[test]
    fn reads_never_meet_faults_of_changes() {
        let mut source = FaultSource::new(Faults::at_rate(1.0), 1);
        for _ in 0..500 {
            let fault = source.draw(false);
            assert!(!matches!(fault, Some(Fault::Busy | Fault::Task | Fault::Late(_))), "{fault:?}");
        }
    }
}
