//! Backups of the model: what they hold, and whose they are.

use super::{Cluster, ModelFirewall, ModelMachine, cluster::error, show::obscured, snapshot::keep_unused};
use deploy_core::{
    Backup, Backups, Disk, ErrorClass, LookError, MachineConfig, MiB, Obscured, OwnerMark, PasswordHash,
    Power, Sent, Shown, SmbiosUuid, StorageId, SubmitError, Target, Vmid,
};

/// What a backup holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Archive {
    /// The configuration, with the identity of the machine that it was made of.
    pub config: MachineConfig,
    /// The password that cloud-init was told.
    pub password: Option<PasswordHash>,
    /// The firewall.
    pub firewall: ModelFirewall,
    /// What was on the disks.
    pub written: u64,
}

impl Archive {
    /// What a backup of this machine holds; snapshots are not among it, nor are unused disks.
    pub fn of(machine: &ModelMachine) -> Self {
        Self {
            config: MachineConfig { unused: [].into(), parent: None, ..machine.config.clone() },
            password: machine.password.clone(),
            firewall: machine.firewall.clone(),
            written: machine.written,
        }
    }

    pub(super) fn shown(&self) -> Shown {
        Shown::of(&self.config.description, self.config.smbios, None)
    }
}

#[allow(clippy::unwrap_used)] // a constant
fn husk_memory() -> MiB {
    MiB::try_from(128).unwrap()
}

impl Cluster {
    /// What is found under a number: the machine's own, and what an earlier one left.
    pub(super) fn backups(&self, vmid: Vmid) -> Backups {
        let kept = self.kept_backups.get(&vmid).into_iter().flatten();
        let own = self.machines.get(&vmid).into_iter().flat_map(|machine| &machine.backups);
        Backups { found: own.chain(kept).cloned().collect(), unread: self.unread.clone() }
    }

    pub(super) fn look_for_backups(&mut self, vmid: Vmid) -> Result<Backups, LookError> {
        match self.faults.next_look().map(obscured) {
            Some(Obscured { class, message }) => Err(LookError { class, message }),
            None => Ok(self.backups(vmid)),
        }
    }

    /// Whether this is a backup that nobody protects, and shows this mark.
    pub(super) fn is_unprotected(&self, backup: &Backup, mark: OwnerMark) -> bool {
        let shown = self.archives.get(&backup.volume).map(Archive::shown);
        !backup.protected && shown.is_some_and(|shown| shown.mark == Some(mark))
    }

    pub(super) fn archived(&mut self, backup: &Backup) -> Result<Shown, LookError> {
        if let Some(fault) = self.faults.next_look() {
            let Obscured { class, message } = obscured(fault);
            return Err(LookError { class, message });
        }
        let archive = self.archives.get(&backup.volume).map(Archive::shown);
        archive.ok_or_else(|| LookError { class: ErrorClass::Failed, message: "no such volume".to_owned() })
    }

    /// What the call itself can tell of a backup before it is restored.
    pub(super) fn judge_archive(
        &self,
        target: &Target,
        backup: &Backup,
        identity: SmbiosUuid,
    ) -> Result<(), SubmitError> {
        let refused = |why| Err(error(ErrorClass::Refused, Sent::No, why));
        match self.archives.get(&backup.volume).map(Archive::shown) {
            None => refused("no such volume"),
            Some(shown) if shown.smbios != Some(identity) => refused("the backup shows another identity"),
            Some(shown) if target.smbios != Some(identity) && shown.mark != Some(target.mark) => {
                refused("the backup is somebody else's")
            }
            Some(_) => Ok(()),
        }
    }

    /// A restore begins: disks that the backup has as well are freed, and a husk is in the machine's place, where it is to stay
    /// if the task fails. A machine that runs or is protected is left alone; the task will say so.
    pub(super) fn begin_restore(&mut self, vmid: Vmid, backup: &Backup) {
        let (Some(machine), Some(archive)) =
            (self.machines.get_mut(&vmid), self.archives.get(&backup.volume))
        else {
            return;
        };
        if machine.config.protected || machine.power != Power::Stopped {
            return;
        }
        let old = std::mem::take(&mut machine.config);
        machine.config.memory = Some(husk_memory());
        machine.snapshots.clear();
        machine.pending.clear();
        machine.drive_volumes.clear();
        (machine.revision, machine.written) = (machine.revision + 1, 0);
        for (slot, Disk { volume, .. }) in old.disks {
            if archive.config.disks.contains_key(&slot) {
                self.volumes.remove(&volume);
            }
        }
    }

    /// The machine becomes what the backup holds, with new disks; volumes of its number that it does not name become unused
    /// ones of its.
    pub(super) fn restore(
        &mut self,
        vmid: Vmid,
        backup: &Backup,
        storage: Option<&StorageId>,
    ) -> Result<(), &'static str> {
        let archive = self.archives.get(&backup.volume).cloned().ok_or("no such volume")?;
        let mut machine = self.machines.get(&vmid).cloned().ok_or("the machine is gone")?;
        if machine.config.protected {
            return Err("unable to restore VM - protection mode enabled");
        }
        if machine.power != Power::Stopped {
            return Err("unable to restore VM - vm is running");
        }
        let found: Vec<String> = self
            .volumes
            .iter()
            .filter(|(_, volume)| volume.vmid == vmid)
            .map(|(name, _)| name.clone())
            .collect();
        machine.config = archive.config;
        machine.config.unused.clear();
        for disk in machine.config.disks.values_mut() {
            let storage = storage.unwrap_or(&disk.storage).clone();
            *disk = Disk { volume: self.new_volume(vmid, &storage), storage, ..disk.clone() };
        }
        for volume in found {
            keep_unused(&mut machine, volume);
        }
        (machine.password, machine.firewall, machine.written) =
            (archive.password, archive.firewall, archive.written);
        machine.revision = self.number();
        self.machines.insert(vmid, machine);
        Ok(())
    }

    /// A backup is there, and keeps what the machine is now.
    pub(super) fn back_up(
        &mut self,
        vmid: Vmid,
        storage: &StorageId,
        notes: &str,
    ) -> Result<(), &'static str> {
        let volume = format!("{storage}:backup/vzdump-qemu-{vmid}-{}", self.number());
        let now = self.now;
        let machine = self.machines.get_mut(&vmid).ok_or("the machine is gone")?;
        machine.lock = None;
        machine.backups.push(Backup {
            node: machine.node.clone(),
            storage: storage.clone(),
            volume: volume.clone(),
            protected: false,
            size: None,
            made_at: Some(now),
            notes: Some(notes.to_owned()),
        });
        self.archives.insert(volume, Archive::of(machine));
        Ok(())
    }

    /// The backup is gone, whoever's machine it was made of.
    pub(super) fn delete_backup(&mut self, vmid: Vmid, gone: &Backup) {
        let machine = self.machines.get_mut(&vmid).map(|machine| &mut machine.backups);
        for backups in machine.into_iter().chain(self.kept_backups.get_mut(&vmid)) {
            backups.retain(|backup| backup.volume != gone.volume);
        }
        self.archives.remove(&gone.volume);
    }
}
