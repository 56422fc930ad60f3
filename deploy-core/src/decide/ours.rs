//! What to do about a machine of ours.

use super::{
    Decision, Observation, absent::left_behind, archived, ha::ha_manager, reinstall::reinstallable,
    seen::locked, submit, target,
};
use crate::{
    Change, Command, ErrorClass, Holder, Machine, NoteDown, Obscured, Operation, Power, Progress, Remembered,
    RetryPolicy, Step, StopHow, StopMode, VmRecord, goal,
    query::settings_doubted,
    rules::{Rule, Verdict},
    together::carry_together,
};

pub(super) fn ours(
    record: &VmRecord,
    rule: Rule,
    machine: &Machine,
    observation: &Observation,
    policy: &RetryPolicy,
) -> Decision {
    let holder = observation.holder.as_ref();
    if let Some(found) = &observation.leftovers {
        return left_behind(record, found, policy);
    }
    let change = match verdict(record, rule, machine) {
        Verdict::Met if record.step == Step::Reinstall => {
            return reinstallable(record, Some(machine), observation);
        }
        Verdict::Met => return Decision::Done(as_ordered(record)),
        Verdict::Unseen(what, _) if record.remembered.contains(&what) => {
            return Decision::Done(as_ordered(record));
        }
        Verdict::UnderWay(why) => return Decision::Wait(why),
        // A storage that cannot be read does not hinder for ever.
        Verdict::Incomplete(message, _) if record.failures < policy.attention_after => {
            return Decision::Blind(Obscured { class: ErrorClass::Unreachable, message });
        }
        Verdict::Note(note) | Verdict::Incomplete(_, note) => return Decision::Note(note),
        Verdict::Locked(why) => return locked(record, machine, holder, why),
        Verdict::Impossible(why) => return Decision::Impossible(why),
        Verdict::Refused(why) => return Decision::Refuse(why),
        // Looked into only once nothing works on the machine any more.
        Verdict::IfOurs(..) if machine.lock.is_some() => return wait_for_lock(record, machine, holder),
        Verdict::IfOurs(backup, change) => match archived::ours(record, &backup, observation, policy) {
            Ok(_) => match change {
                Some(change) => change,
                None => return Decision::Done(as_ordered(record)),
            },
            Err(decision) => return decision,
        },
        Verdict::Unmet(change) | Verdict::Unseen(_, change) => change,
    };
    // PVE destroys a machine that was suspended to disk, and that lock stays until somebody resumes it.
    let hinders = |lock: &&String| !(*lock == "suspended" && matches!(change, Change::Destroy(_)));
    if machine.lock.as_ref().is_some_and(|lock| hinders(&lock)) {
        return wait_for_lock(record, machine, holder);
    }
    let change = match change {
        Change::Configure(mut configure) if record.failures == 0 => {
            carry_together(record, machine, &mut configure);
            Change::Configure(configure)
        }
        Change::Stop(StopMode::Graceful { .. }) => Change::Stop(how_to_stop(record, policy)),
        change => change,
    };
    if let Some(wait) = ha_manager(record, machine, &change) {
        return wait;
    }
    let change = match change {
        // A guest that did not follow once is not asked twice.
        Change::Stop(StopMode::Graceful { .. }) if record.remembered.contains(&Remembered::Sent) => {
            Change::Stop(StopMode::Hard)
        }
        change => change,
    };
    submit(record, target(record, Some(machine)), change)
}

fn wait_for_lock(record: &VmRecord, machine: &Machine, holder: Option<&Holder>) -> Decision {
    let (vmid, node) = (record.numbered.vmid, &machine.node);
    let lock = machine.lock.as_deref().unwrap_or("none");
    let why = format!(
        "the machine is locked ({lock}); if nothing works on it any more, release it on {node} as root: qm unlock {vmid}"
    );
    locked(record, machine, holder, why)
}

/// As the command says, or else the policy.
fn how_to_stop(record: &VmRecord, policy: &RetryPolicy) -> StopMode {
    match record.life.command() {
        Some(Command::Stop(StopHow::Hard) | Command::Restart(StopHow::Hard)) => StopMode::Hard,
        Some(Command::Stop(StopHow::Within(patience)) | Command::Restart(StopHow::Within(patience))) => {
            StopMode::Graceful { patience: *patience }
        }
        _ => StopMode::Graceful { patience: policy.shutdown_patience },
    }
}

/// What was sent to a machine and not answered, and must not be carried out after what comes next.
pub(crate) const MAY_ARRIVE: [Remembered; 5] = [
    Remembered::StartInDoubt,
    Remembered::StopInDoubt,
    Remembered::MoveInDoubt,
    Remembered::DestroyInDoubt,
    Remembered::BackupInDoubt,
];

/// A start that arrives late must not undo a stop, nor a stop a start: its time to arrive is waited for before the one, and
/// after the other. Nor must a machine that went to its template and back be taken there once more.
fn crossed_on_the_way(record: &VmRecord, machine: &Machine, verdict: &Verdict) -> bool {
    let knows = |doubt| record.remembered.contains(&doubt);
    match verdict {
        Verdict::Met if matches!(record.step, Step::MovingToTemplate | Step::ReplacingSystemDisk) => {
            knows(Remembered::MoveInDoubt)
        }
        Verdict::Met => {
            knows(Remembered::StartInDoubt)
                && record.operation != Operation::Terminate
                && match record.step {
                    Step::Stopping | Step::Suspending => true,
                    // One that was not to be stopped may be running.
                    Step::CpStop | Step::StoppingToRestore => machine.power == Some(Power::Stopped),
                    _ => false,
                }
        }
        Verdict::Unmet(Change::Start) => knows(Remembered::StopInDoubt),
        _ => false,
    }
}

/// The goal's verdict; but first no settings may wait that would be taken for ones in force. Settings of its own take them
/// along.
fn verdict(record: &VmRecord, rule: Rule, machine: &Machine) -> Verdict {
    let is_unknown = |what: &Remembered| !record.remembered.contains(what);
    match (rule.goal)(record, machine) {
        settings @ Verdict::Unmet(Change::Configure(_)) => settings,
        Verdict::Unseen(what, settings @ Change::Configure(_)) if is_unknown(&what) => {
            Verdict::Unmet(settings)
        }
        _ if settings_doubted(record, rule) => goal::nothing_waits(record, machine),
        verdict if crossed_on_the_way(record, machine, &verdict) => Verdict::Note(NoteDown::AwaitLate),
        verdict => verdict,
    }
}

/// How a met goal came to be: by this step's own change, or before it.
fn as_ordered(record: &VmRecord) -> String {
    match record.step {
        Step::Adopting => return "it is there, and fits the order".to_owned(),
        Step::Marking => return "it is adopted".to_owned(),
        _ => {}
    }
    match record.progress {
        Progress::Applied { .. } => "as ordered".to_owned(),
        Progress::Untried | Progress::Intended { .. } | Progress::Submitted { .. } => {
            "already as ordered".to_owned()
        }
    }
}
