//! Counting traffic from counters that begin anew.

use crate::VmKey;
use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};

/// Bytes, as the guest sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
pub struct Traffic {
    /// That the guest received.
    pub received: u64,
    /// That the guest sent.
    pub sent: u64,
}

impl Traffic {
    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            received: self.received.saturating_add(other.received),
            sent: self.sent.saturating_add(other.sent),
        }
    }

    /// What this is more than `earlier`; `None` where either has become less.
    fn since(self, earlier: Self) -> Option<Self> {
        Some(Self {
            received: self.received.checked_sub(earlier.received)?,
            sent: self.sent.checked_sub(earlier.sent)?,
        })
    }
}

/// A machine's counters at a moment (PVE: `netin`, `netout` and `uptime` of a machine in the list of the cluster, which is
/// up to ten seconds behind, and up to [`LAG`](CounterReading::LAG) where its node stopped telling).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CounterReading {
    /// When they were asked for, before the request.
    pub at: Timestamp,
    /// How long the machine's process has run, in seconds; 0 where it does not run.
    pub uptime: u64,
    /// What it counted since it was started, or moved to its node while it ran: each begins at zero.
    pub counted: Traffic,
}

impl CounterReading {
    /// How old a reading may be at most: PVE drops what is older.
    pub const LAG: SignedDuration = SignedDuration::from_secs(300);

    /// What came beyond `last` until this reading; `None` for one that is not newer, which is to be dropped.
    ///
    /// A process that runs on has counted on. One that was started since has counted from zero, so that all it shows is new;
    /// what the one before had counted after `last` is not known to anybody. Nothing is counted twice: in doubt they are taken
    /// for one process. That is wrong only where a machine is started anew within five minutes of `last`, and by this reading
    /// runs for longer, and has more to show, than it had then: read every few minutes, in the first minutes of a run. Lost is
    /// at most what it had then.
    pub fn beyond(&self, last: Option<&Self>) -> Option<Traffic> {
        let Some(last) = last else { return Some(self.counted) };
        if self.at <= last.at {
            return None;
        }
        let goes_on = !self.is_of_a_later_run(last);
        Some(self.counted.since(last.counted).filter(|_| goes_on).unwrap_or(self.counted))
    }

    /// Whether the process was started after `last`, beyond doubt: its uptime is less, or shorter than the time between the
    /// two, also if this reading is as old as it can be. That the uptime has not grown by as much would say more, and would
    /// have everything counted twice where the clock is set forward.
    fn is_of_a_later_run(&self, last: &Self) -> bool {
        let between = self.at.duration_since(last.at) - Self::LAG;
        let uptime = SignedDuration::from_secs(i64::try_from(self.uptime).unwrap_or(i64::MAX));
        self.uptime < last.uptime || uptime < between
    }

    /// The day that it is counted in.
    pub fn day(&self) -> Date {
        self.at.to_zoned(TimeZone::UTC).date()
    }
}

/// The counters of a machine of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MachineReading {
    /// The machine.
    pub key: VmKey,
    /// Its counters.
    pub reading: CounterReading,
}

/// What a machine has had in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrafficTotal {
    /// The machine.
    pub key: VmKey,
    /// Since its first reading. It never becomes less, so that what it had between any two moments is the difference of two
    /// totals.
    pub total: Traffic,
    /// The first reading.
    pub since: Timestamp,
    /// The last one.
    pub last: CounterReading,
}

impl TrafficTotal {
    /// The total with one more reading, and what that added; `None` where it is not newer than the last one.
    pub fn with(
        kept: Option<Self>,
        MachineReading { key, reading }: MachineReading,
    ) -> Option<(Self, Traffic)> {
        let added = reading.beyond(kept.as_ref().map(|kept| &kept.last))?;
        let (total, since) = kept.map_or((Traffic::default(), reading.at), |kept| (kept.total, kept.since));
        Some((Self { key, total: total.plus(added), since, last: reading }, added))
    }
}

/// What a machine had on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrafficOfDay {
    /// The machine.
    pub key: VmKey,
    /// The day, in UTC, on which it was read.
    pub day: Date,
    /// What it had.
    pub traffic: Traffic,
}

/// Which days of which machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrafficQuery {
    /// Only of this machine.
    pub key: Option<VmKey>,
    /// The first day.
    pub from: Date,
    /// The day after the last.
    pub until: Date,
}
