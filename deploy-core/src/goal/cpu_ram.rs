//! CPU, memory, and what describes the machine.

use super::configured;
use crate::{Autostart, Configure, Machine, OwnerMark, VmRecord, rules::Verdict};

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
    if config.autostart == Autostart::On && record.operation.deploys() {
        missing.autostart = Some(Autostart::Off);
    }
    configured(missing)
}
