//! `qmigrate`.

use std::time::Duration;

use serde_json::Value;

use super::{Bench, Step, Work, attempt};
use crate::flock::Flock;
use crate::world::{Drive, World, split_volid};

/// Bytes a second at which local disks are sent.
const COPY_RATE: f64 = 100e6;

/// Moves a machine to another node.
#[derive(Debug)]
pub(crate) struct Migrate {
    pub(crate) node: String,
    pub(crate) vmid: u32,
    pub(crate) target: String,
    pub(crate) with_local_disks: bool,
    /// Storage that local disks go to.
    pub(crate) target_storage: Option<String>,
    /// When it began.
    pub(super) begun: Duration,
    /// Whether the machine ran then.
    running: bool,
    progress: u8,
}

impl Migrate {
    pub(crate) fn new(node: &str, vmid: u32, target: &str) -> Self {
        Self {
            node: node.to_owned(),
            vmid,
            target: target.to_owned(),
            with_local_disks: false,
            target_storage: None,
            begun: Duration::ZERO,
            running: false,
            progress: 0,
        }
    }

    /// Volumes that only the old node has.
    pub(super) fn local_volumes(&self, world: &World) -> Vec<String> {
        let Ok(machine) = world.machine_on(&self.node, self.vmid) else {
            return Vec::new();
        };
        let local = |volid: &String| world.storage(split_volid(volid).0).is_ok_and(|s| !s.shared);
        machine.volumes().into_iter().filter(local).collect()
    }

    /// Why a machine cannot move.
    fn obstacle(&self, world: &World, running: bool) -> Option<String> {
        for volid in self.local_volumes(world) {
            let volume = world.volume(&self.node, &volid)?;
            if let Some(base) = &volume.parent {
                let storage = split_volid(&volid).0;
                return Some(format!("can't migrate '{volid}' as it's a clone of '{storage}:{base}'"));
            }
            if world.in_use_as_base(&self.node, &volid) {
                return Some(format!("base volume '{volid}' is still in use by linked cloned"));
            }
            let live = running && !self.with_local_disks && !volid.contains("-cloudinit");
            if live {
                return Some(format!(
                    "can't migrate local disk '{volid}': can't live migrate attached local disks without with-local-disks option"
                ));
            }
        }
        None
    }

    fn begin(&mut self, bench: &mut Bench<'_>) -> Step {
        let machine = attempt!(bench.world.machine_on(&self.node, self.vmid));
        attempt!(machine.config.need_unlocked());
        let running = machine.running.is_some();
        self.running = running;
        self.begun = bench.world.now;
        self.say_start(bench, running);
        let online = bench.world.nodes.get(&self.target).is_some_and(|node| node.online);
        if !online {
            Self::say(bench, &format!("ERROR: can't connect to node '{}'", self.target));
            return Step::Failed("migration aborted".to_owned());
        }
        self.say_local(bench);
        if let Some(text) = self.obstacle(bench.world, running) {
            self.say_aborted(bench, &text);
            return Step::Failed("migration aborted".to_owned());
        }
        attempt!(bench.world.need_writable(&self.node, self.vmid));
        if let Ok(machine) = bench.world.machine_on_mut(&self.node, self.vmid) {
            machine.config.set("lock", "migrate");
        }
        self.progress = 1;
        let durations = &bench.world.durations;
        let seconds = if running { durations.migrate_online } else { durations.migrate };
        let moving = bench.world.lasting(seconds);
        Step::After(moving + self.copy_time(bench.world))
    }

    /// Local disks are sent whole, holes and all, over a link of about 100 MB/s.
    #[allow(clippy::cast_precision_loss, reason = "seconds need no more digits")]
    fn copy_time(&self, world: &World) -> Duration {
        let size = |volid: &String| world.volume(&self.node, volid).map_or(0, |volume| volume.size);
        let bytes: u64 = self.local_volumes(world).iter().map(size).sum();
        world.durations.scaled(bytes as f64 / COPY_RATE, 0.5)
    }

    fn arrive(&mut self, bench: &mut Bench<'_>) -> Step {
        if !bench.world.nodes.get(&self.target).is_some_and(|node| node.online) {
            // The target died meanwhile; nothing has moved yet.
            self.say_aborted(bench, &format!("can't connect to node '{}'", self.target));
            return Step::Failed(self.abandon(bench, "migration aborted"));
        }
        let local = self.local_volumes(bench.world);
        let immovable =
            bench.world.machines.get_mut(&self.vmid).and_then(|m| m.running.as_mut()?.immovable.take());
        if let Some(text) = immovable.filter(|_| self.running) {
            return self.stay(bench, &local, &text);
        }
        if self.running {
            self.say_live(bench, &local);
        } else if !local.is_empty() {
            Self::say(bench, "copying local disk images");
        }
        for volid in local {
            if !self.running {
                for line in bench.world.formatting(&self.node, &volid) {
                    Self::say(bench, &line);
                }
                Self::say(bench, &format!("successfully imported '{volid}'"));
                Self::say(bench, &format!("volume '{volid}' is '{volid}' on the target"));
            }
            bench.world.carry(&self.node, &self.target, &volid);
            if let Some(storage) = self.target_storage.clone().filter(|s| s != split_volid(&volid).0) {
                attempt!(self.rehome(bench.world, &volid, &storage));
            }
        }
        let process = self.running.then(|| (bench.world.now, bench.world.random.pid()));
        let Ok(machine) = bench.world.machine_on_mut(&self.node, self.vmid) else {
            return Step::Failed("migration problems".to_owned());
        };
        machine.node.clone_from(&self.target);
        // It goes on in another process, whose time and counters begin with it.
        if let (Some(running), Some((since, pid))) = (&mut machine.running, process) {
            (running.since, running.pid) = (since, pid);
        }
        self.progress = 2;
        let seconds = bench.world.durations.migrate / 10.0;
        Step::After(bench.world.lasting(seconds))
    }

    /// The live phase failed: the machine goes on running where it is, and its lock goes.
    fn stay(&self, bench: &mut Bench<'_>, disks: &[String], text: &str) -> Step {
        self.say_failed(bench, disks, text);
        if let Some(machine) = bench.world.machines.get_mut(&self.vmid) {
            machine.config.remove("lock");
        }
        Step::Failed("migration problems".to_owned())
    }

    /// Puts a carried volume onto another storage and renames it in the configuration.
    fn rehome(&self, world: &mut World, volid: &str, storage: &str) -> Result<(), String> {
        let node = self.target.clone();
        let copy = if volid.contains("-cloudinit") {
            world.allocate_cloud_init(&node, storage, self.vmid)?
        } else {
            world.clone_full(&node, volid, storage, self.vmid, None)?
        };
        world.free(&node, volid)?;
        let machine = world.machine_on_mut(&self.node, self.vmid)?;
        for (key, value) in &mut machine.config.current {
            if let Some(mut drive) = Drive::parse(key, value).filter(|d| d.volume() == Some(volid)) {
                drive.properties.set("file", copy.as_str());
                *value = drive.print();
            }
        }
        Ok(())
    }
}

impl Work for Migrate {
    fn locks(&self, _world: &World) -> Vec<Flock> {
        vec![Flock::migration(&self.node, self.vmid), Flock::machine(&self.node, self.vmid)]
    }

    fn step(&mut self, bench: &mut Bench<'_>) -> Step {
        match self.progress {
            0 => self.begin(bench),
            1 => self.arrive(bench),
            _ => {
                if let Some(machine) = bench.world.machines.get_mut(&self.vmid) {
                    machine.config.remove("lock");
                }
                let duration = self.duration(bench.world);
                Self::say(bench, &format!("migration finished successfully (duration {duration})"));
                Step::Done(Value::Null)
            }
        }
    }

    /// Before the configuration moved the machine stays; afterwards it is on the target. Either way
    /// the lock goes.
    fn abandon(&mut self, bench: &mut Bench<'_>, _reason: &str) -> String {
        if let Some(machine) = bench.world.machines.get_mut(&self.vmid) {
            machine.config.remove("lock");
        }
        let text = if self.progress < 2 { "migration aborted" } else { "migration problems" };
        text.to_owned()
    }

    fn phases(&self) -> u32 {
        2
    }
}
