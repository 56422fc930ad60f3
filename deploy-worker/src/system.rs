//! The time and the randomness of the operating system: the two seams that only a real process can fill.

use deploy_core::{Clock, Entropy};
use jiff::Timestamp;

/// The operating system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// The operating system's generator of random numbers (Linux: `getrandom(2)`).
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    /// # Panics
    /// Where the operating system has no randomness to give. An identifier or a salt made of anything weaker would do harm
    /// that nobody sees.
    fn fill(&self, buffer: &mut [u8]) {
        if let Err(error) = getrandom::fill(buffer) {
            panic!("the operating system gives no random bytes: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_ids_differ() {
        let entropy: &dyn Entropy = &SystemEntropy;
        assert_ne!(entropy.uuid(), entropy.uuid());
    }

    #[test]
    fn time_is_the_systems() {
        let before = Timestamp::now();
        let now = SystemClock.now();
        assert!(before <= now && now <= Timestamp::now());
    }
}
