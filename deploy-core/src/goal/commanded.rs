//! What is commanded of a machine's power.

use super::configured;
use crate::{
    Autostart, Change, Command, Configure, Machine, NoteDown, Power, Remembered, Resume, StopMode, VmRecord,
    rules::Verdict,
};

const NOT_SHOWN: &str = "whether it runs was not shown";

/// It runs. What waits is applied with the start, as PVE does; unlike a deployment, a start judges no configuration: whatever
/// somebody has changed since, the customer may start his machine.
pub(crate) fn powered_on(record: &VmRecord, machine: &Machine) -> Verdict {
    match &machine.power {
        // It is shown as suspended instead.
        _ if record.life.suspended.is_some() => Verdict::Met,
        Some(Power::Running) => Verdict::Met,
        Some(Power::Stopped) => Verdict::Unmet(Change::Start),
        Some(Power::Suspended(word)) => paused(word),
        None => Verdict::UnderWay(NOT_SHOWN.to_owned()),
    }
}

pub(super) fn paused(word: &str) -> Verdict {
    Verdict::Impossible(format!(
        "the guest is {word}; resume or stop the machine (full storage is a usual cause)"
    ))
}

/// It is stopped, and does not start with its node. Autostart first: a node that boots in between must not start it.
pub(crate) fn suspended(record: &VmRecord, machine: &Machine) -> Verdict {
    let off = Configure { autostart: Some(Autostart::Off), ..Configure::default() };
    let ran = record.life.suspended.is_some_and(|suspension| suspension.ran);
    match (&machine.power, machine.config.autostart) {
        (None, _) => Verdict::UnderWay(NOT_SHOWN.to_owned()),
        (Some(Power::Running), _) if !ran => Verdict::Note(NoteDown::Ran),
        (_, Autostart::On) => configured(off),
        (Some(Power::Stopped), Autostart::Off) => Verdict::Met,
        (Some(Power::Running), Autostart::Off) => stop(),
        (Some(Power::Suspended(_)), Autostart::Off) => Verdict::Unmet(Change::Stop(StopMode::Hard)),
    }
}

pub(super) fn stop() -> Verdict {
    Verdict::Unmet(Change::Stop(StopMode::Graceful { patience: 0 }))
}

/// It starts with its node as ordered, and runs if it shall.
pub(crate) fn unsuspended(record: &VmRecord, machine: &Machine) -> Verdict {
    let ran = record.life.suspended.is_some_and(|suspension| suspension.ran);
    let shall_run = match record.life.command() {
        Some(Command::Unsuspend(Resume::AsBefore)) => ran,
        _ => true,
    };
    match &machine.power {
        None => Verdict::UnderWay(NOT_SHOWN.to_owned()),
        Some(Power::Stopped) if shall_run => Verdict::Unmet(Change::Start),
        Some(Power::Stopped | Power::Running) => autostart_as_ordered(record, machine),
        Some(Power::Suspended(word)) => paused(word),
    }
}

pub(super) fn autostart_as_ordered(record: &VmRecord, machine: &Machine) -> Verdict {
    let autostart = Some(record.spec.autostart).filter(|wanted| machine.config.autostart != *wanted);
    configured(Configure { autostart, ..Configure::default() })
}

/// It was reset. A reset leaves nothing behind by which it could be seen, so that it is remembered.
pub(crate) fn reset(_record: &VmRecord, machine: &Machine) -> Verdict {
    match &machine.power {
        Some(Power::Running | Power::Suspended(_)) => Verdict::Unseen(Remembered::CarriedOut, Change::Reset),
        Some(Power::Stopped) => Verdict::Refused("reset: the machine does not run; start it".to_owned()),
        None => Verdict::UnderWay(NOT_SHOWN.to_owned()),
    }
}

/// One step alone that a machine takes only while it is stopped, because it would show nothing of it before its next start.
pub(crate) fn set_while_stopped(record: &VmRecord, machine: &Machine) -> Verdict {
    let goal = if record.step == crate::Step::SetCloudinit { super::cloud_init } else { super::cpu_ram };
    match (&machine.power, goal(record, machine)) {
        (_, Verdict::Met) => Verdict::Met,
        (Some(Power::Stopped), verdict) => verdict,
        (Some(Power::Running | Power::Suspended(_)), _) => {
            Verdict::Refused(format!("{}: the machine runs; stop it first", record.step))
        }
        (None, _) => Verdict::UnderWay(NOT_SHOWN.to_owned()),
    }
}
