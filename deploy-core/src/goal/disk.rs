//! Disks: existence, sizes, limits.

use super::configured;
use crate::{
    AdditionalDisk, Change, Configure, Disk, DiskGoal, DiskLimits, DiskSlot, GiB, Machine, Progress,
    VmRecord, rules::Verdict,
};

/// The system disk has its size.
pub(crate) fn system_disk_size(record: &VmRecord, machine: &Machine) -> Verdict {
    match machine.config.system_disk() {
        Some((slot, disk)) => sized(record, "the system disk", slot, disk, record.spec.system_disk.size),
        None => no_system_disk(),
    }
}

/// The system disk has its limits.
pub(crate) fn system_disk_bandwidth(record: &VmRecord, machine: &Machine) -> Verdict {
    let Some((slot, disk)) = machine.config.system_disk() else { return no_system_disk() };
    let mut missing = Configure::default();
    limit(&mut missing, slot, disk, record.spec.system_disk.limits);
    configured(missing)
}

/// Every additional disk is in its slot.
pub(crate) fn additional_disks_exist(record: &VmRecord, machine: &Machine) -> Verdict {
    let mut missing = Configure::default();
    for (slot, wanted) in additional(record) {
        if machine.config.drives.contains(&slot) {
            return Verdict::Impossible(format!(
                "additional_disks: {slot} holds a drive that is no hard disk; remove it"
            ));
        }
        if !machine.config.disks.contains_key(&slot) {
            let AdditionalDisk { storage, size, limits } = wanted.clone();
            missing.disks.insert(slot, DiskGoal::Create { storage, size, limits });
        }
    }
    configured(missing)
}

/// Every additional disk has its size.
pub(crate) fn additional_disk_sizes(record: &VmRecord, machine: &Machine) -> Verdict {
    each_additional_size(record, machine)
        .map(|(.., verdict)| verdict)
        .find(|verdict| *verdict != Verdict::Met)
        .unwrap_or(Verdict::Met)
}

/// Each additional disk with its size as ordered, and whether it has that.
pub(crate) fn each_additional_size<'a>(
    record: &'a VmRecord,
    machine: &'a Machine,
) -> impl Iterator<Item = (DiskSlot, GiB, Verdict)> + 'a {
    additional(record).map(|(slot, wanted)| {
        let verdict = match machine.config.disks.get(&slot) {
            Some(disk) => sized(record, &format!("additional disk {slot}"), slot, disk, wanted.size),
            None => vanished(slot),
        };
        (slot, wanted.size, verdict)
    })
}

/// Every additional disk has its limits.
pub(crate) fn additional_disk_bandwidths(record: &VmRecord, machine: &Machine) -> Verdict {
    let mut missing = Configure::default();
    for (slot, wanted) in additional(record) {
        match machine.config.disks.get(&slot) {
            Some(disk) => limit(&mut missing, slot, disk, wanted.limits),
            None => return vanished(slot),
        }
    }
    configured(missing)
}

fn additional(record: &VmRecord) -> impl Iterator<Item = (DiskSlot, &AdditionalDisk)> {
    record.slots.iter().copied().zip(&record.spec.additional_disks)
}

/// Storages round up, so that anything not below the order is as ordered, except where it is a whole GiB or more above:
/// then the template is larger than the package, and no disk can be made smaller.
fn sized(record: &VmRecord, what: &str, slot: DiskSlot, disk: &Disk, wanted: GiB) -> Verdict {
    match disk.size {
        Some(size) if size.0 >= wanted.bytes().0 + (1 << 30) => Verdict::Impossible(format!(
            "{what} ({slot}) has {size} but {wanted} are ordered, and a disk cannot be made smaller: order at least {}",
            GiB::try_from(size.0.div_ceil(1 << 30))
                .map_or_else(|_| size.to_string(), |size| size.to_string()),
        )),
        Some(size) if size >= wanted.bytes() => Verdict::Met,
        _ => grown(record, slot, disk, wanted),
    }
}

/// A worker of PVE that dies between growing the volume and writing its size down leaves the old one, and resizing to the size
/// that the volume has already does nothing. Written again as it is, the drive gets the size that its volume has; so every
/// other try begins with that.
fn grown(record: &VmRecord, slot: DiskSlot, disk: &Disk, wanted: GiB) -> Verdict {
    let rewrite = Change::Configure(Box::new(Configure {
        disks: [(slot, DiskGoal::Keep(disk.clone()))].into(),
        ..Configure::default()
    }));
    let resize = Change::Resize { slot, size: wanted };
    // Once in each try, or the two would follow one another without end and without a failure.
    let rewritten = match record.progress {
        Progress::Applied { fingerprint } => {
            [&rewrite, &resize].iter().any(|c| c.fingerprint() == fingerprint)
        }
        Progress::Untried | Progress::Intended { .. } | Progress::Submitted { .. } => false,
    };
    Verdict::Unmet(if record.failures % 2 == 1 && !rewritten { rewrite } else { resize })
}

fn limit(missing: &mut Configure, slot: DiskSlot, disk: &Disk, limits: DiskLimits) {
    let wanted = disk.with_limits(limits);
    if wanted != *disk {
        missing.disks.insert(slot, DiskGoal::Keep(wanted));
    }
}

fn no_system_disk() -> Verdict {
    Verdict::Impossible(
        "the machine has no hard disk in its boot order; check the template's boot order".to_owned(),
    )
}

fn vanished(slot: DiskSlot) -> Verdict {
    Verdict::Impossible(format!("additional disk {slot} is gone; somebody removed it"))
}
