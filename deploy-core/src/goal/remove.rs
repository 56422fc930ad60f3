//! The machine is taken away.

use crate::{
    Backup, Change, Configure, DestroyMode, HaState, Machine, NoteDown, Operation, Power, Remembered,
    StopMode, VmRecord, rules::Verdict,
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
    match &machine.backups {
        Some(backups) => {
            match backups.found.iter().find(|backup| !backup.protected && is_ours(record, backup)) {
                Some(backup) => Verdict::Unmet(Change::DeleteBackup(backup.clone())),
                None if backups.unread.is_empty() => Verdict::Met,
                None => {
                    Verdict::Incomplete(format!("backups may be left: {}", super::saved::listed(backups)))
                }
            }
        }
        None => Verdict::UnderWay("its backups were not shown".to_owned()),
    }
}

/// Backups are named after the number alone, which an earlier machine, or one of another cluster on the same storage, may
/// have had: what is older than the order, or of unknown age, is somebody else's. A wrong guess must keep, not lose.
pub(super) fn is_ours(record: &VmRecord, backup: &Backup) -> bool {
    backup.made_at.is_some_and(|made_at| made_at >= record.created_at)
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
        // What stays is for the machine that is made under the same number later.
        Verdict::Met if record.operation == Operation::Remove => {
            Verdict::Unmet(Change::Destroy(DestroyMode::KeepBackups))
        }
        Verdict::Met => Verdict::Unmet(Change::Destroy(DestroyMode::Purge)),
        other => other,
    }
}
