//! Whose a backup is. A storage knows the number alone, which an earlier machine, or one of another cluster on the same storage,
//! may have had: what the backup itself holds decides. A wrong guess must keep, not lose.

use super::{Decision, Observation, submit, target};
use crate::{
    Backup, ErrorClass, Fate, Kept, LookError, NoteDown, Obscured, RetryPolicy, Shown, Step, VmRecord, goal,
    rules::Verdict,
};

/// What one backup shows of whose machine it was made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Archived {
    /// Its volume.
    pub volume: String,
    /// What it shows, or why nobody can tell.
    pub shown: Result<Shown, LookError>,
}

/// What to do about backups of a machine that is not there any more.
pub(super) fn deleted(record: &VmRecord, observation: &Observation, policy: &RetryPolicy) -> Decision {
    match &observation.backups {
        Some(Ok(backups)) => verdict(record, goal::deleted_backups(record, backups), observation, policy),
        Some(Err(LookError { class, message })) => {
            Decision::Blind(Obscured { class: *class, message: message.clone() })
        }
        None => Decision::Blind(Obscured {
            class: ErrorClass::Unknown,
            message: "backups were not looked for".to_owned(),
        }),
    }
}

/// The same, as far as the goal has judged what is there.
pub(super) fn verdict(
    record: &VmRecord,
    verdict: Verdict,
    observation: &Observation,
    policy: &RetryPolicy,
) -> Decision {
    match verdict {
        Verdict::IfOurs(backup, Some(change)) => match ours(record, &backup, observation, policy) {
            Ok(_) => submit(record, target(record, None), change),
            Err(decision) => decision,
        },
        Verdict::Incomplete(message, _) if record.failures < policy.attention_after => {
            Decision::Blind(Obscured { class: ErrorClass::Unreachable, message })
        }
        Verdict::Note(note) | Verdict::Incomplete(_, note) => Decision::Note(note),
        _ => Decision::Done(format!(
            "there is no machine {} of ours, and no backup of it that could go",
            record.numbered.vmid
        )),
    }
}

/// What this backup shows, where it is ours.
///
/// # Errors
/// What to do instead.
pub(super) fn ours(
    record: &VmRecord,
    backup: &Backup,
    observation: &Observation,
    policy: &RetryPolicy,
) -> Result<Shown, Decision> {
    let archived = observation.archived.as_ref().filter(|archived| archived.volume == backup.volume);
    match archived.map(|archived| &archived.shown) {
        Some(Ok(shown)) if is_ours(record, *shown) => Ok(*shown),
        Some(Ok(shown)) => Err(foreign(record, backup, *shown)),
        // For want of a right, or because it is broken. It is tried for a while, but not for ever.
        Some(Err(LookError { message, .. })) if record.failures >= policy.attention_after => {
            Err(unreadable(record, backup, message))
        }
        Some(Err(LookError { class, message })) => {
            let message = format!("backup {} could not be looked into: {message}", backup.volume);
            Err(Decision::Blind(Obscured { class: *class, message }))
        }
        None => Err(Decision::Blind(Obscured {
            class: ErrorClass::Unknown,
            message: format!("backup {} was not looked into", backup.volume),
        })),
    }
}

/// By the mark, which every incarnation of this machine carries. A backup without one, of the time before it was adopted or while
/// people had edited the mark away, is kept; but it may be restored where it shows the identity.
fn is_ours(record: &VmRecord, shown: Shown) -> bool {
    let is_this = shown.smbios.is_some() && shown.smbios == record.smbios;
    match (shown.mark, record.step) {
        // Of an earlier incarnation it could not be put in the place of this one: that is known before anything is stopped.
        (mark, Step::RestoreBackup) => is_this && mark.is_none_or(|mark| mark == record.mark()),
        (mark, _) => mark == Some(record.mark()),
    }
}

fn foreign(record: &VmRecord, backup: &Backup, shown: Shown) -> Decision {
    let kept = if shown.mark.is_none() { Kept::Unproven } else { Kept::Foreign };
    if record.step == Step::DeletingBackups {
        return Decision::Note(NoteDown::Receipt(vec![(backup.resource(), Fate::Kept(kept))]));
    }
    let why = match shown.mark {
        Some(mark) if mark == record.mark() => {
            "is of the time before the machine was made anew, and cannot be put in its place"
        }
        Some(_) => "was made of somebody else's machine",
        None => "shows nothing that proves whose it is",
    };
    Decision::Refuse(format!("backup {} {why}; nothing was changed", backup.volume))
}

fn unreadable(record: &VmRecord, backup: &Backup, why: &str) -> Decision {
    if record.step == Step::DeletingBackups {
        let why = format!("whose it is cannot be read: {why}");
        return Decision::Note(NoteDown::Receipt(vec![(backup.resource(), Fate::NotKnown(why))]));
    }
    Decision::Refuse(format!(
        "backup {}: whose it is cannot be read: {why}; nothing was changed",
        backup.volume
    ))
}
