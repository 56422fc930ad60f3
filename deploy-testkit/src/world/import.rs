//! A disk that is replaced by a copy of another machine's.

use super::{
    Cluster, ModelMachine,
    cluster::{answered, is_outdated},
    snapshot::keep_unused,
};
use deploy_core::{Bytes, Disk, DiskSlot, ErrorClass, NodeName, Power, SubmitError, Target, Vmid};

impl Cluster {
    /// What is refused before anything is copied.
    pub(super) fn judge_import(&self, target: &Target, image: &str) -> Result<(), SubmitError> {
        let Some(machine) = self.machines.get(&target.machine.vmid) else { return Ok(()) };
        if is_outdated(target, machine) {
            return Err(answered(ErrorClass::Busy, "checksum mismatch (file change by other user?)"));
        }
        match self.image(&machine.node, image) {
            Some(_) => Ok(()),
            None => Err(answered(ErrorClass::Failed, "the image's machine is not on this node")),
        }
    }

    /// The disk of a machine on this node that is backed by this volume.
    fn image(&self, node: &NodeName, image: &str) -> Option<&Disk> {
        let here = self.machines.values().filter(|machine| machine.node == *node);
        here.flat_map(|machine| machine.config.disks.values()).find(|disk| disk.volume == image)
    }

    /// The copy is made and written down. Where the worker dies before it is put in its place, or the machine runs, it waits there
    /// and is shown all the same.
    pub(super) fn import(
        &mut self,
        target: &Target,
        slot: DiskSlot,
        image: &str,
        replaced: &Disk,
        dies: bool,
    ) -> Result<(), &'static str> {
        let vmid = target.machine.vmid;
        let mut machine = self.machines.get(&vmid).cloned().ok_or("the machine is gone")?;
        if is_outdated(target, &machine) {
            return Err("file changed by other user");
        }
        let size = self.image(&machine.node, image).ok_or("could not get size of the image")?.size;
        let there = machine.config.disks.get(&slot).map(|disk| disk.volume.clone());
        self.counters.overwritten += u32::from(there.as_ref() != Some(&replaced.volume));
        let volume = self.copy(vmid, image, size, replaced);
        machine.config.disks.insert(slot, Disk { volume, size, ..replaced.clone() });
        machine.displaced.extend(there);
        machine.revision = self.number();
        if dies || machine.power != Power::Stopped {
            machine.pending.insert(slot.to_string());
        } else {
            put_in_force(&mut machine);
        }
        self.machines.insert(vmid, machine);
        Ok(())
    }

    fn copy(&mut self, vmid: Vmid, image: &str, size: Option<Bytes>, replaced: &Disk) -> String {
        let name = self.new_volume(vmid, &replaced.storage);
        if let Some(volume) = self.volumes.get_mut(&name) {
            volume.copy_of = Some((image.to_owned(), size));
        }
        name
    }
}

/// What waited is in force, and what it displaced is unused.
pub(super) fn put_in_force(machine: &mut ModelMachine) {
    machine.pending.clear();
    for volume in std::mem::take(&mut machine.displaced) {
        keep_unused(machine, volume);
    }
}
