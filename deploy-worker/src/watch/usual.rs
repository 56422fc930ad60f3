//! How long tasks usually take.

use super::Work;
use deploy_core::ChangeKind;
use std::{collections::HashMap, time::Duration};

/// Kinds of work that are remembered; what was seen last goes in where that many are known.
const MOST: usize = 10_000;

/// How much of a difference the next one counts: of a mean an eighth, of the deviation a quarter, as RFC 6298 has it for the
/// round trips of TCP.
const MEAN: f64 = 0.125;
const DEVIATION: f64 = 0.25;

/// Longer than this nothing goes unwatched: a task may fail at once, and what was learned may be wrong.
const LONGEST: Duration = Duration::from_secs(5);

/// So many deviations before the mean an end is possible.
const DEVIATIONS: f64 = 2.0;

/// Of the first one, that much counts as its deviation.
const FIRST_DEVIATION: f64 = 0.2;

/// What tasks took, by what they do, on which node and storage.
#[derive(Default)]
pub(super) struct Usual(HashMap<Work, Took>);

/// In seconds.
#[derive(Clone, Copy)]
struct Took {
    mean: f64,
    deviation: f64,
}

impl Usual {
    /// A task took so long.
    pub(super) fn took(&mut self, work: Work, time: Duration) {
        let time = time.as_secs_f64();
        if let Some(took) = self.0.get_mut(&work) {
            let difference = time - took.mean;
            took.mean += difference * MEAN;
            took.deviation += (difference.abs() - took.deviation) * DEVIATION;
        } else if self.0.len() < MOST {
            self.0.insert(work, Took { mean: time, deviation: time * FIRST_DEVIATION });
        }
    }

    /// Before it has worked for so long, a task is not worth a question.
    pub(super) fn soonest(&self, work: &Work) -> Duration {
        match self.0.get(work) {
            Some(took) => {
                let soonest = took.mean - DEVIATIONS * took.deviation;
                Duration::try_from_secs_f64(soonest).unwrap_or_default().min(LONGEST)
            }
            None => quickest(work.kind),
        }
    }
}

/// What even a quick cluster takes for it.
fn quickest(kind: ChangeKind) -> Duration {
    Duration::from_millis(match kind {
        ChangeKind::Migrate => 1_000,
        ChangeKind::Clone | ChangeKind::Import => 700,
        ChangeKind::Start | ChangeKind::Stop | ChangeKind::Destroy => 300,
        ChangeKind::Backup | ChangeKind::RestoreBackup => 2_000,
        ChangeKind::JoinPool
        | ChangeKind::Configure
        | ChangeKind::Resize
        | ChangeKind::SetFirewall
        | ChangeKind::Reset
        | ChangeKind::LeaveHa
        | ChangeKind::CreateSnapshot
        | ChangeKind::DeleteSnapshot
        | ChangeKind::RollBack
        | ChangeKind::DeleteBackup => 0,
    })
}
