//! A machine becomes what another order says.

use super::{
    cloud_init,
    commanded::{autostart_as_ordered, paused, stop},
    configured, cpu_ram,
    exchange::image,
    network,
    power::{rules_in_doubt, startable},
};
use crate::{
    Autostart, Change, Command, Configure, DiskSlot, GiB, Machine, MachineConfig, MachineId, Nic, NicSlot,
    NoteDown, Power, Remembered, VmRecord, life::Wanted, rules::Verdict,
};

/// The new order fits the machine as it is; then it becomes the order. Refused as a whole, before anything is changed.
pub(crate) fn package_fits(record: &VmRecord, machine: &Machine) -> Verdict {
    let Some(wanted) = &record.life.wanted else { return Verdict::Met };
    let seen = &machine.config;
    let system = seen.system_disk().and_then(|(_, disk)| disk.size);
    let sizes = record.slots.iter().map(|slot| seen.disks.get(slot).and_then(|disk| disk.size));
    let ordered = wanted.spec.additional_disks.iter().map(|disk| disk.size);
    let additional = ordered
        .zip(sizes)
        .enumerate()
        .map(|(n, (size, seen))| (format!("additional_disks[{n}].size"), size, seen));
    let all = std::iter::once(("system_disk.size".to_owned(), wanted.spec.system_disk.size, system))
        .chain(additional);
    for (field, size, seen) in all {
        if let Some(seen) = seen.filter(|seen| is_smaller(size, seen.0)) {
            return Verdict::Refused(format!(
                "{field}: {size} is less than the {seen} that the disk has, and no disk can be made smaller; nothing was changed"
            ));
        }
    }
    match slots(record, wanted, seen) {
        Some(slots) => Verdict::Note(NoteDown::Package { slots, replacing: None }),
        None => Verdict::Refused(format!(
            "additional_disks: the machine has no {} free SCSI slots; nothing was changed",
            wanted.spec.additional_disks.len().saturating_sub(record.slots.len())
        )),
    }
}

/// Storages round up; only what is a whole GiB above was never meant to be this size.
pub(super) fn is_smaller(ordered: GiB, seen: u64) -> bool {
    seen >= ordered.bytes().0 + (1 << 30)
}

/// The slots that the additional disks have, and those that the new ones will have.
fn slots(record: &VmRecord, wanted: &Wanted, seen: &MachineConfig) -> Option<Vec<DiskSlot>> {
    let count = wanted.spec.additional_disks.len();
    let is_free = |slot: &DiskSlot| !seen.is_taken(*slot) && !record.slots.contains(slot);
    let free = DiskSlot::for_additional_disks().filter(is_free);
    let slots: Vec<DiskSlot> = record.slots.iter().copied().chain(free).take(count).collect();
    (slots.len() == count).then_some(slots)
}

/// It does not run, if something of the new order shows only after a start, and its node does not start it before all is set:
/// its guest would then have what was before. Autostart first, as with a suspension.
pub(crate) fn stopped_if_needed(record: &VmRecord, machine: &Machine) -> Verdict {
    let boots = machine.config.autostart == Autostart::On;
    let off = Configure { autostart: Some(Autostart::Off), ..Configure::default() };
    match &machine.power {
        None => Verdict::UnderWay("whether it runs was not shown".to_owned()),
        Some(_) if !needs_restart(record, machine) => Verdict::Met,
        Some(Power::Running) if !record.life.ran => Verdict::Note(NoteDown::Ran),
        Some(Power::Running | Power::Stopped) if boots => configured(off),
        Some(Power::Stopped) => Verdict::Met,
        Some(Power::Running) => stop(),
        Some(Power::Suspended(word)) => paused(word),
    }
}

/// Cloud-init is told what is ordered while no guest runs that was told otherwise. A node that came back, or somebody, may have
/// started the machine since it was stopped: its guest would keep addresses that are given back next.
pub(crate) fn told_while_stopped(record: &VmRecord, machine: &Machine) -> Verdict {
    match (cloud_init(record, machine), stopped_if_needed(record, machine)) {
        (Verdict::Met, _) => Verdict::Met,
        (missing, Verdict::Met) => missing,
        (_, stopped) => stopped,
    }
}

/// CPU and memory are plugged in while a machine runs only where it was set up for that; cloud-init is read at a start; and a
/// guest does not like a NIC of another kind or address. Everything else PVE does while it runs.
fn needs_restart(record: &VmRecord, machine: &Machine) -> bool {
    let hardware = match cpu_ram(record, machine) {
        Verdict::Unmet(Change::Configure(missing)) => {
            missing.sockets.is_some()
                || missing.cores.is_some()
                || missing.memory.is_some()
                || missing.balloon.is_some()
        }
        _ => false,
    };
    let is_told = |what: &Remembered| record.remembered.contains(what);
    let guest = match cloud_init(record, machine) {
        Verdict::Met => false,
        Verdict::Unseen(what, _) => !is_told(&what),
        _ => true,
    };
    let nics = match network(record, machine) {
        Verdict::Unmet(Change::Configure(missing)) => {
            let seen = &machine.config.nics;
            let is_another = |(slot, wanted): (&NicSlot, &Nic)| {
                seen.get(slot).is_some_and(|seen| (&seen.model, seen.mac) != (&wanted.model, wanted.mac))
            };
            !missing.remove_nics.is_empty() || missing.nics.iter().any(is_another)
        }
        _ => false,
    };
    hardware || guest || nics
}

/// It runs if it ran before, with all that was set; and starts with its node as ordered. No rule is on its way any more.
pub(crate) fn started_again(record: &VmRecord, machine: &Machine) -> Verdict {
    match as_before(record, machine) {
        Verdict::Met => rules_in_doubt(record, machine).unwrap_or(Verdict::Met),
        other => other,
    }
}

fn as_before(record: &VmRecord, machine: &Machine) -> Verdict {
    let is_suspended = record.life.suspended.is_some();
    let waits = record.life.queue.iter().any(|queued| queued.command == Command::Suspend);
    let is_waiting = machine.pending.as_ref().is_some_and(|pending| !pending.is_empty());
    match &machine.power {
        None => Verdict::UnderWay("whether it runs was not shown".to_owned()),
        // A snapshot or a backup may be older than the suspension. One that waits sees to the rest.
        Some(Power::Running) if is_suspended && !waits => stop(),
        _ if is_suspended => {
            let off = Some(Autostart::Off).filter(|_| machine.config.autostart == Autostart::On);
            configured(Configure { autostart: off, ..Configure::default() })
        }
        Some(Power::Stopped) if record.life.ran => startable(record, machine),
        // PVE could not do it while it runs.
        Some(Power::Running) if is_waiting && !record.life.ran => Verdict::Note(NoteDown::Ran),
        Some(Power::Running) if is_waiting => stop(),
        Some(Power::Running | Power::Stopped) => autostart_as_ordered(record, machine),
        Some(Power::Suspended(word)) => paused(word),
    }
}

/// The template that a machine is made anew from.
pub(crate) fn template(record: &VmRecord) -> MachineId {
    let spec = record.life.wanted.as_ref().map_or(&record.spec, |wanted| &wanted.spec);
    MachineId { cluster: spec.cluster.clone(), vmid: spec.template.vmid, node: spec.template.node.clone() }
}

/// A machine can be made from this template as ordered; then that becomes the order.
pub(crate) fn fits(record: &VmRecord, template: &Machine) -> Verdict {
    let Some(wanted) = &record.life.wanted else { return Verdict::Met };
    match image(wanted, template) {
        Ok(_) => Verdict::Note(NoteDown::Package { slots: record.slots.clone(), replacing: None }),
        Err(why) => Verdict::Refused(format!("{why}; nothing was changed")),
    }
}

/// A machine that is there does not hinder its reinstallation: the template decides.
pub(crate) fn reinstallable(_record: &VmRecord, _machine: &Machine) -> Verdict {
    Verdict::Met
}
