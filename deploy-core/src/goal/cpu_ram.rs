//! CPU, memory, and what describes the machine.

use super::configured;
use crate::{Autostart, Configure, Machine, Operation, OwnerMark, Step, VmRecord, rules::Verdict};

/// Sockets, cores, memory, name, tags and mark are as ordered.
pub(crate) fn cpu_ram(record: &VmRecord, machine: &Machine) -> Verdict {
    let (spec, config) = (&record.spec, &machine.config);
    let mut missing = Configure::default();
    if config.sockets != Some(spec.sockets) {
        missing.sockets = Some(spec.sockets);
    }
    if config.cores != Some(spec.cores) {
        missing.cores = Some(spec.cores);
    }
    if config.memory != Some(spec.memory) {
        missing.memory = Some(spec.memory);
    }
    // PVE refuses a balloon above the memory, so that a template's balloon would block a smaller package.
    if config.balloon.is_some_and(|balloon| balloon > spec.memory.get()) {
        missing.balloon = Some(spec.memory);
    }
    if config.name.as_ref() != Some(&record.numbered.pve_name) {
        missing.name = Some(record.numbered.pve_name.clone());
    }
    if config.tags != spec.tags {
        missing.tags = Some(spec.tags.clone());
    }
    if OwnerMark::find(&config.description) != Some(record.mark()) {
        missing.description = Some(record.mark().put_into(&config.description));
    }
    // A clone inherits the template's autostart. A node that boots in the middle of a deployment must not start a
    // half-configured machine; the order's own wish is written once the machine runs.
    // Nor is it switched off on one that was deployed before: switched on again, its revision would be the same as before, and a
    // request of then that arrives late would be carried out.
    let before = record.life.asked.as_ref().map(|asked| asked.rest);
    let is_new = record.operation.deploys() && !matches!(before, Some(Step::Ready | Step::Suspended))
        || matches!(record.operation, Operation::Reinstall | Operation::ReinstallKeeping);
    if config.autostart == Autostart::On && is_new {
        missing.autostart = Some(Autostart::Off);
    }
    configured(missing)
}
