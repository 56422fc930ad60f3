//! Whether a machine, or its system disk, may be given up for a new one.

use super::{Decision, Observation, vanished};
use crate::{
    ErrorClass, Machine, Obscured, Operation, Sighting, VmRecord, WhenVanished, goal, rules::Verdict,
};

/// The machine may be given up for a new one: the template that it is made from is there, and fits. Where its additional disks are
/// kept it is there itself, and fits the template. Nothing is stopped or destroyed before.
pub(super) fn reinstallable(
    record: &VmRecord,
    machine: Option<&Machine>,
    observation: &Observation,
) -> Decision {
    let keeps = record.operation == Operation::ReinstallKeeping;
    if keeps && machine.is_none() {
        return not_there(record);
    }
    match &observation.template {
        // It was judged, and is in force.
        _ if record.life.wanted.is_none() => Decision::Done("the template is there".to_owned()),
        Some(Sighting::Seen(template)) => match fits(record, machine.filter(|_| keeps), template) {
            Verdict::Met => Decision::Done("the template is there".to_owned()),
            Verdict::Note(note) => Decision::Note(note),
            Verdict::Refused(why) => Decision::Refuse(why),
            _ => not_looked_at(),
        },
        Some(Sighting::ProvenAbsent) => Decision::Refuse(format!(
            "template.vmid: there is no template {} in this cluster; nothing was changed",
            goal::template(record).vmid
        )),
        Some(Sighting::Unknown(obscured)) => Decision::Blind(obscured.clone()),
        None => not_looked_at(),
    }
}

fn fits(record: &VmRecord, kept: Option<&Machine>, template: &Machine) -> Verdict {
    match kept {
        Some(machine) => goal::exchangeable(record, machine, template),
        None => goal::fits(record, template),
    }
}

/// Refused, so that it can be reinstalled without its disks; but not where a machine that vanished is deployed anew in any case,
/// nor once the order is the new one.
fn not_there(record: &VmRecord) -> Decision {
    let vmid = record.numbered.vmid;
    if record.life.wanted.is_none() || record.spec.when_vanished == WhenVanished::Redeploy {
        return Decision::Vanished(vanished(record));
    }
    Decision::Refuse(format!(
        "additional_disks: there is no machine {vmid} of ours whose disks could be kept; reinstall it without"
    ))
}

fn not_looked_at() -> Decision {
    Decision::Blind(Obscured {
        class: ErrorClass::Unknown,
        message: "the template was not looked at".to_owned(),
    })
}
