//! The machine is taken away.

use crate::{
    Backup, Backups, Change, Configure, DestroyMode, Fate, HaState, Kept, Machine, NoteDown, Operation,
    Power, Remembered, Resource, StopMode, VmRecord, rules::Verdict,
};

/// It does not run. How long the guest may take is the policy's to say ([`decide`](crate::decide) fills it in).
pub(crate) fn stopped(record: &VmRecord, machine: &Machine) -> Verdict {
    // What it cares for the HA manager starts again; and it hinders the destroy.
    if matches!(machine.ha, Some(HaState::Managed(_))) && record.is_taken_away() {
        return Verdict::Unmet(Change::LeaveHa);
    }
    match machine.power {
        Some(Power::Stopped) => Verdict::Met,
        Some(Power::Running) => Verdict::Unmet(Change::Stop(StopMode::Graceful { patience: 0 })),
        // A guest that does not run cannot follow a request to shut down.
        Some(Power::Suspended(_)) => Verdict::Unmet(Change::Stop(StopMode::Hard)),
        None => Verdict::UnderWay("whether it runs was not shown".to_owned()),
    }
}

/// It has no backups of its own but protected ones, which somebody wanted to keep. Before it is destroyed: afterwards the
/// right to delete them may be gone with it.
pub(crate) fn backups_deleted(record: &VmRecord, machine: &Machine) -> Verdict {
    // One that is being made, or still may be, would be left.
    if record.remembered.contains(&Remembered::BackupInDoubt) {
        return Verdict::Note(NoteDown::AwaitLate);
    }
    match &machine.backups {
        _ if machine.lock.as_deref() == Some("backup") => Verdict::Locked(format!(
            "the machine is locked (backup): it is being backed up; if nothing works on it any more, release it on {} as root: qm unlock {}",
            machine.node, record.numbered.vmid
        )),
        Some(backups) => deleted_backups(record, backups),
        None => Verdict::UnderWay("its backups were not shown".to_owned()),
    }
}

/// The same, of those that were found, whether there is a machine or not.
pub(crate) fn deleted_backups(record: &VmRecord, backups: &Backups) -> Verdict {
    match next_backup(record, backups) {
        Some(backup) if backup.protected => {
            Verdict::Note(NoteDown::Receipt(vec![(backup.resource(), Fate::Kept(Kept::Protected))]))
        }
        Some(backup) => deleted_if_ours(backup),
        None => {
            let unread =
                backups.unread.iter().map(|unread| (unread.resource(), Fate::NotKnown(unread.why.clone())));
            let unread: Vec<_> =
                unread.filter(|(resource, _)| record.life.fate_of(resource).is_none()).collect();
            if unread.is_empty() {
                return Verdict::Met;
            }
            let message = format!("backups may be left: {}", super::saved::listed(backups));
            Verdict::Incomplete(message, NoteDown::Receipt(unread))
        }
    }
}

pub(super) fn deleted_if_ours(backup: &Backup) -> Verdict {
    Verdict::IfOurs(Box::new(backup.clone()), Some(Change::DeleteBackup(backup.clone())))
}

/// The first one of which it is not written down why it is kept.
pub(super) fn next_backup<'a>(record: &VmRecord, backups: &'a Backups) -> Option<&'a Backup> {
    backups.found.iter().find(|backup| !is_settled(record, backup))
}

/// Whether it is written down why it is kept.
fn is_settled(record: &VmRecord, backup: &Backup) -> bool {
    match record.life.fate_of(&backup.resource()) {
        // Until somebody takes that away.
        Some(Fate::Kept(Kept::Protected)) => backup.protected,
        Some(Fate::Kept(_) | Fate::NotKnown(_)) => true,
        _ => false,
    }
}

/// The same, of a machine that must not be running: a command that takes its disks stops nobody's work.
pub(crate) fn removed_while_stopped(record: &VmRecord, machine: &Machine) -> Verdict {
    match machine.power {
        Some(Power::Running | Power::Suspended(_)) => {
            Verdict::Refused("remove: the machine runs; stop it first".to_owned())
        }
        _ => removed(record, machine),
    }
}

const DOUBTS: [Remembered; 2] = [Remembered::FirewallInDoubt, Remembered::RulesInDoubt];

/// It is destroyed. Only its proven absence ends this step.
pub(crate) fn removed(record: &VmRecord, machine: &Machine) -> Verdict {
    match stopped(record, machine) {
        Verdict::Met if machine.config.protected => Verdict::Unmet(Change::Configure(Box::new(Configure {
            protected: Some(false),
            ..Configure::default()
        }))),
        // A part of its firewall that arrives later would make the file anew, for whoever gets the number next.
        Verdict::Met if DOUBTS.iter().any(|doubt| record.remembered.contains(doubt)) => {
            Verdict::Note(NoteDown::AwaitFirewall)
        }
        Verdict::Met
            if record.operation == Operation::Terminate && !goes_with(record, machine).is_empty() =>
        {
            Verdict::Note(NoteDown::Receipt(goes_with(record, machine)))
        }
        // What stays is for the machine that is made under the same number later.
        Verdict::Met if record.operation == Operation::Remove => {
            Verdict::Unmet(Change::Destroy(DestroyMode::KeepBackups))
        }
        Verdict::Met => Verdict::Unmet(Change::Destroy(DestroyMode::Purge)),
        other => other,
    }
}

/// What is destroyed with the machine, as far as that is not written down yet.
fn goes_with(record: &VmRecord, machine: &Machine) -> Vec<(Resource, Fate)> {
    let config = &machine.config;
    // Asked for only for as long as that hinders nothing.
    let unseen = machine
        .snapshots
        .is_none()
        .then(|| (Resource::Snapshots, Fate::NotKnown("their list could not be read".to_owned())));
    let snapshots = machine.snapshots.iter().flatten().map(|known| Resource::Snapshot(known.name.clone()));
    let disk = |slot, volume: &String| Resource::Disk { slot, volume: volume.clone() };
    let plugged = config.disks.iter().map(|(slot, known)| disk(Some(*slot), &known.volume));
    let unused = config.unused.values().map(|volume| disk(None, volume));
    let all = snapshots.chain(plugged).chain(unused).map(|resource| (resource, Fate::Pending));
    let all = unseen.into_iter().chain(all);
    all.filter(|(resource, _)| record.life.fate_of(resource).is_none()).collect()
}
