//! Tasks: what takes its time.

use super::{Cluster, ModelMachine, cluster::is_outdated};
use deploy_core::{
    Change, CloneMode, DestroyMode, Disk, Ended, ErrorClass, NodeName, OwnerMark, Power, StopMode, Target,
    TaskId, TaskState, Traffic, Vmid,
};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// The tasks of a cluster.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    running: Vec<Task>,
    ended: BTreeMap<TaskId, Ended>,
}

/// A task that runs.
#[derive(Debug)]
struct Task {
    id: TaskId,
    target: Target,
    change: Change,
    fate: Fate,
    next: Timestamp,
    ends: Timestamp,
}

/// How a task will end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Well.
    Good,
    /// It fails, and leaves nothing.
    Fails,
    /// It fails half-way, and what was done stays.
    HalfDone,
    /// Well, but nobody will know.
    EndLost,
}

impl Tasks {
    pub(super) fn next_event(&self) -> Option<Timestamp> {
        self.running.iter().map(|task| task.next).min()
    }

    pub(super) fn at_work_on(&self, vmid: Vmid) -> Option<TaskId> {
        self.running.iter().find(|task| task.target.machine.vmid == vmid).map(|task| task.id.clone())
    }

    /// Whether one of them holds the lock of a machine's file for as long as it works.
    pub(super) fn hold_file(&self, vmid: Vmid) -> bool {
        let hold = |task: &&Task| matches!(task.change, Change::RestoreBackup { .. } | Change::Import { .. });
        self.running.iter().filter(hold).any(|task| task.target.machine.vmid == vmid)
    }

    pub(super) fn state(&self, id: &TaskId) -> TaskState {
        match self.ended.get(id) {
            Some(ended) => TaskState::Ended(ended.clone()),
            None if self.running.iter().any(|task| task.id == *id) => TaskState::Running,
            None => TaskState::Ended(Ended::Lost("no such task".to_owned())),
        }
    }
}

impl Cluster {
    /// Kills the tasks that work on a machine, as a node that runs out of memory does: whatever they left stays, its lock
    /// too.
    pub fn kill_tasks(&mut self, vmid: Vmid) {
        let (killed, running): (Vec<Task>, Vec<Task>) = std::mem::take(&mut self.tasks.running)
            .into_iter()
            .partition(|task| task.target.machine.vmid == vmid);
        self.tasks.running = running;
        let lost = || Ended::Lost("unexpected status".to_owned());
        self.tasks.ended.extend(killed.into_iter().map(|task| (task.id, lost())));
    }

    /// Starts a task for a change that was accepted.
    pub(super) fn begin(&mut self, target: &Target, change: &Change, fate: Fate) -> TaskId {
        let takes = match change {
            Change::Clone { .. } | Change::Import { .. } => self.timing.clone,
            Change::Migrate { .. } => self.timing.migration,
            _ => self.timing.task,
        };
        let ends = self.now + takes;
        // A clone shows itself half-way.
        let next = if matches!(change, Change::Clone { .. }) { self.now + takes / 2 } else { ends };
        let text = format!("UPID:{}:{:?}:{}:", self.number(), change.kind(), target.machine.vmid);
        let id: TaskId = match text.parse() {
            Ok(id) => id,
            Err(invalid) => unreachable!("{invalid}"),
        };
        let task = Task { id: id.clone(), target: target.clone(), change: change.clone(), fate, next, ends };
        self.tasks.running.push(task);
        id
    }

    /// What a running task does at this time.
    pub(super) fn work(&mut self, at: Timestamp) {
        let Some(index) = self.tasks.running.iter().position(|task| task.next == at) else { return };
        if self.tasks.running[index].ends > at {
            let task = &mut self.tasks.running[index];
            task.next = task.ends;
            let (target, change) = (task.target.clone(), task.change.clone());
            self.show_clone(target.machine.vmid, target.mark, &change);
            return;
        }
        let task = self.tasks.running.remove(index);
        let done = match (task.fate, &task.change) {
            (Fate::Good | Fate::EndLost, _) => self.finish(&task),
            (Fate::HalfDone, Change::Import { slot, image, replaced }) => {
                self.import(&task.target, *slot, image, replaced, true).and(Err("it failed"))
            }
            (Fate::Fails | Fate::HalfDone, _) => Err("it failed"),
        };
        let ended = match (done, task.fate) {
            (Ok(()), Fate::EndLost) => Ended::Lost("its log was rotated away".to_owned()),
            (Ok(()), _) => Ended::Ok,
            (Err(why), _) => {
                if task.fate != Fate::HalfDone {
                    self.roll_back(&task);
                }
                Ended::Failed { class: ErrorClass::Failed, message: why.to_owned() }
            }
        };
        self.tasks.ended.insert(task.id, ended);
    }

    /// The clone writes its configuration: mark, identity, hardware; still locked.
    fn show_clone(&mut self, vmid: Vmid, mark: OwnerMark, change: &Change) {
        let Change::Clone { template, mode, name, .. } = change else { return };
        let Some(mut machine) = self.machines.get(template).cloned() else { return };
        machine.config.smbios = Some(self.new_smbios());
        machine.config.name = Some(name.clone());
        machine.config.description = mark.to_string();
        for disk in machine.config.disks.values_mut() {
            let storage = match mode {
                CloneMode::Full { storage: Some(storage) } => storage.clone(),
                CloneMode::Full { storage: None } | CloneMode::Linked => disk.storage.clone(),
            };
            *disk = Disk { volume: self.new_volume(vmid, &storage), storage, ..disk.clone() };
        }
        for (slot, volume) in &mut machine.drive_volumes {
            // A cloud-init drive is made beside the system disk.
            let storage = machine.config.system_disk().map(|(_, disk)| disk.storage.clone());
            *volume = storage.map_or_else(|| slot.to_string(), |storage| self.new_volume(vmid, &storage));
        }
        let copy = ModelMachine {
            lock: Some("clone".to_owned()),
            template: false,
            power: Power::Stopped,
            pool: None,
            backups: Vec::new(),
            snapshots: Vec::new(),
            ha: None,
            revision: self.number(),
            pending: BTreeSet::new(),
            ..machine
        };
        self.machines.insert(vmid, copy);
    }

    fn finish(&mut self, task: &Task) -> Result<(), &'static str> {
        let (now, vmid) = (self.now, task.target.machine.vmid);
        // A volume is deleted whether there is a machine or not.
        if let Change::DeleteBackup(gone) = &task.change {
            self.delete_backup(vmid, gone);
            return Ok(());
        }
        let machine = self.machines.get_mut(&vmid).ok_or("the machine is gone")?;
        match &task.change {
            Change::Clone { .. } => {
                machine.lock = None;
                *self.counters.clones.entry(vmid).or_default() += 1;
            }
            Change::Migrate { to, .. } => migrate(machine, to),
            // Its manager is told, and sees to it later.
            Change::Start | Change::Stop(_) if machine.is_managed() => {
                let state = if matches!(task.change, Change::Start) { "started" } else { "stopped" };
                machine.ha = Some(state.to_owned());
            }
            Change::Start if machine.power == Power::Stopped => {
                machine.power = Power::Running;
                machine.running_since = Some(now);
                machine.counted = Traffic::default();
                machine.starts += 1;
                self.counters.started_pending += u32::from(!machine.pending.is_empty());
                if machine.falls > 0 {
                    machine.falls -= 1;
                    self.begin(&task.target, &Change::Stop(StopMode::Hard), Fate::Good);
                }
            }
            Change::Start => return Err("it runs already"),
            Change::Stop(StopMode::Graceful { .. }) if !machine.follows_shutdown => {
                return Err("the guest did not shut down");
            }
            Change::Stop(_) => machine.power = Power::Stopped,
            Change::Reset if machine.power == Power::Stopped => return Err("VM not running"),
            // The guest begins anew.
            Change::Reset => machine.running_since = Some(now),
            Change::CreateSnapshot { name, .. } => return Self::end_snapshot(machine, name, now),
            Change::DeleteSnapshot(name) => Self::delete_snapshot(machine, name),
            Change::RollBack(name) => Self::roll_back_to(machine, name)?,
            Change::Backup { storage, notes, .. } => self.back_up(vmid, storage, notes)?,
            Change::RestoreBackup { backup, storage, .. } => self.restore(vmid, backup, storage.as_ref())?,
            Change::Resize { slot, size } => {
                let disk = machine.config.disks.get_mut(slot).ok_or("no such disk")?;
                // Judged again under PVE's lock: another one may have been at work when this one came.
                if disk.size.is_some_and(|there| there > size.bytes()) {
                    return Err("shrinking disks is not supported");
                }
                disk.size = Some(size.bytes());
                machine.revision += 1;
            }
            // Judged again where it is written: of two tasks on the same knowledge the second fails.
            Change::Configure(_) if is_outdated(&task.target, machine) => {
                return Err("file changed by other user");
            }
            Change::Configure(configure) => return self.write(vmid, configure),
            Change::Import { slot, image, replaced } => {
                return self.import(&task.target, *slot, image, replaced, false);
            }
            Change::Destroy(mode) => {
                let kept = std::mem::take(&mut machine.backups);
                self.kept_backups.entry(vmid).or_default().extend(kept);
                if *mode == DestroyMode::Purge {
                    let found = self.kept_backups.get(&vmid).into_iter().flatten();
                    let left = found.filter(|backup| self.is_unprotected(backup, task.target.mark));
                    self.counters.backups_left.extend(left.cloned().collect::<Vec<_>>());
                }
                self.machines.remove(&vmid);
                self.volumes.retain(|_, volume| volume.vmid != vmid);
            }
            Change::JoinPool(_) | Change::SetFirewall(_) | Change::LeaveHa | Change::DeleteBackup(_) => {}
        }
        if let Change::Reset | Change::RollBack(_) | Change::Backup { .. } | Change::RestoreBackup { .. } =
            task.change
        {
            self.counters.pulses.push((vmid, task.change.kind()));
        }
        Ok(())
    }

    fn roll_back(&mut self, task: &Task) {
        let vmid = task.target.machine.vmid;
        match task.change {
            Change::Clone { .. } => {
                self.machines.remove(&vmid);
                self.volumes.retain(|_, volume| volume.vmid != vmid);
            }
            Change::Migrate { .. }
            | Change::CreateSnapshot { .. }
            | Change::DeleteSnapshot(_)
            | Change::RollBack(_)
            | Change::Backup { .. } => {
                if let Some(machine) = self.machines.get_mut(&vmid) {
                    machine.lock = None;
                    Self::leave_snapshots(machine);
                }
            }
            _ => {}
        }
    }
}

fn migrate(machine: &mut ModelMachine, to: &NodeName) {
    machine.node.clone_from(to);
    machine.lock = None;
}
