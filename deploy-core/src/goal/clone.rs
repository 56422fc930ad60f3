//! The machine exists, is ours, and is where it belongs.

use crate::{Change, DiskSlot, Machine, NoteDown, Remembered, VmRecord, Vmid, rules::Verdict};

/// The clone that makes the machine.
pub(crate) fn clone_change(record: &VmRecord) -> Change {
    Change::Clone {
        template: record.spec.template.vmid,
        template_node: record.spec.template.node.clone(),
        mode: record.spec.clone.clone(),
        name: record.numbered.pve_name.clone(),
    }
}

/// What a human does about half a machine that nobody works on any more. Its volumes are not in its configuration yet, so that
/// they stay where it is destroyed without that option; but with it those of another cluster's machine of that number go, where
/// two clusters share a storage.
pub(crate) fn destroy_command(vmid: Vmid) -> String {
    format!(
        "qm destroy {vmid} --skiplock --purge (and --destroy-unreferenced-disks, unless another cluster shares its storages)"
    )
}

/// The clone is complete, its identity recorded, and it is in its PVE pool.
pub(crate) fn cloned(record: &VmRecord, machine: &Machine) -> Verdict {
    if let Some(lock) = &machine.lock {
        // Half a clone is worth nothing: unlocked, it would look like a whole one.
        let (vmid, node) = (record.numbered.vmid, &machine.node);
        return Verdict::Locked(format!(
            "the clone is under way (lock: {lock}); if no task works on it any more, remove it on {node} as root, and it is \
             made anew: {}",
            destroy_command(vmid)
        ));
    }
    if record.smbios.is_none() {
        return match machine.config.smbios {
            Some(smbios) => match free_slots(record, machine) {
                Some(slots) => Verdict::Note(NoteDown::Identity { smbios, slots }),
                None => Verdict::Impossible(format!(
                    "additional_disks: the template leaves no {} free SCSI slots",
                    record.spec.additional_disks.len()
                )),
            },
            None => {
                Verdict::Impossible("the clone has no SMBIOS UUID; does the template set smbios1?".to_owned())
            }
        };
    }
    match &record.spec.pve_pool {
        // The pool is joined after the clone and not by it: a clone whose last step, the pool, fails after the
        // configuration moved to another node leaves a machine without disks there.
        Some(pool) if machine.pool != Some(Some(pool.clone())) => {
            Verdict::Unseen(Remembered::PoolJoined, Change::JoinPool(pool.clone()))
        }
        _ => Verdict::Met,
    }
}

/// The slots of the additional disks, fixed once and for all: choosing the next free one at each try would make a second
/// disk when the answer of the first was lost.
fn free_slots(record: &VmRecord, machine: &Machine) -> Option<Vec<DiskSlot>> {
    let wanted = record.spec.additional_disks.len();
    let slots: Vec<DiskSlot> = DiskSlot::for_additional_disks()
        .filter(|slot| !machine.config.is_taken(*slot))
        .take(wanted)
        .collect();
    (slots.len() == wanted).then_some(slots)
}

/// The machine is on its node.
pub(crate) fn migrated(record: &VmRecord, machine: &Machine) -> Verdict {
    if machine.node == record.spec.node {
        Verdict::Met
    } else {
        Verdict::Unmet(Change::Migrate {
            to: record.spec.node.clone(),
            storage: record.spec.migration_storage.clone(),
        })
    }
}
