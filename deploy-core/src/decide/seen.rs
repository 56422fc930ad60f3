//! What to do about a machine that is seen: whose it is decides.

use super::{Decision, Observation, archived, ours::ours, reinstall::reinstallable, replaced};
use crate::{
    Holder, Machine, NoteDown, Ownership, Progress, Remembered, RetryPolicy, SmbiosUuid, Step, VmRecord,
    goal,
    query::is_unanswered_clone,
    rules::{Rule, WhenStranger},
};

pub(super) fn seen(
    record: &VmRecord,
    rule: Rule,
    machine: &Machine,
    observation: &Observation,
    policy: &RetryPolicy,
) -> Decision {
    match Ownership::judge(record.mark(), record.identity_of(machine), machine.shown()) {
        Ownership::Ours | Ownership::OursUnmarked if reappeared(record) => Decision::Impossible(format!(
            "machine {} carries our mark, but it is not known to be ours: it vanished, and was not cloned anew since. It is \
             left alone; if it was restored, terminate it or take the mark out of its notes and free the number",
            record.numbered.vmid
        )),
        Ownership::Ours | Ownership::OursUnmarked => ours(record, rule, machine, observation, policy),
        // What a restore of ours that failed left in the machine's place shows nothing of whose it is, and no lock either.
        Ownership::TooEarly if machine.shown().husk && record.life.restoring => {
            ours(record, rule, machine, observation, policy)
        }
        Ownership::TooEarly => {
            let lock = machine.lock.as_deref().unwrap_or("none");
            let (vmid, node) = (record.numbered.vmid, &machine.node);
            let why = format!(
                "the machine is busy and does not yet show whose it is (lock: {lock}); if nothing works on it any more, \
                 remove it on {node} as root: {}",
                goal::destroy_command(vmid)
            );
            let why = if rule.stranger == WhenStranger::NotAdopted {
                format!(
                    "machine {vmid} is busy (lock: {lock}) and does not show its SMBIOS UUID; it is waited for"
                )
            } else {
                why
            };
            locked(record, machine, observation.holder.as_ref(), why)
        }
        Ownership::Stranger => match rule.stranger {
            WhenStranger::Renumber if record.smbios.is_none() => match made_without_mark(record) {
                Some(why) => Decision::Impossible(why),
                None => Decision::Renumber,
            },
            WhenStranger::Done if record.step == Step::Reinstall => reinstallable(record, None, observation),
            // Theirs may be gone again by the time it arrives.
            WhenStranger::Done if record.remembered.contains(&Remembered::CloneInDoubt) => {
                Decision::Note(NoteDown::AwaitClone)
            }
            // Backups are found by the number, and told apart by what they hold.
            WhenStranger::Done if record.step == Step::DeletingBackups => {
                archived::verdict(record, goal::backups_deleted(record, machine), observation, policy)
            }
            WhenStranger::Done => Decision::Done(format!(
                "number {} belongs to somebody else's machine; ours is gone, theirs is left alone",
                record.numbered.vmid
            )),
            WhenStranger::NotAdopted => Decision::Impossible(another(record, machine)),
            WhenStranger::Renumber | WhenStranger::Replaced => Decision::Vanished(replaced(record)),
        },
    }
}

/// Why a machine that has the number is not adopted.
fn another(record: &VmRecord, machine: &Machine) -> String {
    let uuid = |uuid: Option<SmbiosUuid>| uuid.map_or_else(|| "none".to_owned(), |uuid| uuid.to_string());
    format!(
        "number {} belongs to another machine than the one that is to be adopted: its SMBIOS UUID is {}, named was {}; it is left \
         alone. Let go of this record (let_go), which does nothing to it, and adopt the machine that is meant",
        record.numbered.vmid,
        uuid(machine.config.smbios),
        uuid(record.smbios)
    )
}

/// Whether a machine that is seen cannot be the one that is to be deployed anew, for that was not cloned yet.
fn reappeared(record: &VmRecord) -> bool {
    let knows = |what| record.remembered.contains(&what);
    let may_arrive = knows(Remembered::CloneInDoubt) || knows(Remembered::CloneAwaited);
    record.step == Step::Clone && knows(Remembered::Vanished) && !may_arrive
}

/// A lock is waited for: what that means depends on who holds it.
pub(super) fn locked(record: &VmRecord, machine: &Machine, holder: Option<&Holder>, why: String) -> Decision {
    let is_ours = is_unanswered_clone(record) && machine.lock.as_deref() == Some("clone");
    match holder {
        Some(Holder::Task(task)) if is_ours => {
            Decision::Follow(task.clone(), Box::new(goal::clone_change(record)))
        }
        Some(Holder::Nobody) => Decision::WaitInVain(why),
        Some(Holder::Task(_) | Holder::Perhaps | Holder::Unknown(_)) | None => Decision::Wait(why),
    }
}

/// Why no other number is taken although a stranger has ours: if marks do not stay on clones (a description that is
/// rewritten, a template that forbids it), every number would end so, each with a machine that nobody owns.
fn made_without_mark(record: &VmRecord) -> Option<String> {
    let vmid = record.numbered.vmid;
    let cloned = matches!(record.progress, Progress::Applied { fingerprint } if fingerprint == goal::clone_change(record).fingerprint());
    let again = record.remembered.contains(&Remembered::CloneInDoubt)
        && record.remembered.contains(&Remembered::Renumbered);
    (cloned || again).then(|| {
        format!(
            "machine {vmid} was cloned, but does not carry our mark ({}) in its notes: if it is the clone, put the mark \
             there; if it is not, free the number",
            record.mark()
        )
    })
}
