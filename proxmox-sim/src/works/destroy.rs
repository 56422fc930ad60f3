//! `qmdestroy`.

use serde_json::Value;

use super::{Bench, Break, Step, Work, attempt};
use crate::flock::Flock;
use crate::world::{MachineConfig, World};

/// Removes a machine and its volumes. Backups stay.
#[derive(Debug)]
pub(crate) struct Destroy {
    pub(crate) node: String,
    pub(crate) vmid: u32,
    pub(crate) purge: bool,
    /// Also volumes that its configuration does not name.
    pub(crate) unreferenced: bool,
    pub(crate) skip_lock: bool,
    progress: u8,
    warnings: u32,
    /// Is killed when this share of the volumes is freed.
    killed_at: Option<f64>,
    /// Cannot free the volume at that place.
    leaks_at: Option<f64>,
}

impl Destroy {
    pub(crate) fn new(node: &str, vmid: u32) -> Self {
        Self {
            node: node.to_owned(),
            vmid,
            purge: false,
            unreferenced: false,
            skip_lock: false,
            progress: 0,
            warnings: 0,
            killed_at: None,
            leaks_at: None,
        }
    }

    /// The checks that are made both before the task and within it.
    pub(crate) fn check(&self, world: &World) -> Result<(), String> {
        let vmid = self.vmid;
        let machine = world.machine_on(&self.node, vmid)?;
        if machine.config.flag("protection") {
            return Err(format!("can't remove VM {vmid} - protection mode enabled"));
        }
        if !self.purge && world.ha.contains_key(&vmid) {
            return Err(format!(
                "unable to remove VM {vmid} - used in HA resources and purge parameter not set."
            ));
        }
        if machine.running.is_some() {
            return Err(format!("VM {vmid} is running - destroy failed"));
        }
        Ok(())
    }

    fn volumes(&self, world: &World) -> Vec<String> {
        let mut volumes =
            world.machines.get(&self.vmid).map(crate::world::Machine::volumes).unwrap_or_default();
        if self.unreferenced {
            for storage in world.storages.values() {
                let place = storage.place(&self.node);
                let owned = storage
                    .volumes
                    .of(self.vmid)
                    .filter(|((at, _), volume)| *at == place && volume.content == "images");
                volumes.extend(owned.map(|((_, name), _)| format!("{}:{name}", storage.name)));
            }
        }
        volumes.sort_unstable();
        volumes.dedup();
        volumes
    }

    fn begin(&mut self, bench: &mut Bench<'_>) -> Step {
        attempt!(self.check(bench.world));
        let machine = attempt!(bench.world.machine_on(&self.node, self.vmid));
        if !self.skip_lock && machine.config.lock() != Some("suspended") {
            attempt!(machine.config.need_unlocked());
        }
        for volid in machine.volumes() {
            if bench.world.in_use_as_base(&self.node, &volid) {
                return Step::Failed(format!("base volume '{volid}' is still in use by linked cloned"));
            }
        }
        attempt!(bench.world.need_writable(&self.node, self.vmid));
        self.progress = 1;
        Self::pause(bench)
    }

    /// Frees the volumes; then nothing but a lock is left of the configuration.
    fn free(&mut self, bench: &mut Bench<'_>) -> Step {
        let volumes = self.volumes(bench.world);
        let freed = self.killed_at.map_or(volumes.len(), |share| crate::works::place(share, volumes.len()));
        let leaked = self.leaks_at.filter(|_| !volumes.is_empty());
        let leaked = leaked.map(|roll| volumes[crate::works::place(roll, volumes.len())].clone());
        bench.broken = self.killed_at.is_some() || leaked.is_some();
        for volid in volumes.into_iter().take(freed) {
            let freed = if leaked.as_ref() == Some(&volid) {
                Err(bench.world.storage_busy(&self.node, &volid))
            } else {
                bench.world.free(&self.node, &volid)
            };
            if let Err(text) = freed {
                bench.log(format!("WARN: {text}"));
                self.warnings += 1;
            }
        }
        if self.killed_at.is_some() {
            return Step::Done(Value::Null);
        }
        if let Some(machine) = bench.world.machines.get_mut(&self.vmid) {
            machine.config = MachineConfig::default();
            machine.config.set("lock", "destroyed");
            machine.snapshots.clear();
            machine.parent = None;
        }
        for members in bench.world.pools.values_mut() {
            members.retain(|member| *member != self.vmid);
        }
        bench.world.accounts.forget_machine(self.vmid);
        bench.world.firewalls.remove(&self.vmid);
        if self.purge {
            bench.log(format!("purging VM {} from related configurations..", self.vmid));
            bench.world.ha.remove(&self.vmid);
        }
        self.progress = 2;
        Self::pause(bench)
    }

    fn pause(bench: &mut Bench<'_>) -> Step {
        let seconds = bench.world.durations.destroy / 2.0;
        Step::After(bench.world.lasting(seconds))
    }
}

impl Work for Destroy {
    fn locks(&self, _world: &World) -> Vec<Flock> {
        vec![Flock::machine(&self.node, self.vmid)]
    }

    fn step(&mut self, bench: &mut Bench<'_>) -> Step {
        match self.progress {
            0 => self.begin(bench),
            1 => self.free(bench),
            _ => {
                bench.world.machines.remove(&self.vmid);
                if self.warnings > 0 { Step::Warned(self.warnings) } else { Step::Done(Value::Null) }
            }
        }
    }

    fn break_off(&mut self, how: Break, roll: f64) -> bool {
        match how {
            Break::Killed => self.killed_at = Some(roll),
            Break::Failed => self.leaks_at = Some(roll),
            Break::Forbidden => return false,
        }
        true
    }

    fn makes(&self) -> Option<u32> {
        Some(self.vmid)
    }
}
