//! Snapshots of the model: configurations kept by name, and what was on the disks.

use super::{Cluster, ModelMachine, ModelSnapshot};
use deploy_core::{DiskSlot, MachineConfig, Power, Snapshot, SnapshotName, UnusedSlot};

impl Cluster {
    /// It is begun: shown as incomplete, and locked.
    pub(super) fn begin_snapshot(machine: &mut ModelMachine, name: &SnapshotName, description: &str) {
        machine.lock = Some("snapshot".to_owned());
        if find(machine, name).is_some() {
            // Its task will find out.
            return;
        }
        let shown = Snapshot {
            name: name.clone(),
            description: description.to_owned(),
            taken_at: None,
            parent: machine.config.parent.clone(),
            memory: false,
            incomplete: Some("prepare".to_owned()),
        };
        machine.snapshots.push(ModelSnapshot {
            shown,
            config: MachineConfig { unused: [].into(), ..machine.config.clone() },
            password: machine.password.clone(),
            written: machine.written,
        });
    }

    /// It is complete. PVE takes a name that is taken for a failure, whatever has it.
    pub(super) fn end_snapshot(
        machine: &mut ModelMachine,
        name: &SnapshotName,
        now: jiff::Timestamp,
    ) -> Result<(), &'static str> {
        machine.lock = None;
        let made = machine.snapshots.iter_mut().find(|snapshot| snapshot.shown.name == *name);
        let made = made.filter(|made| made.shown.incomplete.is_some()).ok_or("snapshot name already used")?;
        (made.shown.incomplete, made.shown.taken_at) = (None, Some(now));
        machine.config.parent = Some(name.clone());
        machine.revision += 1;
        Ok(())
    }

    /// What was begun and came to nothing: one that was to be made is gone, one that was to go is whole.
    pub(super) fn leave_snapshots(machine: &mut ModelMachine) {
        let state = |snapshot: &ModelSnapshot| snapshot.shown.incomplete.clone();
        machine.snapshots.retain(|snapshot| state(snapshot).as_deref() != Some("prepare"));
        machine.snapshots.iter_mut().for_each(|snapshot| snapshot.shown.incomplete = None);
    }

    /// It goes, and those that descend from it descend from the one before. None of the name is as good.
    pub(super) fn delete_snapshot(machine: &mut ModelMachine, name: &SnapshotName) {
        machine.lock = None;
        let Some(gone) = find(machine, name).cloned() else { return };
        machine.snapshots.retain(|snapshot| snapshot.shown.name != *name);
        let parents = machine.snapshots.iter_mut().map(|snapshot| &mut snapshot.shown.parent);
        for parent in parents.chain([&mut machine.config.parent]) {
            if parent.as_ref() == Some(name) {
                parent.clone_from(&gone.shown.parent);
            }
        }
        machine.revision += 1;
    }

    /// Configuration and disks are as they were, but for the notes; disks that came since are unplugged, and the machine is
    /// stopped.
    pub(super) fn roll_back_to(machine: &mut ModelMachine, name: &SnapshotName) -> Result<(), &'static str> {
        machine.lock = None;
        let kept = find(machine, name).cloned().ok_or("snapshot does not exist")?;
        if kept.shown.incomplete.is_some() {
            return Err("unable to rollback to incomplete snapshot");
        }
        let unplugged: Vec<String> = machine
            .config
            .disks
            .values()
            .filter(|disk| !kept.config.disks.values().any(|old| old.volume == disk.volume))
            .map(|disk| disk.volume.clone())
            .chain(machine.config.unused.values().cloned())
            .collect();
        machine.config = MachineConfig {
            unused: (0..).map(UnusedSlot).zip(unplugged).collect(),
            parent: Some(name.clone()),
            description: std::mem::take(&mut machine.config.description),
            ..kept.config
        };
        (machine.password, machine.written) = (kept.password, kept.written);
        (machine.power, machine.running_since) = (Power::Stopped, None);
        machine.pending.clear();
        machine.revision += 1;
        Ok(())
    }

    /// An unplugged disk stays, under a name for unused ones.
    pub(super) fn unplug(machine: &mut ModelMachine, slot: DiskSlot) {
        let Some(disk) = machine.config.disks.remove(&slot) else { return };
        keep_unused(machine, disk.volume);
    }
}

/// A volume that nothing names any more gets the first free entry.
pub(super) fn keep_unused(machine: &mut ModelMachine, volume: String) {
    let unused = &mut machine.config.unused;
    if let Some(free) = (0..=u8::MAX).map(UnusedSlot).find(|slot| !unused.contains_key(slot)) {
        unused.insert(free, volume);
    }
}

fn find<'a>(machine: &'a ModelMachine, name: &SnapshotName) -> Option<&'a ModelSnapshot> {
    machine.snapshots.iter().find(|snapshot| snapshot.shown.name == *name)
}
