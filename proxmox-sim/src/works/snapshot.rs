//! Snapshots: `qmsnapshot`, `qmdelsnapshot`, `qmrollback`. Their data are not kept, only their
//! configuration.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Bench, Step, Work, attempt};
use crate::config::StorageKind;
use crate::flock::Flock;
use crate::world::{Snapshot, World, split_volid};

/// What is to be done with a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SnapshotAction {
    Create,
    Delete,
    Rollback,
}

fn without_unused(options: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    options
        .iter()
        .filter(|(key, _)| !key.starts_with("unused"))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect()
}

/// Works on one snapshot.
#[derive(Debug)]
pub(crate) struct SnapshotWork {
    pub(crate) node: String,
    pub(crate) vmid: u32,
    pub(crate) action: SnapshotAction,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) begun: bool,
}

impl SnapshotWork {
    fn lock(&self) -> &'static str {
        match self.action {
            SnapshotAction::Create => "snapshot",
            SnapshotAction::Delete => "snapshot-delete",
            SnapshotAction::Rollback => "rollback",
        }
    }

    /// Files of raw format cannot be snapshotted.
    fn possible(&self, world: &World) -> Result<(), String> {
        let machine = world.machine_on(&self.node, self.vmid)?;
        let raw_file = machine.drives().filter(|(_, drive)| !drive.is_cdrom()).any(|(_, drive)| {
            let volid = drive.volume().unwrap_or_default();
            let file = world.storage(split_volid(volid).0).is_ok_and(|s| s.kind == StorageKind::Dir);
            file && world.volume(&self.node, volid).is_some_and(|volume| volume.format == "raw")
        });
        if raw_file { Err("snapshot feature is not available".to_owned()) } else { Ok(()) }
    }

    fn log_drives(&self, bench: &mut Bench<'_>) {
        let Ok(machine) = bench.world.machine_on(&self.node, self.vmid) else {
            return;
        };
        let drives = machine.drives().filter(|(_, drive)| !drive.is_cdrom());
        let lines: Vec<String> = drives
            .filter_map(|(slot, drive)| Some(format!("snapshotting 'drive-{slot}' ({})", drive.volume()?)))
            .collect();
        for line in lines {
            bench.log(line);
        }
    }

    fn begin(&mut self, bench: &mut Bench<'_>) -> Step {
        let lock = self.lock();
        let machine = attempt!(bench.world.machine_on(&self.node, self.vmid));
        if self.action == SnapshotAction::Create && machine.is_template() {
            return Step::Failed("you can't take a snapshot if it's a template".to_owned());
        }
        attempt!(machine.config.need_unlocked());
        let used = machine.snapshots.iter().any(|s| s.name == self.name);
        if self.action == SnapshotAction::Create && !used {
            attempt!(self.possible(bench.world));
        }
        let machine = attempt!(bench.world.machine_on_mut(&self.node, self.vmid));
        let exists = machine.snapshots.iter().any(|s| s.name == self.name);
        match self.action {
            SnapshotAction::Create if exists => {
                return Step::Failed(format!("snapshot name '{}' already used", self.name));
            }
            SnapshotAction::Delete | SnapshotAction::Rollback if !exists => {
                return Step::Failed(format!("snapshot '{}' does not exist", self.name));
            }
            _ => {}
        }
        machine.config.set("lock", lock);
        self.begun = true;
        let seconds = bench.world.durations.other;
        Step::After(bench.world.lasting(seconds))
    }
}

impl Work for SnapshotWork {
    fn locks(&self, _world: &World) -> Vec<Flock> {
        vec![Flock::machine(&self.node, self.vmid)]
    }

    fn step(&mut self, bench: &mut Bench<'_>) -> Step {
        if !self.begun {
            return self.begin(bench);
        }
        let time = bench.world.unix();
        if self.action == SnapshotAction::Create {
            self.log_drives(bench);
        }
        let machine = attempt!(bench.world.machine_on_mut(&self.node, self.vmid));
        machine.config.remove("lock");
        match self.action {
            SnapshotAction::Create => machine.snapshots.push(Snapshot {
                name: self.name.clone(),
                description: self.description.clone(),
                time,
                config: without_unused(&machine.config.current),
            }),
            SnapshotAction::Delete => machine.snapshots.retain(|s| s.name != self.name),
            SnapshotAction::Rollback => {
                let kept = machine.snapshots.iter().find(|s| s.name == self.name);
                if let Some(config) = kept.map(|s| s.config.clone()) {
                    machine.config.current = config;
                    machine.running = None;
                }
            }
        }
        Step::Done(Value::Null)
    }

    fn abandon(&mut self, bench: &mut Bench<'_>, reason: &str) -> String {
        if let Some(machine) = bench.world.machines.get_mut(&self.vmid) {
            machine.config.remove("lock");
        }
        reason.to_owned()
    }
}
