//! Traffic is counted once, whatever becomes of the counters.

use deploy_core::*;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

/// Bytes a second, both ways.
const RATE: u64 = 10;

/// A run of a machine's process, in seconds from the beginning.
#[derive(Debug, Clone, Copy)]
struct Run {
    from: u64,
    until: u64,
}

/// A machine that is started and stopped or moved, and read now and then from statistics of some age.
#[derive(Debug, Clone)]
struct Life {
    runs: Vec<Run>,
    /// When it is read, and how old the statistics are then.
    readings: Vec<(u64, u64)>,
}

impl Life {
    /// What it shows of itself at a moment.
    fn shown(&self, at: u64) -> (u64, u64) {
        let run = self.runs.iter().find(|run| run.from <= at && at < run.until);
        run.map_or((0, 0), |run| (at - run.from, (at - run.from) * RATE))
    }

    fn reading(&self, (at, age): (u64, u64)) -> CounterReading {
        let (uptime, bytes) = self.shown(at.saturating_sub(age));
        let at = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(i64::try_from(at).unwrap());
        CounterReading { at, uptime, counted: Traffic { received: bytes, sent: bytes } }
    }

    fn counted(&self) -> u64 {
        let key = VmKey(uuid::Uuid::nil());
        let mut kept = None;
        for reading in &self.readings {
            let reading = self.reading(*reading);
            if let Some((total, _)) = TrafficTotal::with(kept, MachineReading { key, reading }) {
                kept = Some(total);
            }
        }
        kept.map_or(0, |kept| kept.total.received)
    }

    /// What it has had until a moment.
    fn had(&self, until: u64) -> u64 {
        self.runs.iter().map(|run| run.until.min(until).saturating_sub(run.from) * RATE).sum()
    }

    /// What nobody can know: of each run, what it had after it was last read.
    fn unread(&self) -> u64 {
        let last = self.readings.last().map_or(0, |(at, age)| at.saturating_sub(*age));
        let unread = |run: &Run| {
            let read = self.readings.iter().map(|(at, age)| at.saturating_sub(*age));
            let seen = read.filter(|at| run.from <= *at && *at < run.until).max();
            run.until.min(last).saturating_sub(seen.unwrap_or(run.from)) * RATE
        };
        self.runs.iter().map(unread).sum()
    }

    /// What may be lost because a run is taken for the one before: of each that was last read in its first minutes.
    fn doubtful(&self) -> u64 {
        let young = |run: &Run| {
            let read = self.readings.iter().map(|(at, age)| at.saturating_sub(*age));
            let last = read.filter(|at| run.from <= *at && *at < run.until).max();
            last.map(|at| at - run.from).filter(|uptime| *uptime <= PAUSE + 2 * FRESH).unwrap_or(0) * RATE
        };
        self.runs.iter().map(young).sum()
    }
}

/// Statistics of a node that tells nothing any more are dropped after so long.
const LAG: u64 = 300;

/// Those of one that does are no older.
const FRESH: u64 = 10;

/// The longest time between two readings, where all is well.
const PAUSE: u64 = 300;

fn lives(longest_pause: u64, oldest: u64) -> impl Strategy<Value = Life> {
    let runs = prop::collection::vec((0..2000_u64, 1..5000_u64), 1..9);
    let readings = prop::collection::vec((1..=longest_pause, 0..=oldest), 1..60);
    (runs, readings).prop_map(|(runs, readings)| {
        let mut at = 0;
        let mut laid = |pause: u64, length: u64| {
            let run = Run { from: at + pause, until: at + pause + length };
            at = run.until;
            run
        };
        let runs = runs.into_iter().map(|(pause, length)| laid(pause, length)).collect();
        let (mut now, mut told) = (0, 0);
        let readings = readings.into_iter().map(|(pause, age)| {
            now += pause;
            // Statistics do not go back.
            told = now.saturating_sub(age).max(told);
            (now, now - told)
        });
        Life { runs, readings: readings.collect() }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(3000) })]

    #[test]
    fn nothing_is_counted_twice(life in lives(2000, LAG)) {
        let last = life.readings.last().map_or(0, |(at, age)| at.saturating_sub(*age));
        prop_assert!(life.counted() <= life.had(last), "{} of {}", life.counted(), life.had(last));
    }

    #[test]
    fn nothing_is_lost_but_what_nobody_can_know_and_first_minutes(life in lives(PAUSE, FRESH)) {
        let last = life.readings.last().map_or(0, |(at, age)| at.saturating_sub(*age));
        let known = life.had(last) - life.unread();
        prop_assert!(
            life.counted() + life.doubtful() >= known,
            "{} and {} in doubt of {known}", life.counted(), life.doubtful()
        );
    }
}

#[test]
fn a_restart_after_some_minutes_loses_nothing_that_was_read() {
    let life = Life {
        runs: vec![Run { from: 0, until: 3000 }, Run { from: 3010, until: 9000 }],
        readings: vec![(1000, 0), (2000, 5), (2990, 5), (4000, 5), (8000, 9)],
    };
    assert_eq!(life.counted(), (2985 + (7991 - 3010)) * RATE);
}

#[test]
fn a_node_that_tells_nothing_any_more_makes_nobody_pay_twice() {
    // Read young, then from statistics that grow old.
    let life = Life {
        runs: vec![Run { from: 0, until: 9000 }],
        readings: vec![(60, 0), (200, 130), (359, 289), (700, 0)],
    };
    assert_eq!(life.counted(), 700 * RATE);
}

#[test]
fn a_clock_that_is_set_forward_makes_nobody_pay_twice() {
    let reading = |minute: i64, uptime: u64| CounterReading {
        at: Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minute),
        uptime,
        counted: Traffic { received: uptime * RATE, sent: 0 },
    };
    // Five minutes went by, and the clock says an hour more.
    let added = reading(65, 100_300).beyond(Some(&reading(0, 100_000)));
    assert_eq!(added, Some(Traffic { received: 300 * RATE, sent: 0 }));
}
