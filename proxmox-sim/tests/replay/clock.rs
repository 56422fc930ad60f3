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
    /// When to send a row, at the earliest `now`.
    pub(crate) fn moment(&mut self, row: &Row, now: Duration) -> Duration {
        let now = now + PAUSE;
        if let Some(time) = row.t_s {
            // The time begins anew with each script.
            let (start, base) = match self.script {
                Some((last, base)) if time + 0.5 >= last => (time.max(last), base),
                _ => (time, now.saturating_sub(Duration::from_secs_f64(time))),
            };
            self.script = Some((start, base));
            return now.max(base + Duration::from_secs_f64(time));
        }
        // Elsewhere the start of a task, in hundredths of a second, is the only time there is.
        let Some(time) = row.upid().and_then(|upid| started(&upid)) else {
            return now;
        };
        let time = time - row.elapsed_s.min(0.2);
        let (start, base) = *self.boot.get_or_insert((time, now));
        let passed = Duration::try_from_secs_f64(time - start).unwrap_or_default();
        // What was long ago in the recording was a break of the people who made it.
        now.max((base + passed).min(now + Duration::from_secs(40)))
    }
}

fn started(upid: &str) -> Option<f64> {
    let ticks = u32::from_str_radix(upid.split(':').nth(3)?, 16).ok()?;
    Some(f64::from(ticks) / 100.0)
}
