use deploy_core::Clock;
use jiff::{SignedDuration, Timestamp};
use std::sync::atomic::{AtomicI64, Ordering};

/// Less than this is the time that the answer was on its way.
const NOISE: i64 = 100_000;

/// This process's clock, put right by what the database says the time is.
#[derive(Debug, Default)]
pub(crate) struct DatabaseClock {
    /// What is added, in microseconds.
    offset: AtomicI64,
}

impl DatabaseClock {
    /// The database just said that it is `at`.
    pub(crate) fn set(&self, at: Timestamp) {
        let offset = at.as_microsecond().saturating_sub(Timestamp::now().as_microsecond());
        let before = self.offset.load(Ordering::Relaxed);
        if offset.abs_diff(before) > NOISE.unsigned_abs() {
            self.offset.store(offset, Ordering::Relaxed);
            if offset.abs() > 10 * NOISE {
                tracing::warn!(
                    seconds = offset / 1_000_000,
                    "this machine's clock differs from the database's, whose time is taken"
                );
            }
        }
    }
}

impl Clock for DatabaseClock {
    fn now(&self) -> Timestamp {
        let offset = SignedDuration::from_micros(self.offset.load(Ordering::Relaxed));
        Timestamp::now().saturating_add(offset).unwrap_or_else(|_| Timestamp::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_wrong_is_put_right_and_noise_is_left_alone() {
        let clock = DatabaseClock::default();
        let minutes = SignedDuration::from_mins(10);
        let differs = |clock: &DatabaseClock| clock.now().duration_since(Timestamp::now()).as_secs_f64();
        clock.set(Timestamp::now() + SignedDuration::from_millis(20));
        assert!(differs(&clock).abs() < 0.01);
        clock.set(Timestamp::now() - minutes);
        assert!((differs(&clock) + 600.0).abs() < 0.01);
        clock.set(Timestamp::now());
        assert!(differs(&clock).abs() < 0.01);
    }
}
