//! `qmrestore`: a machine from a backup, in place of another one or under a free number.

use std::time::Duration;

use serde_json::Value;

use super::{Bench, Break, Power, PowerAction, Step, Work, attempt, place};
use crate::flock::Flock;
use crate::reply::Refusal;
use crate::world::{
    Archive, ArchivedDisk, Drive, Machine, MachineConfig, World, is_drive, net_of, split_volid,
};

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Within the call.
    Reserve,
    Check,
    /// The old disks are gone, and next to nothing is left of the configuration.
    Empty,
    /// The new disks are there, and are filled.
    Fill,
    Write,
}

/// Restores a backup.
#[derive(Debug)]
pub(crate) struct Restore {
    node: String,
    vmid: u32,
    archive: Archive,
    pub(crate) force: bool,
    pub(crate) unique: bool,
    pub(crate) storage: Option<String>,
    pub(crate) pool: Option<String>,
    /// Starts it at the end.
    pub(crate) start: bool,
    stage: Stage,
    /// New volumes, by slot.
    made: Vec<(String, String)>,
    /// Is killed when this share of the new disks is made.
    killed_at: Option<f64>,
}

impl Restore {
    pub(crate) fn new(node: &str, vmid: u32, archive: Archive) -> Self {
        Self {
            node: node.to_owned(),
            vmid,
            archive,
            force: false,
            unique: false,
            storage: None,
            pool: None,
            start: false,
            stage: Stage::Reserve,
            made: Vec::new(),
            killed_at: None,
        }
    }

    /// What refusals of the call and of the task begin with.
    fn prefix(&self) -> String {
        format!("unable to restore VM {} -", self.vmid)
    }

    /// Takes the number, or the lock of the machine that has it.
    fn reserve(&self, world: &mut World) -> Result<(), String> {
        let (vmid, prefix) = (self.vmid, self.prefix());
        match world.machines.get_mut(&vmid) {
            Some(machine) if machine.node != self.node || !self.force => {
                let node = &machine.node;
                return Err(format!("{prefix} VM {vmid} already exists on node '{node}'"));
            }
            Some(machine) => {
                machine.config.need_unlocked().map_err(|text| format!("{prefix} {text}"))?;
                machine.config.set("lock", "create");
            }
            None => {
                let mut machine = Machine::new(vmid, &self.node);
                machine.config.set("lock", "create");
                world.machines.insert(vmid, machine);
            }
        }
        Ok(())
    }

    fn check(&self, world: &World) -> Result<(), String> {
        let machine = world.machine_on(&self.node, self.vmid)?;
        if machine.config.flag("protection") {
            return Err(format!("{} - protection mode enabled", self.prefix()));
        }
        if machine.running.is_some() {
            return Err(format!("{} vm is running", self.prefix()));
        }
        for disk in &self.archive.disks {
            world.image_storage(self.storage_of(&disk.storage))?;
        }
        Ok(())
    }

    fn storage_of<'a>(&'a self, origin: &'a str) -> &'a str {
        self.storage.as_deref().unwrap_or(origin)
    }

    /// Frees what will be made anew. Of a configuration that there was nothing is left, not even the lock.
    fn empty(&self, bench: &mut Bench<'_>) {
        if let Some(firewall) = self.archive.firewall.clone() {
            bench.world.firewalls.insert(self.vmid, firewall);
        }
        let Some(machine) = bench.world.machines.get_mut(&self.vmid) else { return };
        if machine.config.current.len() <= 1 {
            return;
        }
        // CD images are nobody's own, but for that of cloud-init.
        let old: Vec<(String, String)> = machine
            .drives()
            .filter(|(_, drive)| !drive.is_cdrom() || drive.is_cloud_init())
            .filter_map(|(slot, drive)| Some((slot.to_owned(), drive.volume()?.to_owned())))
            .collect();
        machine.config = MachineConfig::default();
        machine.config.set("memory", "128");
        machine.snapshots.clear();
        machine.parent = None;
        for (slot, volid) in old {
            let made_anew = self.archive.makes(&slot);
            if made_anew && let Err(text) = bench.world.free(&self.node, &volid) {
                bench.log(format!("WARN: {text}"));
            }
        }
    }

    /// Makes the disks, and a cloud-init volume, which is written at the next start.
    fn allocate(&mut self, bench: &mut Bench<'_>) -> Result<(), String> {
        let disks = self.archive.disks.clone();
        let count = self.killed_at.map_or(disks.len(), |share| place(share, disks.len()));
        bench.broken = self.killed_at.is_some();
        for ArchivedDisk { slot, storage, format, size, system, agent } in disks.into_iter().take(count) {
            let storage = self.storage_of(&storage).to_owned();
            let volid = bench.world.allocate(&self.node, &storage, self.vmid, size, Some(&format))?;
            bench
                .world
                .change_volume(&self.node, &volid, |volume| (volume.system, volume.agent) = (system, agent));
            bench.log(format!("new volume ID is '{volid}'"));
            self.made.push((slot, volid));
        }
        if self.killed_at.is_some() {
            return Ok(());
        }
        let drives = crate::world::drives_of(&self.archive.options);
        let media: Vec<(String, String)> = drives
            .filter(|(_, drive)| drive.is_cloud_init())
            .filter_map(|(slot, drive)| Some((slot.to_owned(), split_volid(drive.volume()?).0.to_owned())))
            .collect();
        for (slot, storage) in media {
            let storage = self.storage_of(&storage).to_owned();
            let volid = bench.world.allocate_cloud_init(&self.node, &storage, self.vmid)?;
            bench.log(format!("new volume ID is '{volid}'"));
            self.made.push((slot, volid));
        }
        Ok(())
    }

    /// The configuration as the backup has it, with the new disks.
    fn config(&self, world: &mut World) -> MachineConfig {
        let mut config = MachineConfig { current: self.archive.options.clone(), ..MachineConfig::default() };
        config.current.retain(|slot, text| {
            let drive = Drive::parse(slot, text).filter(|_| is_drive(slot));
            drive.is_none_or(|drive| drive.is_cdrom() || self.archive.makes(slot))
        });
        for (slot, volid) in &self.made {
            let drive = config.get(slot).and_then(|text| Drive::parse(slot, text));
            if let Some(mut drive) = drive {
                drive.properties.set("file", volid.as_str());
                config.set(slot, drive.print());
            }
        }
        if config.get("vmgenid").is_some() {
            config.set("vmgenid", world.random.uuid());
        }
        if self.unique {
            config.set("smbios1", format!("uuid={}", world.random.uuid()));
            for n in 0..32 {
                if let Some(mut net) = net_of(&config.current, n) {
                    net.set("macaddr", world.random.mac());
                    config.set(&format!("net{n}"), net.print("model"));
                }
            }
        }
        config
    }

    /// Every volume of the number that nothing names becomes an unused one of the machine.
    fn rescan(&self, bench: &mut Bench<'_>) {
        bench.log("rescan volumes...");
        let Some(machine) = bench.world.machines.get(&self.vmid) else { return };
        let named = machine.volumes();
        let mut found = Vec::new();
        for storage in bench.world.storages.values() {
            let place = storage.place(&self.node);
            let here = storage.volumes.of(self.vmid);
            let images = here.filter(|((at, _), volume)| *at == place && volume.content == "images");
            found.extend(images.map(|((_, name), _)| format!("{}:{name}", storage.name)));
        }
        found.retain(|volid| !named.contains(volid));
        for volid in found {
            let Some(machine) = bench.world.machines.get_mut(&self.vmid) else { return };
            let entry = machine.config.free_unused();
            machine.config.set(&entry, volid.as_str());
            bench.log(format!("VM {} add unreferenced volume '{volid}' as '{entry}' to config", self.vmid));
        }
    }

    fn write(&self, bench: &mut Bench<'_>) -> Step {
        let config = self.config(bench.world);
        let machine = attempt!(bench.world.machine_on_mut(&self.node, self.vmid));
        machine.config = config;
        machine.medium.clear();
        self.rescan(bench);
        if let Some(members) = self.pool.as_ref().and_then(|pool| bench.world.pools.get_mut(pool)) {
            members.push(self.vmid);
        }
        if self.start {
            bench.log("Execute autostart");
            let start = Power::new(&self.node, self.vmid, PowerAction::Start);
            bench.next = Some(("qmstart", self.vmid.to_string(), Box::new(start)));
        }
        Step::Done(Value::Null)
    }
}

impl Work for Restore {
    fn locks(&self, _world: &World) -> Vec<Flock> {
        let failure = Flock::machine(&self.node, self.vmid).failure;
        let failure = format!("{} {failure}", self.prefix());
        vec![Flock { failure, ..Flock::machine(&self.node, self.vmid).within(Duration::from_secs(5)) }]
    }

    fn step(&mut self, bench: &mut Bench<'_>) -> Step {
        match self.stage {
            Stage::Reserve => {
                if let Err(text) = self.reserve(bench.world) {
                    return Step::Refused(Refusal::Die(text));
                }
                self.stage = Stage::Check;
                // As the task begins: what is refused from here on is its failure.
                Step::After(Duration::from_millis(1))
            }
            Stage::Check => {
                if let Err(text) = self.check(bench.world) {
                    return Step::Failed(self.abandon(bench, &text));
                }
                self.stage = Stage::Empty;
                let seconds = bench.world.durations.other;
                Step::After(bench.world.lasting(seconds))
            }
            Stage::Empty => {
                self.empty(bench);
                self.stage = Stage::Fill;
                let seconds = bench.world.durations.destroy;
                Step::After(bench.world.lasting(seconds))
            }
            Stage::Fill => {
                if let Err(text) = self.allocate(bench) {
                    return Step::Failed(self.abandon(bench, &text));
                }
                if self.killed_at.is_some() {
                    return Step::Done(Value::Null);
                }
                self.stage = Stage::Write;
                let seconds = bench.world.durations.clone_full;
                Step::After(bench.world.lasting(seconds))
            }
            Stage::Write => self.write(bench),
        }
    }

    /// The new disks go; what is left of the configuration stays, without its lock.
    fn abandon(&mut self, bench: &mut Bench<'_>, reason: &str) -> String {
        for (_, volid) in self.made.drain(..) {
            let _ = bench.world.free(&self.node, &volid);
            bench.log(format!("temporary volume '{volid}' successfully removed"));
        }
        if self.stage != Stage::Reserve
            && let Some(machine) = bench.world.machines.get_mut(&self.vmid)
        {
            machine.config.remove("lock");
            bench.log(format!(
                "error before or during data restore, some or all disks were not completely restored. VM {} state is NOT \
                 cleaned up.",
                self.vmid
            ));
        }
        reason.to_owned()
    }

    fn phases(&self) -> u32 {
        4
    }

    fn break_off(&mut self, how: Break, roll: f64) -> bool {
        match how {
            Break::Killed => self.killed_at = Some(roll),
            Break::Failed | Break::Forbidden => return false,
        }
        true
    }
}
