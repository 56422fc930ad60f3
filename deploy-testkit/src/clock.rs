use deploy_core::Clock;
use jiff::{SignedDuration, Timestamp};
use std::sync::atomic::{AtomicI64, Ordering};

/// A clock that a test moves. Its steps are microseconds, which is what every store keeps.
#[derive(Debug)]
pub struct ManualClock {
    micros: AtomicI64,
}

impl ManualClock {
    /// A clock that shows `now`.
    pub fn new(now: Timestamp) -> Self {
        Self { micros: AtomicI64::new(now.as_microsecond()) }
    }

    /// Sets it, also back.
    pub fn set(&self, now: Timestamp) {
        self.micros.store(now.as_microsecond(), Ordering::SeqCst);
    }

    /// Moves it on by `duration`, and says what it shows then.
    pub fn advance(&self, duration: SignedDuration) -> Timestamp {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        let before = self.micros.fetch_add(micros, Ordering::SeqCst);
        timestamp(before.saturating_add(micros))
    }
}

impl Default for ManualClock {
    /// A clock that shows [`sample::epoch`](crate::sample::epoch).
    fn default() -> Self {
        Self::new(crate::sample::epoch())
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        timestamp(self.micros.load(Ordering::SeqCst))
    }
}

fn timestamp(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX)
}
