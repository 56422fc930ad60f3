//! The system disk is exchanged for a copy of a template's, and the others stay.

use super::{configured, package::is_smaller, power::flush, stopped};
use crate::{
    Autostart, Change, Configure, Disk, DiskBus, DiskSlot, Machine, MachineConfig, NoteDown, OldDisk,
    Replacing, VmRecord, life::Wanted, rules::Verdict,
};

/// The machine's system disk can be exchanged for this template's; then what is wanted becomes the order. Nothing is stopped before.
pub(crate) fn exchangeable(record: &VmRecord, machine: &Machine, template: &Machine) -> Verdict {
    let Some(wanted) = &record.life.wanted else { return Verdict::Met };
    let image = match image(wanted, template) {
        Ok((_, volume)) => volume.to_owned(),
        Err(why) => return Verdict::Refused(format!("{why}; nothing was changed")),
    };
    match hindrance(record, wanted, machine, template) {
        Some(why) => Verdict::Refused(format!("{why}; nothing was changed")),
        None => Verdict::Note(NoteDown::Package { slots: record.slots.clone(), image: Some(image) }),
    }
}

/// The system disk of a template, where a machine as wanted can be made from it.
pub(super) fn image<'a>(wanted: &Wanted, template: &'a Machine) -> Result<(DiskSlot, &'a str), String> {
    let (vmid, node) = (wanted.spec.template.vmid, &wanted.spec.template.node);
    if !template.config.template {
        return Err(format!("template.vmid: machine {vmid} is no template"));
    }
    if template.node != *node {
        return Err(format!("template.node: template {vmid} is on {}", template.node));
    }
    let Some((slot, disk)) = template.config.system_disk() else {
        return Err(format!("template.vmid: template {vmid} has no system disk"));
    };
    let ordered = wanted.spec.system_disk.size;
    match disk.size {
        Some(size) if is_smaller(ordered, size.0) => Err(format!(
            "system_disk.size: {ordered} are ordered, and the system disk of template {vmid} ({slot}) has {size}"
        )),
        _ => Ok((slot, &disk.volume)),
    }
}

/// What of the machine stands in the way.
fn hindrance(record: &VmRecord, wanted: &Wanted, machine: &Machine, template: &Machine) -> Option<String> {
    let slot = match system_disk(record, &machine.config) {
        Ok((slot, _)) => slot,
        Err(why) => return Some(why),
    };
    if machine.config.protected {
        return Some(
            "the machine is protected against what is done to its disk; take the protection away first"
                .to_owned(),
        );
    }
    match &machine.snapshots {
        Some(snapshots) if snapshots.is_empty() => {}
        Some(snapshots) => {
            let names: Vec<_> = snapshots.iter().map(|snapshot| snapshot.name.to_string()).collect();
            return Some(format!(
                "the machine has snapshots ({}), which hold the disk that is replaced; delete them first",
                names.join(", ")
            ));
        }
        None => return Some("the machine's snapshots were not shown".to_owned()),
    }
    does_not_boot(slot, machine, template).or_else(|| is_mapped(wanted, machine))
}

/// Why the template's disk would not boot in this machine, as far as that can be seen: a guest brings the drivers of the hardware
/// that its template has.
fn does_not_boot(slot: DiskSlot, machine: &Machine, template: &Machine) -> Option<String> {
    let (ours, theirs) = (&machine.config, &template.config);
    let (their_slot, _) = theirs.system_disk()?;
    if ours.firmware != theirs.firmware {
        return Some(format!(
            "template.vmid: the template boots by {} and the machine by {}; reinstall it without keeping disks",
            theirs.firmware, ours.firmware
        ));
    }
    if slot.bus() != their_slot.bus() {
        return Some(format!(
            "template.vmid: the system disk of the template is {their_slot}, and that of the machine is {slot}, on another bus; \
             reinstall it without keeping disks"
        ));
    }
    if slot.bus() == DiskBus::Scsi && ours.scsi_controller != theirs.scsi_controller {
        let word =
            |config: &MachineConfig| config.scsi_controller.clone().unwrap_or("PVE's default".to_owned());
        return Some(format!(
            "template.vmid: the SCSI controller of the template is {}, and that of the machine is {}; reinstall it without \
             keeping disks",
            word(theirs),
            word(ours)
        ));
    }
    None
}

/// On its way to the template and back each disk keeps the name of its storage. Where storages are called otherwise on another node
/// all of them would end up on one.
fn is_mapped(wanted: &Wanted, machine: &Machine) -> Option<String> {
    let (template, storage) = (&wanted.spec.template, wanted.spec.migration_storage.as_ref()?);
    let moves = machine.node != template.node || wanted.spec.node != template.node;
    moves.then(|| {
        format!(
            "template.node: template {} is on {} and the machine on {}, and disks that are moved between nodes go to {storage} \
             (migration_storage), the additional ones too; order a template on {}",
            template.vmid, template.node, machine.node, wanted.spec.node
        )
    })
}

/// The system disk. Somebody may have put an additional disk first in the boot order.
fn system_disk<'a>(record: &VmRecord, config: &'a MachineConfig) -> Result<(DiskSlot, &'a Disk), String> {
    match config.system_disk() {
        Some((slot, _)) if record.slots.contains(&slot) => Err(format!(
            "the first disk in the machine's boot order is {slot}, an additional one; put its system disk first"
        )),
        Some(system) => Ok(system),
        None => Err("the machine has no hard disk in its boot order".to_owned()),
    }
}

/// It does not run, and does not start with its node: one that boots in between must not start what is half exchanged.
pub(crate) fn stopped_to_exchange(record: &VmRecord, machine: &Machine) -> Verdict {
    match machine.config.autostart {
        Autostart::On => configured(Configure { autostart: Some(Autostart::Off), ..Configure::default() }),
        Autostart::Off => stopped(record, machine),
    }
}

/// It is where its template is, for PVE copies an image only within a node. Every disk keeps its storage.
pub(crate) fn moved_to_template(record: &VmRecord, machine: &Machine) -> Verdict {
    let to = record.bound_for();
    match stopped_to_exchange(record, machine) {
        Verdict::Met if machine.node != *to => {
            Verdict::Unmet(Change::Migrate { to: to.clone(), storage: None })
        }
        other => other,
    }
}

/// The slot of the disk that is replaced holds another one.
pub(crate) fn system_disk_replaced(record: &VmRecord, machine: &Machine) -> Verdict {
    let Some(Replacing { image, old }) = &record.life.replacing else {
        return Verdict::Impossible(
            "it is not known any more what the system disk is replaced by".to_owned(),
        );
    };
    // Who moved it meanwhile did not know.
    match moved_to_template(record, machine) {
        Verdict::Met => {}
        other => return other,
    }
    match &machine.pending {
        // A worker that was killed may have left the new disk so: shown, and not in its place.
        Some(pending) if !pending.is_empty() => return flush(record),
        Some(_) => {}
        None => return Verdict::UnderWay("whether settings wait was not shown".to_owned()),
    }
    let Some(OldDisk { slot, volume, node }) = old else { return noted(record, machine) };
    let is_unplugged = machine.config.unused.values().any(|unused| unused == volume);
    match machine.config.disks.get(slot) {
        Some(disk) if disk.volume == *volume => {
            Verdict::Unmet(Change::Import { slot: *slot, image: image.clone(), replaced: disk.clone() })
        }
        Some(_) if is_unplugged || machine.node == *node => Verdict::Met,
        // Under which name the old one came along nobody knows: one copy too many is better than none.
        Some(_) => noted(record, machine),
        None => Verdict::Impossible(format!("{slot} holds no disk any more; plug {volume} in again")),
    }
}

/// Before a copy is asked for, so that whoever comes later knows whether it is in place.
fn noted(record: &VmRecord, machine: &Machine) -> Verdict {
    match system_disk(record, &machine.config) {
        Ok((slot, disk)) => {
            let (volume, node) = (disk.volume.clone(), machine.node.clone());
            Verdict::Note(NoteDown::Replaces(OldDisk { slot, volume, node }))
        }
        Err(why) => Verdict::Impossible(why),
    }
}

/// The disk that was replaced is gone: exactly that one, and only once it is plugged in nowhere.
pub(crate) fn old_disk_freed(record: &VmRecord, machine: &Machine) -> Verdict {
    let old = record.life.replacing.as_ref().and_then(|replacing| replacing.old.as_ref());
    let is_old = |(_, volume): &(_, &String)| old.is_some_and(|old| old.volume == **volume);
    let entry = machine.config.unused.iter().find(is_old).map(|(entry, _)| *entry);
    configured(Configure { remove_unused: entry.into_iter().collect(), ..Configure::default() })
}
