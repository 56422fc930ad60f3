//! Machines that the HA manager starts and stops.

use super::Decision;
use crate::{Change, HaState, Machine, Progress, StopMode, VmRecord};
use jiff::SignedDuration;

/// How long the HA manager may take beyond what the guest is given: it acts in rounds of about ten seconds.
const ROUNDS: SignedDuration = SignedDuration::from_secs(60);

/// The wait for what the HA manager was asked for, if it was. PVE's task (`hastart`, `hastop`) only writes the wish down and is over
/// at once: a guest that still runs after it has refused nothing yet, and must not have its plug pulled.
pub(super) fn ha_manager(record: &VmRecord, machine: &Machine, change: &Change) -> Option<Decision> {
    let patience = match change {
        Change::Start | Change::Stop(StopMode::Hard) => ROUNDS,
        Change::Stop(StopMode::Graceful { patience }) => {
            ROUNDS.saturating_add(SignedDuration::from_secs(i64::from(*patience)))
        }
        _ => return None,
    };
    let is_managed = match &machine.ha {
        Some(HaState::Managed(state)) => state.as_deref() != Some("ignored"),
        Some(HaState::Unmanaged) | None => false,
    };
    // A stop may have been a hard one, after one that the guest did not follow.
    let was_asked = match record.progress {
        Progress::Applied { fingerprint } => {
            let hard = Change::Stop(StopMode::Hard);
            fingerprint == change.fingerprint()
                || matches!(change, Change::Stop(_)) && fingerprint == hard.fingerprint()
        }
        Progress::Untried | Progress::Intended { .. } | Progress::Submitted { .. } => false,
    };
    (is_managed && was_asked)
        .then(|| Decision::AwaitHa(format!("the HA manager was asked: {change}"), patience))
}
