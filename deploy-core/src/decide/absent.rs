//! What to do where there is no machine.

use super::{Decision, Observation, archived, reinstall::reinstallable, submit, target, vanished};
use crate::{
    Leftover, LookError, NoteDown, Obscured, Remembered, RetryPolicy, Step, VmRecord,
    decide::MAY_ARRIVE,
    goal,
    rules::{Rule, WhenAbsent},
};

pub(super) fn absent(
    record: &VmRecord,
    rule: Rule,
    observation: &Observation,
    policy: &RetryPolicy,
) -> Decision {
    let vmid = record.numbered.vmid;
    match rule.absent {
        WhenAbsent::Clone if record.smbios.is_none() => {
            // What stands in the way of the next clone is told before that fails for it.
            if let Some(found) = &observation.leftovers {
                return left_behind(record, found, policy);
            }
            // What was sent to the machine that was there before would be carried out on the one that is made now.
            if MAY_ARRIVE.iter().any(|doubt| record.remembered.contains(doubt)) {
                return Decision::Note(NoteDown::AwaitLate);
            }
            send_clone(record)
        }
        WhenAbsent::Clone | WhenAbsent::Vanished => Decision::Vanished(vanished(record)),
        WhenAbsent::NotAdopted => Decision::Impossible(format!(
            "there is no machine {vmid} in cluster {} that could be adopted; nothing was done",
            record.spec.cluster
        )),
        // A clone that was sent and not answered may still arrive: absence is believed only after that time.
        WhenAbsent::Done if record.remembered.contains(&Remembered::CloneInDoubt) => {
            Decision::Note(NoteDown::AwaitClone)
        }
        WhenAbsent::Done if record.step == Step::Reinstall => reinstallable(record, None, observation),
        WhenAbsent::Done => match &observation.leftovers {
            _ if record.step == Step::DeletingBackups => archived::deleted(record, observation, policy),
            Some(found) => left_behind(record, found, policy),
            None => Decision::Done(format!("there is no machine {vmid}")),
        },
    }
}

pub(super) fn send_clone(record: &VmRecord) -> Decision {
    let mut target = target(record, None);
    target.machine.node = record.spec.template.node.clone();
    submit(record, target, goal::clone_change(record))
}

/// What may have been left behind was looked for: that is written down, once. A look that failed for a reason that passes is
/// repeated for a while, but not for ever: a storage that cannot be read hinders neither a start nor a termination.
pub(super) fn left_behind(
    record: &VmRecord,
    found: &Result<Vec<Leftover>, LookError>,
    policy: &RetryPolicy,
) -> Decision {
    match found {
        Err(LookError { class, message })
            if !class.needs_attention() && record.failures < policy.attention_after =>
        {
            Decision::Blind(Obscured { class: *class, message: message.clone() })
        }
        found => Decision::Note(NoteDown::Leftovers(found.clone().map_err(|error| error.message))),
    }
}
