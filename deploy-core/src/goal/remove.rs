//! The machine is taken away.

use crate::{Change, Configure, Machine, Power, StopMode, VmRecord, rules::Verdict};

/// It does not run. How long the guest may take is the policy's to say ([`decide`](crate::decide) fills it in).
pub(crate) fn stopped(_record: &VmRecord, machine: &Machine) -> Verdict {
    match machine.power {
        Some(Power::Stopped) => Verdict::Met,
        Some(Power::Running) => Verdict::Unmet(Change::Stop(StopMode::Graceful { patience: 0 })),
        // A guest that does not run cannot follow a request to shut down.
        Some(Power::Suspended(_)) => Verdict::Unmet(Change::Stop(StopMode::Hard)),
        None => Verdict::UnderWay("whether it runs was not shown".to_owned()),
    }
}

/// It has no backups but protected ones, which somebody wanted to keep. Before it is destroyed: afterwards the right to
/// delete them may be gone with it.
pub(crate) fn backups_deleted(_record: &VmRecord, machine: &Machine) -> Verdict {
    match &machine.backups {
        Some(backups) => match backups.iter().find(|backup| !backup.protected) {
            Some(backup) => Verdict::Unmet(Change::DeleteBackup(backup.clone())),
            None => Verdict::Met,
        },
        None => Verdict::UnderWay("its backups were not shown".to_owned()),
    }
}

/// It is destroyed. Only its proven absence ends this step.
pub(crate) fn removed(record: &VmRecord, machine: &Machine) -> Verdict {
    match stopped(record, machine) {
        Verdict::Met if machine.config.protected => Verdict::Unmet(Change::Configure(Box::new(Configure {
            protected: Some(false),
            ..Configure::default()
        }))),
        Verdict::Met => Verdict::Unmet(Change::Destroy),
        other => other,
    }
}
