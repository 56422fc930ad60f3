//! Snapshots and backups.

use super::{
    commanded::stop,
    remove::{deleted_if_ours, next_backup},
    stopped,
};
use crate::{
    Backup, Backups, Change, Command, ExpiryMark, Machine, NoteDown, Power, Progress, Remembered,
    SnapshotName, Step, VmRecord, rules::Verdict,
};
use jiff::Timestamp;

/// Whether nothing was sent for this step yet.
fn is_fresh(record: &VmRecord) -> bool {
    !record.remembered.contains(&Remembered::Sent)
}

/// Whether a rollback or a restore may still arrive.
fn is_doubted(record: &VmRecord) -> bool {
    record.remembered.contains(&Remembered::StopInDoubt)
        && !record.remembered.contains(&Remembered::CarriedOut)
}

fn nothing_asked() -> Verdict {
    Verdict::Refused("the command does not say what is to be done".to_owned())
}

/// A text with the time until when it is kept.
fn kept_until(text: &str, expires: Option<Timestamp>) -> String {
    expires.map_or_else(|| text.to_owned(), |at| ExpiryMark(at).put_into(text))
}

/// There is a snapshot of this name.
pub(crate) fn snapshotted(record: &VmRecord, machine: &Machine) -> Verdict {
    let Some(Command::CreateSnapshot(asked)) = record.life.command() else { return nothing_asked() };
    let Some(snapshots) = &machine.snapshots else { return not_shown() };
    match snapshots.iter().find(|snapshot| snapshot.name == asked.name) {
        Some(_) if is_fresh(record) => Verdict::Refused(format!(
            "snapshot: the machine has a snapshot {} already; nothing was changed",
            asked.name
        )),
        Some(snapshot) => match &snapshot.incomplete {
            None => Verdict::Met,
            Some(word) => incomplete(record, machine, &asked.name, word),
        },
        None => Verdict::Unmet(Change::CreateSnapshot {
            name: asked.name.clone(),
            description: kept_until(&asked.description, asked.expires),
        }),
    }
}

fn not_shown() -> Verdict {
    Verdict::UnderWay("its snapshots and backups were not shown".to_owned())
}

/// While a task works on it, it has its lock. Afterwards nobody finishes it.
fn incomplete(record: &VmRecord, machine: &Machine, name: &SnapshotName, word: &str) -> Verdict {
    let (vmid, node) = (record.numbered.vmid, &machine.node);
    if let Some(lock) = &machine.lock {
        return Verdict::Locked(format!(
            "snapshot {name} is on its way ({word}; lock: {lock}); if nothing works on it any more, release it on {node} as \
             root: qm unlock {vmid}"
        ));
    }
    Verdict::Impossible(format!(
        "snapshot {name} was left half done ({word}); take it away on {node} as root, and it is made anew: qm delsnapshot \
         {vmid} {name} --force"
    ))
}

/// There is no snapshot of this name.
pub(crate) fn snapshot_deleted(record: &VmRecord, machine: &Machine) -> Verdict {
    let Some(Command::DeleteSnapshot(name)) = record.life.command() else { return nothing_asked() };
    match &machine.snapshots {
        None => not_shown(),
        Some(snapshots) if snapshots.iter().any(|snapshot| snapshot.name == *name) => {
            Verdict::Unmet(Change::DeleteSnapshot(name.clone()))
        }
        Some(_) => Verdict::Met,
    }
}

/// Its disks and settings were taken back to this snapshot. What of them is not as ordered is mended after it.
pub(crate) fn rolled_back(record: &VmRecord, machine: &Machine) -> Verdict {
    let Some(Command::RollBack(name)) = record.life.command() else { return nothing_asked() };
    let Some(snapshots) = &machine.snapshots else { return not_shown() };
    // PVE starts a machine that it takes back to such a one.
    if snapshots.iter().any(|known| known.name == *name && known.memory) && is_fresh(record) {
        return Verdict::Refused(format!(
            "snapshot {name} holds the memory: nothing is taken back to such a one"
        ));
    }
    let is_there = snapshots.iter().any(|known| known.name == *name && known.incomplete.is_none());
    match &machine.power {
        _ if !is_there && is_fresh(record) && !record.life.ran => {
            Verdict::Refused(format!("snapshot: the machine has no snapshot {name}; nothing was changed"))
        }
        Some(Power::Running) if !record.life.ran && is_fresh(record) => Verdict::Note(NoteDown::Ran),
        // One that arrives while the next one works, or after it, would do it again.
        _ if is_doubted(record) => Verdict::Note(NoteDown::AwaitLate),
        _ => Verdict::Unseen(Remembered::CarriedOut, Change::RollBack(name.clone())),
    }
}

/// There is a backup that carries this command's id in its notes.
pub(crate) fn backed_up(record: &VmRecord, machine: &Machine) -> Verdict {
    let Some(asked) = &record.life.asked else { return nothing_asked() };
    let Command::Backup(wanted) = &asked.queued.command else { return nothing_asked() };
    let Some(backups) = &machine.backups else { return not_shown() };
    let id = asked.queued.id.to_string();
    let is_this = |backup: &&Backup| backup.notes.as_ref().is_some_and(|notes| notes.contains(&id));
    if backups.found.iter().any(|backup| is_this(&backup)) {
        return Verdict::Met;
    }
    let unread =
        backups.unread.iter().find(|unread| unread.storage.as_ref().is_none_or(|s| *s == wanted.storage));
    if record.remembered.contains(&Remembered::BackupInDoubt) {
        return Verdict::Note(NoteDown::AwaitLate);
    }
    match unread {
        // One more could be one too many.
        Some(unread) if !is_fresh(record) => {
            Verdict::UnderWay(format!("whether it is made is not known: {unread}"))
        }
        _ => Verdict::Unmet(Change::Backup {
            storage: wanted.storage.clone(),
            mode: wanted.mode,
            notes: kept_until(&format!("{} {id}", record.numbered.fqdn), wanted.expires),
        }),
    }
}

/// The backup that is to be deleted or restored, and of which it must be known whose it is.
pub(crate) fn in_question<'a>(record: &VmRecord, backups: &'a Backups) -> Option<&'a Backup> {
    match (record.step, record.life.command()) {
        (Step::DeletingBackups, _) => next_backup(record, backups).filter(|backup| !backup.protected),
        (Step::DeletingBackup, Some(Command::DeleteBackup(volume)))
        | (Step::RestoreBackup, Some(Command::RestoreBackup(volume))) => {
            backups.found.iter().find(|backup| backup.volume == *volume)
        }
        _ => None,
    }
}

/// This backup is gone.
pub(crate) fn backup_deleted(record: &VmRecord, machine: &Machine) -> Verdict {
    let Some(Command::DeleteBackup(volume)) = record.life.command() else { return nothing_asked() };
    let Some(backups) = &machine.backups else { return not_shown() };
    match backups.found.iter().find(|backup| backup.volume == *volume) {
        Some(backup) if backup.protected => {
            Verdict::Refused(format!("backup {volume} is protected; somebody wants to keep it"))
        }
        Some(backup) => deleted_if_ours(backup),
        // What was deleted, and is listed no more, is not waited for because of some other storage.
        None if backups.unread.is_empty() || matches!(record.progress, Progress::Applied { .. }) => {
            Verdict::Met
        }
        None => Verdict::UnderWay(format!("whether it is there is not known: {}", listed(backups))),
    }
}

pub(super) fn listed(backups: &crate::Backups) -> String {
    backups.unread.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// The backup is there, and of this machine; nothing is stopped or overwritten before.
pub(crate) fn restorable(record: &VmRecord, machine: &Machine) -> Verdict {
    let Some(Command::RestoreBackup(volume)) = record.life.command() else { return nothing_asked() };
    let Some(backups) = &machine.backups else { return not_shown() };
    match backups.found.iter().find(|backup| backup.volume == *volume) {
        _ if machine.config.protected => Verdict::Refused(
            "the machine is protected against what a restore does to its disks; take the protection away first".to_owned(),
        ),
        // Its disks are another machine's to PVE, whose identity is not ours any more.
        Some(backup) if record.life.made_at.is_some_and(|made_at| backup.made_at.is_none_or(|at| at < made_at)) => {
            Verdict::Refused(format!(
                "backup {volume} is of the time before the machine was made anew, and cannot be put in its place; nothing was \
                 changed"
            ))
        }
        Some(backup) => Verdict::IfOurs(Box::new(backup.clone()), None),
        None if backups.unread.is_empty() => {
            Verdict::Refused(format!("the machine has no backup {volume}; nothing was changed"))
        }
        None => Verdict::UnderWay(format!("whether it is there is not known: {}", listed(backups))),
    }
}

/// It does not run, and it is known whether it did.
pub(crate) fn stopped_to_restore(record: &VmRecord, machine: &Machine) -> Verdict {
    match &machine.power {
        Some(Power::Running) if !record.life.ran => Verdict::Note(NoteDown::Ran),
        Some(Power::Running) => stop(),
        _ => stopped(record, machine),
    }
}

/// Its disks and settings are those of the backup. What of them is not as ordered is mended after it.
pub(crate) fn restored(record: &VmRecord, machine: &Machine) -> Verdict {
    let Some(Command::RestoreBackup(volume)) = record.life.command() else { return nothing_asked() };
    let (Some(backups), Some(identity)) = (&machine.backups, record.smbios) else { return not_shown() };
    let done = record.remembered.contains(&Remembered::CarriedOut);
    match backups.found.iter().find(|backup| backup.volume == *volume) {
        _ if done => Verdict::Met,
        _ if is_doubted(record) => Verdict::Note(NoteDown::AwaitLate),
        Some(backup) => Verdict::Unseen(
            Remembered::CarriedOut,
            Change::RestoreBackup { backup: backup.clone(), storage: None, identity },
        ),
        None => Verdict::Impossible(format!(
            "backup {volume} is not to be seen any more, and a restore was begun; {}",
            if backups.unread.is_empty() {
                "put it back, or reinstall the machine".to_owned()
            } else {
                listed(backups)
            }
        )),
    }
}
