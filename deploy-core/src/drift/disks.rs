//! Disks: whether they are there, their sizes, their limits.

use super::{Differences, size};
use crate::{
    Configure, Disk, DiskGoal, DiskLimits, DiskSlot, Limit, Machine, MachineConfig, Step, VmRecord, goal,
    rules::Verdict,
};
use std::fmt::Display;

pub(super) fn differences(missing: &Configure, seen: &MachineConfig, found: &mut Differences) {
    for (slot, goal) in &missing.disks {
        match (goal, seen.disks.get(slot)) {
            (DiskGoal::Create { storage, size, .. }, _) => {
                found.push(slot.to_string(), &format!("{size} on {storage}"), &"no disk");
            }
            (DiskGoal::Keep(wanted), Some(disk)) => limits(*slot, wanted, disk, found),
            (DiskGoal::Keep(_), None) => {}
        }
    }
}

fn limits(slot: DiskSlot, wanted: &Disk, seen: &Disk, found: &mut Differences) {
    let before = found.0.len();
    let (ordered, there) = (words(&wanted.limits), words(&seen.limits));
    for ((part, ordered), (_, seen)) in ordered.into_iter().zip(there) {
        found.compare(format!("{slot}.{part}"), ordered, seen);
    }
    // Limits said in another way (bursts, both directions together) are options here.
    if found.0.len() == before {
        let others =
            |disk: &Disk| super::list(disk.options.iter().map(|(name, value)| format!("{name}={value}")));
        found.compare(format!("{slot}.options"), others(wanted), others(seen));
    }
}

fn words(limits: &DiskLimits) -> [(&'static str, String); 4] {
    let DiskLimits { read, write, read_iops, write_iops } = limits;
    [
        ("read", limit(*read, "MiB/s")),
        ("write", limit(*write, "MiB/s")),
        ("read_iops", limit(iops(*read_iops), "a second")),
        ("write_iops", limit(iops(*write_iops), "a second")),
    ]
}

fn iops(limit: Limit<crate::Iops>) -> Limit<u32> {
    limit.at().map(crate::Iops::get).into()
}

pub(super) fn limit<T: Display>(limit: Limit<T>, unit: &str) -> String {
    limit.at().map_or_else(|| "unlimited".to_owned(), |at| format!("{at} {unit}"))
}

/// Sizes. Of a disk that is not there nothing more is said.
pub(super) fn sizes(record: &VmRecord, machine: &Machine, found: &mut Differences) {
    match machine.config.system_disk() {
        None => found.push("system_disk", &record.spec.system_disk.size, &"no hard disk in the boot order"),
        Some((_, disk)) if goal::system_disk_size(record, machine) != Verdict::Met => {
            size("system_disk.size".to_owned(), record.spec.system_disk.size, disk.size, found);
        }
        Some(_) => {}
    }
    for (slot, ordered, verdict) in goal::each_additional_size(record, machine) {
        if let Some(disk) = machine.config.disks.get(&slot).filter(|_| verdict != Verdict::Met) {
            size(format!("{slot}.size"), ordered, disk.size, found);
        }
    }
}

/// What cannot be made as ordered. That a disk is missing is told with the sizes, and where it is to be created.
pub(super) fn impossible(step: Step, why: &str, found: &mut Differences) {
    match step {
        Step::SetCreatedAdditionalDisk => found.push("additional_disks", &"as ordered", &why),
        Step::SetCloudinit => found.push("cloud_init", &"as ordered", &why),
        _ => {}
    }
}
