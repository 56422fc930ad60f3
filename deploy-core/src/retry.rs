//! How long to wait before trying again. Nothing here can give up.

use crate::{ErrorClass, VmKey};
use jiff::{SignedDuration, Timestamp};

/// The delays between tries.
///
/// A delay grows with the failures in a row up to its class's longest and is spread by up to a quarter, so that
/// machines that failed together do not come back together. The spread is derived from the record's key and its count of
/// failures: the same machine always gets the same delays, and tests need no randomness.
#[derive(Debug, Clone, PartialEq)]
pub struct RetryPolicy {
    /// Server not reached, or the request provably not delivered.
    pub unreachable: Backoff,
    /// Locked, another operation under way, no quorum.
    pub busy: Backoff,
    /// The answer was lost: a look comes first, so this is short.
    pub unknown: Backoff,
    /// It failed for a reason that time may mend.
    pub failed: Backoff,
    /// A pool or storage is full.
    pub exhausted: Backoff,
    /// Refused: the order or the cluster's configuration must change.
    pub refused: Backoff,
    /// How often to look at something that is under way and announces itself by nothing else (a lock, a booting guest):
    /// at first after `poll.first`, then ever more rarely the longer it lasts, up to `poll.longest`. A silent guest agent
    /// blocks one of a node's three API workers for 3 s each time it is asked.
    pub poll: Backoff,
    /// After so long a wait for one and the same thing a human is told. It is waited for all the same.
    pub patience: SignedDuration,
    /// After so long without any task at work on it, a lock is told to a human: whoever set it was killed. It is waited
    /// for all the same.
    pub stale_lock: SignedDuration,
    /// How long a request whose answer was lost may still arrive: two of PVE's own proxy time-outs of 30 s. Absence is
    /// not believed before.
    pub late_arrival: SignedDuration,
    /// After so many failures of a step in a row a human is told, whatever the class.
    pub attention_after: u32,
    /// How long a command that sets DNS records waits for somebody to see to them. It fails then; the records are tried on.
    pub dns_patience: SignedDuration,
    /// Seconds a guest gets to shut down before it is stopped hard.
    pub shutdown_patience: u16,
}

/// A delay that doubles from `first` to `longest`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// After the first failure.
    pub first: SignedDuration,
    /// Never longer than this.
    pub longest: SignedDuration,
}

impl Backoff {
    /// A backoff in milliseconds.
    pub const fn millis(first: i64, longest: i64) -> Self {
        Self { first: SignedDuration::from_millis(first), longest: SignedDuration::from_millis(longest) }
    }
}

impl Default for RetryPolicy {
    /// Delays for real clusters: PVE waits 10 s for its own locks and needs minutes at worst to come back after an
    /// update; a human needs longer than that.
    fn default() -> Self {
        Self {
            unreachable: Backoff::millis(1_000, 60_000),
            busy: Backoff::millis(2_000, 30_000),
            unknown: Backoff::millis(1_000, 30_000),
            failed: Backoff::millis(2_000, 120_000),
            exhausted: Backoff::millis(10_000, 300_000),
            refused: Backoff::millis(10_000, 300_000),
            poll: Backoff::millis(2_000, 30_000),
            patience: SignedDuration::from_mins(10),
            stale_lock: SignedDuration::from_mins(2),
            late_arrival: SignedDuration::from_secs(60),
            attention_after: 10,
            dns_patience: SignedDuration::from_mins(2),
            shutdown_patience: 30,
        }
    }
}

impl RetryPolicy {
    /// The delay before the next try, after `failures` failures in a row (1 for the first).
    pub fn delay(&self, key: VmKey, failures: u32, class: ErrorClass) -> SignedDuration {
        let backoff = match class {
            ErrorClass::Unreachable => self.unreachable,
            ErrorClass::Busy => self.busy,
            ErrorClass::Unknown => self.unknown,
            ErrorClass::Failed => self.failed,
            ErrorClass::Exhausted => self.exhausted,
            ErrorClass::Refused | ErrorClass::Unauthorized => self.refused,
        };
        let first = backoff.first.as_millis().max(1);
        let doubled = first.saturating_mul(1_i128 << failures.saturating_sub(1).min(40));
        let delay = doubled.min(backoff.longest.as_millis().max(first));
        let spread = i128::from(jitter(key, failures) % 256) * delay / 1024;
        SignedDuration::from_millis(i64::try_from(delay + spread).unwrap_or(i64::MAX))
    }
}

impl RetryPolicy {
    /// The delay before the next look at something that has been under way for so long.
    pub fn poll_after(&self, waited: SignedDuration) -> SignedDuration {
        let first = self.poll.first.max(SignedDuration::from_millis(1));
        (waited / 4).clamp(first, self.poll.longest.max(first))
    }

    /// No delay is longer. A record that is due later than that was written before the clock was set back.
    pub(crate) fn longest(&self) -> SignedDuration {
        let classes =
            [self.unreachable, self.busy, self.unknown, self.failed, self.exhausted, self.refused, self.poll];
        let longest =
            classes.iter().map(|backoff| backoff.longest.max(backoff.first)).max().unwrap_or_default();
        // With the spread of a quarter.
        longest.saturating_add(longest / 4).max(self.late_arrival)
    }
}

/// The time after a delay; a policy's delay may reach beyond all times.
pub(crate) fn later(now: Timestamp, delay: SignedDuration) -> Timestamp {
    now.checked_add(delay).unwrap_or(Timestamp::MAX)
}

/// A number that differs between machines and tries but is always the same for one (splitmix64's finaliser).
fn jitter(key: VmKey, failures: u32) -> u64 {
    let (high, low) = key.0.as_u64_pair();
    let mut mixed = high ^ low.rotate_left(17) ^ u64::from(failures).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
