//! A machine that exists becomes one of ours.

use super::{configured, package::is_smaller};
use crate::{
    AdditionalDisk, Change, Configure, Disk, DiskSlot, MacAddr, Machine, MachineConfig, NicSlot, NoteDown,
    OwnerMark, Power, Remembered, VmRecord, rules::Verdict,
};

/// It can be what the order says without anything of it being lost, it is nobody else's, and what it has is noted.
pub(crate) fn adoptable(record: &VmRecord, machine: &Machine) -> Verdict {
    match fitting(record, machine) {
        Err(why) => Verdict::Impossible(format!("{why}; nothing of the machine was changed")),
        Ok((macs, slots)) => {
            let stopped = match machine.power {
                None => return Verdict::UnderWay("whether it runs was not shown".to_owned()),
                Some(Power::Stopped) => true,
                Some(Power::Running | Power::Suspended(_)) => false,
            };
            if macs == record.macs && slots == record.slots && stopped == record.life.stopped {
                Verdict::Met
            } else {
                Verdict::Note(NoteDown::Adopted { macs, slots, stopped })
            }
        }
    }
}

/// It still is so, and is in its PVE pool and marked as ours. The mark comes last: what has it was adopted, or almost.
pub(crate) fn marked(record: &VmRecord, machine: &Machine) -> Verdict {
    match adoptable(record, machine) {
        Verdict::Met => {}
        other => return other,
    }
    if let Some(pool) = &record.spec.pve_pool
        && machine.pool != Some(Some(pool.clone()))
        && !record.remembered.contains(&Remembered::PoolJoined)
    {
        return Verdict::Unmet(Change::JoinPool(pool.clone()));
    }
    // A mark of which the call was cut off waits, and is shown as if it were there. Written once more, it is put in force.
    let waits = record.remembered.contains(&Remembered::SettingsInDoubt)
        && machine.power == Some(Power::Stopped)
        && machine.pending.as_ref().is_some_and(|pending| !pending.is_empty());
    let is_marked = OwnerMark::find(&machine.config.description) == Some(record.mark());
    let description = (waits || !is_marked).then(|| record.mark().put_into(&machine.config.description));
    configured(Configure { description, ..Configure::default() })
}

type Found = (Vec<MacAddr>, Vec<DiskSlot>);

/// The MACs of its NICs and the slots of its additional disks, or why it is not adopted.
fn fitting(record: &VmRecord, machine: &Machine) -> Result<Found, String> {
    let (seen, vmid) = (&machine.config, record.numbered.vmid);
    if seen.template {
        return Err(format!("machine {vmid} is a template"));
    }
    if let Some(mark) = OwnerMark::find(&seen.description).filter(|mark| *mark != record.mark()) {
        return Err(format!(
            "machine {vmid} is marked as another record's ({mark}); if that record is over, take the line out of its notes"
        ));
    }
    if let (Some(ordered), Some(Some(pool))) = (&record.spec.pve_pool, &machine.pool)
        && pool != ordered
    {
        return Err(format!(
            "pve_pool: {ordered} is ordered, and machine {vmid} is in {pool}; take it out, or adopt it in that pool"
        ));
    }
    Ok((nics(record, seen)?, disks(record, seen)?))
}

fn nics(record: &VmRecord, seen: &MachineConfig) -> Result<Vec<MacAddr>, String> {
    let ordered: Vec<NicSlot> = NicSlot::in_order().take(record.spec.nics.len()).collect();
    if !seen.nics.keys().eq(&ordered) {
        return Err(format!(
            "nics: {} are ordered, and the machine has {}",
            words(&ordered),
            words(seen.nics.keys())
        ));
    }
    Ok(seen.nics.values().map(|nic| nic.mac).collect())
}

/// A disk that the order does not know would be lost with the next reinstallation, and one that is larger can never be as ordered.
fn disks(record: &VmRecord, seen: &MachineConfig) -> Result<Vec<DiskSlot>, String> {
    let spec = &record.spec;
    // Nothing is guessed: which disk is the system's decides what a reinstallation takes the place of.
    let by_boot = seen.boot.iter().find_map(|slot| seen.disks.get_key_value(slot));
    let Some((&system, disk)) = by_boot else {
        return Err("the machine's boot order names no hard disk, so that it is not known which is the system disk; set it \
                    (PVE: Options, Boot Order)"
            .to_owned());
    };
    fits_size("system_disk", spec.system_disk.size, system, disk)?;
    let additional: Vec<(DiskSlot, &Disk)> =
        seen.disks.iter().filter(|(slot, _)| **slot != system).map(|(slot, disk)| (*slot, disk)).collect();
    let slots: Vec<DiskSlot> = additional.iter().map(|(slot, _)| *slot).collect();
    if slots.len() != spec.additional_disks.len() {
        return Err(format!(
            "additional_disks: {} are ordered, and beside its system disk {system} the machine has {}",
            spec.additional_disks.len(),
            words(&slots)
        ));
    }
    for (n, (ordered, (slot, disk))) in spec.additional_disks.iter().zip(additional).enumerate() {
        let AdditionalDisk { storage, size, limits: _ } = ordered;
        fits_size(&format!("additional_disks[{n}]"), *size, slot, disk)?;
        if *storage != disk.storage {
            return Err(format!(
                "additional_disks[{n}].storage: {storage} is ordered, and {slot} is on {}",
                disk.storage
            ));
        }
    }
    Ok(slots)
}

fn fits_size(field: &str, ordered: crate::GiB, slot: DiskSlot, disk: &Disk) -> Result<(), String> {
    match disk.size {
        Some(size) if is_smaller(ordered, size.0) => Err(format!(
            "{field}.size: {ordered} are ordered, and {slot} has {size}; no disk can be made smaller"
        )),
        _ => Ok(()),
    }
}

fn words<T: ToString>(slots: impl IntoIterator<Item = T>) -> String {
    let words: Vec<String> = slots.into_iter().map(|slot| slot.to_string()).collect();
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}
