//! What one call carries for several steps.

use crate::{
    Change, Configure, DiskSlot, GiB, Machine, Operation, Step, VmRecord, goal,
    rules::{CONFIGURED_TOGETHER, Goal, Verdict},
};
use std::collections::BTreeMap;

/// Adds what the following steps need too. Only at the first try: after a failure each step goes alone, so that the step that
/// cannot be done is the one that says so. A step that was asked for alone carries nothing else.
pub(crate) fn carry_together(record: &VmRecord, machine: &Machine, configure: &mut Configure) {
    if record.operation == Operation::SingleStep {
        return;
    }
    // What cloud-init is told is written only where it was looked whether the machine still stands still.
    let is_carried = |step: Step| step != Step::SetCloudinit || record.operation.deploys();
    for (_, goal) in following(record.step).iter().filter(|(step, _)| is_carried(*step)) {
        if let Verdict::Unmet(Change::Configure(more)) | Verdict::Unseen(_, Change::Configure(more)) =
            goal(record, machine)
        {
            configure.merge(*more);
        }
    }
    if record.step.deploys_as() == Step::SetCpuRam {
        configure.sizes = sizes(record, machine);
    }
}

/// The configuration goals of the steps after `step`.
fn following(step: Step) -> &'static [(Step, Goal)] {
    match CONFIGURED_TOGETHER.iter().position(|(s, _)| *s == step.deploys_as()) {
        Some(at) => &CONFIGURED_TOGETHER[at + 1..],
        None => &[],
    }
}

/// The sizes that the following steps lack.
fn sizes(record: &VmRecord, machine: &Machine) -> BTreeMap<DiskSlot, GiB> {
    let goals = [goal::system_disk_size(record, machine), goal::additional_disk_sizes(record, machine)];
    let lacking = goals.into_iter().filter_map(|verdict| match verdict {
        Verdict::Unmet(Change::Resize { slot, size }) => Some((slot, size)),
        _ => None,
    });
    lacking.collect()
}
