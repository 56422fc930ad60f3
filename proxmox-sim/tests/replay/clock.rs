//! The time of the recording, carried over into virtual time.

use std::time::Duration;

use crate::rows::Row;

/// What a client needs between an answer and its next request.
const PAUSE: Duration = Duration::from_millis(8);

/// Says when a row was sent.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// Recorded and virtual time of a moment that both know.
    script: Option<(f64, Duration)>,
    boot: Option<(f64, Duration)>,
}

impl Pace {
    /// When to send a row, at the earliest a little after `now`.
    pub(crate) fn moment(&self, row: &Row, now: Duration) -> Duration {
        let now = now + PAUSE;
        match (row.t_s, ticks(row)) {
            // The time begins anew with each script.
            (Some(time), _) => after(self.script, time, now),
            (None, Some(time)) => after(self.boot, time, now),
            (None, None) => now,
        }
    }

    /// A row was sent at that moment.
    pub(crate) fn sent(&mut self, row: &Row, moment: Duration) {
        match (row.t_s, ticks(row)) {
            (Some(time), _) => self.script = Some((time, moment)),
            (None, Some(time)) => self.boot = Some((time, moment)),
            (None, None) => {}
        }
    }
}

/// Where no time was kept, the start of a task, in hundredths of a second, is the only one there is.
fn ticks(row: &Row) -> Option<f64> {
    row.upid().and_then(|upid| started(&upid)).map(|time| time - row.elapsed_s.min(0.2))
}

/// As long after the last moment as in the recording. A long break was one of the people who made it.
fn after(last: Option<(f64, Duration)>, time: f64, now: Duration) -> Duration {
    let Some((then, base)) = last else {
        return now;
    };
    let passed = Duration::try_from_secs_f64(time - then).unwrap_or_default();
    now.max(base + passed.min(Duration::from_secs(40)))
}

fn started(upid: &str) -> Option<f64> {
    let ticks = u32::from_str_radix(upid.split(':').nth(3)?, 16).ok()?;
    Some(f64::from(ticks) / 100.0)
}
