//! The system disk is exchanged for a copy of a template's, and the others stay.

use super::{configured, package::is_smaller, power::flush, stopped};
use crate::{
    Autostart, Change, Configure, DiskBus, DiskSlot, Machine, MachineConfig, NoteDown, Replacing, VmRecord,
    life::Wanted, rules::Verdict,
};

/// The machine's system disk can be exchanged for this template's; then what is wanted becomes the order. Nothing is stopped before.
pub(crate) fn exchangeable(record: &VmRecord, machine: &Machine, template: &Machine) -> Verdict {
    let Some(wanted) = &record.life.wanted else { return Verdict::Met };
    let image = match image(wanted, template) {
        Ok((_, volume)) => volume.to_owned(),
        Err(why) => return Verdict::Refused(format!("{why}; nothing was changed")),
    };
    match exchange(record, wanted, machine, template) {
        Ok(slot) => {
            let replacing = Some(Replacing { slot, image, old: None });
            Verdict::Note(NoteDown::Package { slots: record.slots.clone(), replacing })
        }
        Err(why) => Verdict::Refused(format!("{why}; nothing was changed")),
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

/// The slot of the disk that is exchanged, or what of the machine stands in the way.
fn exchange(
    record: &VmRecord,
    wanted: &Wanted,
    machine: &Machine,
    template: &Machine,
) -> Result<DiskSlot, String> {
    let slot = system_slot(record, &machine.config)?;
    if machine.config.protected {
        return Err(
            "the machine is protected against what is done to its disk; take the protection away first"
                .to_owned(),
        );
    }
    if let Some(why) = held_by_snapshots(machine) {
        return Err(why);
    }
    let why = does_not_boot(slot, machine, template)
        .or_else(|| is_mapped(wanted, machine))
        .or_else(|| keeps_credentials(wanted, machine, template));
    match why {
        Some(why) => Err(why),
        None => Ok(slot),
    }
}

/// Why the disk that is replaced could not be freed: snapshots hold it.
fn held_by_snapshots(machine: &Machine) -> Option<String> {
    let Some(snapshots) = &machine.snapshots else {
        return Some("the machine's snapshots were not shown".to_owned());
    };
    let names: Vec<_> = snapshots.iter().map(|snapshot| snapshot.name.to_string()).collect();
    (!names.is_empty()).then(|| {
        let names = names.join(", ");
        format!(
            "the machine has snapshots ({names}), which hold the disk that is replaced; delete them first"
        )
    })
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

/// What cloud-init told the guest before would be told to the new system too, for nothing takes it from the machine: a user or a
/// password that somebody believes to be gone. The template's own user is no such one.
fn keeps_credentials(wanted: &Wanted, machine: &Machine, template: &Machine) -> Option<String> {
    let (told, ordered) = (&machine.config.cloud_init, wanted.spec.cloud_init.as_ref());
    let has = |field: &str| {
        format!(
            "cloud_init.{field}: the machine has one, and the new system would be given it; order another one"
        )
    };
    if told.has_password && ordered.is_none_or(|ordered| ordered.password.is_none()) {
        return Some(has("password"));
    }
    let another = told.user.is_some() && told.user != template.config.cloud_init.user;
    (another && ordered.is_none_or(|ordered| ordered.user.is_none())).then(|| has("user"))
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

/// The slot of the system disk, where there is no doubt which it is: what is replaced is lost, and somebody may have plugged in a disk
/// that the order does not know, or may boot from another one.
fn system_slot(record: &VmRecord, config: &MachineConfig) -> Result<DiskSlot, String> {
    let Some((slot, _)) = config.system_disk() else {
        return Err("the machine has no hard disk in its boot order".to_owned());
    };
    let before = config.boot.iter().take_while(|named| **named != slot);
    if let Some(empty) = before.into_iter().find(|named| !config.is_taken(**named)) {
        return Err(format!(
            "the machine's boot order names {empty} first, which holds nothing; put it right"
        ));
    }
    if record.slots.contains(&slot) {
        return Err(format!(
            "the first disk in the machine's boot order is {slot}, an additional one; put its system disk first"
        ));
    }
    match config.disks.keys().find(|other| **other != slot && !record.slots.contains(other)) {
        Some(other) => Err(format!(
            "the machine has a disk {other} that was not ordered, beside {slot}, from which it boots: which of them is its system \
             disk is not certain; unplug {other} first"
        )),
        None => Ok(slot),
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
    let Some(Replacing { slot, image, old }) = &record.life.replacing else {
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
    let Some(there) = machine.config.disks.get(slot) else {
        return Verdict::Impossible(format!("{slot} holds no disk any more; plug the system disk in again"));
    };
    let is_unplugged = |old: &String| machine.config.unused.values().any(|unused| unused == old);
    match old {
        // Another volume alone proves nothing: somebody may have moved the disk to another storage.
        Some(old) if there.volume != *old && is_unplugged(old) => Verdict::Met,
        _ if system_slot(record, &machine.config) != Ok(*slot) => Verdict::Impossible(format!(
            "the machine boots from another disk than {slot}, or has one that was not ordered, since it was to be replaced; put that \
             right"
        )),
        Some(old) if there.volume == *old => match held_by_snapshots(machine) {
            Some(why) => Verdict::Impossible(why),
            None => {
                Verdict::Unmet(Change::Import { slot: *slot, image: image.clone(), replaced: there.clone() })
            }
        },
        // Before a copy is asked for, so that whoever comes later knows whether it is in place.
        _ => Verdict::Note(NoteDown::Replaces(there.volume.clone())),
    }
}

/// The disk that was replaced is gone: exactly that one, and only once it is plugged in nowhere.
pub(crate) fn old_disk_freed(record: &VmRecord, machine: &Machine) -> Verdict {
    let old = record.life.replacing.as_ref().and_then(|replacing| replacing.old.as_ref());
    let is_old = |(_, volume): &(_, &String)| old == Some(*volume);
    let entry = machine.config.unused.iter().find(is_old).map(|(entry, _)| *entry);
    configured(Configure { remove_unused: entry.into_iter().collect(), ..Configure::default() })
}
