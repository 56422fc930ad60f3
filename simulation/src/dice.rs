use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{
    ops::Range,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Where one actor's luck comes from. Each has its own, so that one that is left out changes nothing for the others.
pub(crate) struct Dice(Mutex<StdRng>);

impl Dice {
    /// The dice of the actor with this name.
    pub(crate) fn of(seed: u64, actor: &str, n: usize) -> Self {
        let name = actor
            .bytes()
            .fold(n as u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Self(Mutex::new(StdRng::seed_from_u64(seed ^ name.rotate_left(32))))
    }

    /// True that often.
    pub(crate) fn chance(&self, share: f64) -> bool {
        self.roll(Rng::random::<f64>) < share
    }

    /// Evenly, the end left out.
    pub(crate) fn within(&self, range: Range<u64>) -> u64 {
        self.roll(|rng| rng.random_range(range))
    }

    /// Evenly, in milliseconds.
    pub(crate) fn millis(&self, range: Range<u64>) -> Duration {
        Duration::from_millis(self.within(range))
    }

    /// About as long as this: from half to one and a half.
    pub(crate) fn about(&self, time: Duration) -> Duration {
        time.mul_f64(0.5 + self.roll(Rng::random::<f64>))
    }

    /// One of these.
    pub(crate) fn pick<'a, T>(&self, all: &'a [T]) -> &'a T {
        &all[self.roll(|rng| rng.random_range(0..all.len()))]
    }

    fn roll<T>(&self, roll: impl FnOnce(&mut StdRng) -> T) -> T {
        roll(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
