//! Snapshots: `qmsnapshot`, `qmdelsnapshot`, `qmrollback`. Their data are not kept, only their
//! configuration.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Bench, Step, Work, attempt};
use crate::config::StorageKind;
use crate::flock::Flock;
use crate::world::{Machine, Snapshot, World, split_volid};

/// What is to be done with a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SnapshotAction {
    Create,
    Delete,
    Rollback,
}

/// What a snapshot keeps of a configuration. Going back to it leaves the rest as it is then.
fn is_kept(key: &str) -> bool {
    !key.starts_with("unused") && key != "description"
}

fn kept(options: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    options.iter().filter(|(key, _)| is_kept(key)).map(|(k, v)| (k.clone(), v.clone())).collect()
}

/// Takes a configuration back. Disks that it does not name become unused, and what waits for a power cycle is forgotten.
fn go_back(machine: &mut Machine, config: BTreeMap<String, String>) {
    let before: Vec<String> = machine
        .drives()
        .filter(|(_, drive)| !drive.is_cdrom() && !drive.is_cloud_init())
        .filter_map(|(_, drive)| drive.volume().map(str::to_owned))
        .collect();
    machine.running = None;
    machine.config.pending.clear();
    machine.config.deleted.clear();
    machine.config.current.retain(|key, _| !is_kept(key));
    machine.config.current.extend(config);
    let named: Vec<String> =
        machine.drives().filter_map(|(_, drive)| drive.volume().map(str::to_owned)).collect();
    for volid in before.into_iter().filter(|volid| !named.contains(volid)) {
        let entry = machine.config.free_unused();
        machine.config.set(&entry, volid);
    }
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

    /// What is refused before anything changes.
    fn check(&self, world: &World) -> Result<(), String> {
        let machine = world.machine_on(&self.node, self.vmid)?;
        let found = machine.snapshots.iter().find(|s| s.name == self.name);
        let missing = || format!("snapshot '{}' does not exist", self.name);
        match self.action {
            SnapshotAction::Create if machine.is_template() => {
                Err("you can't take a snapshot if it's a template".to_owned())
            }
            SnapshotAction::Create => {
                machine.config.need_unlocked()?;
                match found {
                    Some(_) => Err(format!("snapshot name '{}' already used", self.name)),
                    None => self.possible(world),
                }
            }
            SnapshotAction::Delete => {
                found.ok_or_else(missing)?;
                machine.config.need_unlocked()
            }
            SnapshotAction::Rollback => {
                if let Some(state) = found.ok_or_else(missing)?.state {
                    return Err(format!("unable to rollback to incomplete snapshot (snapstate = {state})"));
                }
                machine.config.need_unlocked()
            }
        }
    }

    fn begin(&mut self, bench: &mut Bench<'_>) -> Step {
        attempt!(self.check(bench.world));
        let time = bench.world.unix();
        let lock = self.lock();
        let machine = attempt!(bench.world.machine_on_mut(&self.node, self.vmid));
        match self.action {
            SnapshotAction::Create => machine.snapshots.push(Snapshot {
                name: self.name.clone(),
                description: self.description.clone(),
                time,
                config: kept(&machine.config.current),
                parent: machine.parent.clone(),
                state: Some("prepare"),
            }),
            SnapshotAction::Delete => {
                if let Some(found) = machine.snapshots.iter_mut().find(|s| s.name == self.name) {
                    found.state = Some("delete");
                }
            }
            SnapshotAction::Rollback => {}
        }
        machine.config.set("lock", lock);
        self.begun = true;
        let seconds = bench.world.durations.other;
        Step::After(bench.world.lasting(seconds))
    }

    /// Takes a snapshot out of the line of descent.
    fn forget(&self, machine: &mut Machine) {
        let gone = machine.snapshots.iter().find(|s| s.name == self.name);
        let before = gone.and_then(|s| s.parent.clone());
        machine.snapshots.retain(|s| s.name != self.name);
        let name = Some(&self.name);
        let parents = machine.snapshots.iter_mut().map(|s| &mut s.parent).chain([&mut machine.parent]);
        parents.filter(|parent| parent.as_ref() == name).for_each(|parent| parent.clone_from(&before));
    }
}

impl Work for SnapshotWork {
    fn locks(&self, _world: &World) -> Vec<Flock> {
        let machine = Flock::machine(&self.node, self.vmid);
        match self.action {
            SnapshotAction::Create => vec![machine],
            SnapshotAction::Delete => vec![Flock::replication(&self.node, self.vmid), machine],
            SnapshotAction::Rollback => vec![Flock::migration(&self.node, self.vmid), machine],
        }
    }

    fn step(&mut self, bench: &mut Bench<'_>) -> Step {
        if !self.begun {
            return self.begin(bench);
        }
        if self.action == SnapshotAction::Create {
            self.log_drives(bench);
        }
        let machine = attempt!(bench.world.machine_on_mut(&self.node, self.vmid));
        machine.config.remove("lock");
        match self.action {
            SnapshotAction::Create => {
                if let Some(found) = machine.snapshots.iter_mut().find(|s| s.name == self.name) {
                    found.state = None;
                }
                machine.parent = Some(self.name.clone());
            }
            SnapshotAction::Delete => self.forget(machine),
            SnapshotAction::Rollback => {
                let found = machine.snapshots.iter().find(|s| s.name == self.name);
                if let Some(config) = found.map(|s| s.config.clone()) {
                    go_back(machine, config);
                    machine.parent = Some(self.name.clone());
                    if machine.config.get("vmgenid").is_some() {
                        let fresh = bench.world.random.uuid();
                        attempt!(bench.world.machine_on_mut(&self.node, self.vmid))
                            .config
                            .set("vmgenid", fresh);
                    }
                }
            }
        }
        Step::Done(Value::Null)
    }

    /// What was not made is cleaned up; what was being removed or gone back to stays as it is, locked.
    fn abandon(&mut self, bench: &mut Bench<'_>, reason: &str) -> String {
        if let Some(machine) = bench.world.machines.get_mut(&self.vmid)
            && self.begun
            && self.action == SnapshotAction::Create
        {
            machine.config.remove("lock");
            self.forget(machine);
        }
        reason.to_owned()
    }
}
