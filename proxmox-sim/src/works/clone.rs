//! `qmclone`.

use std::time::Duration;

use serde_json::Value;

use super::{Bench, Step, Work, attempt};
use crate::flock::Flock;
use crate::world::{Drive, Machine, PLACEHOLDER, World, split_volid, transferred};

/// Makes a machine from another one.
#[derive(Debug)]
pub(crate) struct CloneMachine {
    pub(crate) node: String,
    pub(crate) source: u32,
    pub(crate) newid: u32,
    pub(crate) full: bool,
    pub(crate) name: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) storage: Option<String>,
    pub(crate) format: Option<String>,
    pub(crate) target: Option<String>,
    pub(crate) pool: Option<String>,
    /// KiB a second.
    pub(crate) limit: Option<u64>,
    /// Bytes that are being copied.
    pub(super) copying: Option<u64>,
    progress: Progress,
    /// What the new machine will be.
    pub(super) plan: Machine,
    /// Drives still to be made, last first.
    drives: Vec<(String, Drive)>,
    pub(super) made: Vec<String>,
    /// Time for each drive.
    share: Duration,
    /// The same for what is done quickly also in a full clone: the cloud-init drive, the first file.
    quick: Duration,
    /// The drive that is being made is such a one.
    small: bool,
    /// The storage that is locked at the moment.
    locked: Option<Flock>,
    /// The new id is ours.
    reserved: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Check,
    Reserve,
    Lock,
    Make,
    Release,
    Finish,
}

impl CloneMachine {
    pub(crate) fn new(node: &str, source: u32, newid: u32, full: bool) -> Self {
        Self {
            node: node.to_owned(),
            source,
            newid,
            full,
            name: None,
            description: None,
            storage: None,
            format: None,
            target: None,
            pool: None,
            limit: None,
            copying: None,
            progress: Progress::Check,
            plan: Machine::new(newid, node),
            drives: Vec::new(),
            made: Vec::new(),
            share: Duration::ZERO,
            quick: Duration::ZERO,
            small: false,
            locked: None,
            reserved: false,
        }
    }

    /// Copies the options of the source, with fresh identities.
    fn make_plan(&mut self, world: &mut World) -> Result<(), String> {
        let source = world.find_machine(&self.node, self.source)?.clone();
        let config = &mut self.plan.config;
        for (key, value) in &source.config.current {
            let skipped = key.starts_with("unused") || matches!(key.as_str(), "template" | "lock" | "parent");
            if skipped || Drive::parse(key, value).is_some_and(|drive| drive.volume().is_some()) {
                continue;
            }
            config.set(key, value.as_str());
        }
        for n in 0..32 {
            if let Some(mut net) = crate::world::net_of(&source.config.current, n) {
                net.set("macaddr", world.random.mac());
                config.set(&format!("net{n}"), net.print("model"));
            }
        }
        config.set("smbios1", format!("uuid={}", world.random.uuid()));
        if source.config.get("vmgenid").is_some() {
            config.set("vmgenid", world.random.uuid());
        }
        let copy_name = || format!("Copy-of-VM-{}", source.name());
        config.set("name", self.name.clone().unwrap_or_else(copy_name));
        if let Some(description) = self.description.as_ref().filter(|text| !text.is_empty()) {
            config.set("description", description.trim_end_matches('\n'));
        }
        self.drives = source
            .drives()
            .filter(|(_, drive)| drive.volume().is_some())
            .map(|(slot, drive)| (slot.to_owned(), drive))
            .collect();
        self.drives.reverse();
        let count = |n: usize| u32::try_from(n).unwrap_or(1);
        let parts = count(self.drives.len()) + 1;
        let large = count(self.drives.iter().filter(|(_, drive)| !drive.is_cloud_init()).count());
        let seconds = if self.full { world.durations.clone_full } else { world.durations.clone_linked };
        let whole = world.lasting(seconds);
        let linked = world.durations.scaled(world.durations.clone_linked, 0.5);
        self.quick = if self.full { whole.min(linked) } else { whole } / parts;
        // The disks share what the quick parts leave.
        self.share = whole.saturating_sub(self.quick * (parts - large)) / large.max(1);
        Ok(())
    }

    /// Writes the configuration that marks the number as taken.
    fn reserve(&mut self, world: &mut World) -> Result<(), String> {
        if world.machines.contains_key(&self.newid) {
            let file = format!("/etc/pve/nodes/{}/qemu-server/{}.conf", self.node, self.newid);
            return Err(format!("close (rename) atomic file '{file}' failed: File exists"));
        }
        let mut machine = Machine::new(self.newid, &self.node);
        machine.config.set("lock", "clone");
        machine.config.set("description", PLACEHOLDER);
        world.machines.insert(self.newid, machine);
        self.reserved = true;
        match world.firewalls.get(&self.source).cloned() {
            Some(firewall) => world.firewalls.insert(self.newid, firewall),
            None => world.firewalls.remove(&self.newid),
        };
        Ok(())
    }

    pub(super) fn storage_of(&self, volid: &str) -> String {
        self.storage.clone().unwrap_or_else(|| split_volid(volid).0.to_owned())
    }

    /// Writes the plan as far as it is made.
    fn write(&self, world: &mut World, locked: bool) {
        if let Some(machine) = world.machines.get_mut(&self.newid) {
            machine.config = self.plan.config.clone();
            if locked {
                machine.config.set("lock", "clone");
            }
        }
    }

    fn next_lock(&self, world: &World) -> Option<Flock> {
        let (_, drive) = self.drives.last()?;
        let storage = self.storage_of(drive.volume()?);
        let shared = world.storage(&storage).is_ok_and(|s| s.shared);
        Some(Flock::storage(&self.node, &storage, shared))
    }

    fn finish(&self, bench: &mut Bench<'_>) -> Step {
        self.write(bench.world, false);
        if let (Some(target), Some(machine)) = (&self.target, bench.world.machines.get_mut(&self.newid)) {
            machine.node.clone_from(target);
        }
        if let Some(pool) = &self.pool
            && let Some(members) = bench.world.pools.get_mut(pool)
        {
            members.push(self.newid);
        }
        Step::Done(Value::Null)
    }
}

impl Work for CloneMachine {
    fn locks(&self, world: &World) -> Vec<Flock> {
        let second = Duration::from_secs(1);
        let running = world.machines.get(&self.source).is_some_and(|m| m.running.is_some());
        let source = Flock::machine(&self.node, self.source).within(second);
        let source = if running { source } else { source.shared() };
        vec![source, Flock::machine(&self.node, self.newid).within(second)]
    }

    fn step(&mut self, bench: &mut Bench<'_>) -> Step {
        match self.progress {
            Progress::Check => {
                attempt!(self.check(bench.world));
                if bench.world.version == crate::Version::V9_2 {
                    bench.log(format!("creating a clone of VM {} with ID {}", self.source, self.newid));
                }
                attempt!(self.make_plan(bench.world));
                self.progress = Progress::Reserve;
                Step::After(self.quick / 4)
            }
            Progress::Reserve => {
                attempt!(self.reserve(bench.world));
                self.progress = if self.drives.is_empty() { Progress::Finish } else { Progress::Lock };
                Step::After(self.quick / 4)
            }
            Progress::Lock => {
                self.progress = Progress::Make;
                self.next_lock(bench.world).map_or(Step::After(Duration::ZERO), Step::Take)
            }
            Progress::Make => {
                let lock = self.next_lock(bench.world);
                self.small = self.drives.last().is_some_and(|(_, drive)| drive.is_cloud_init());
                if let Some((slot, drive)) = self.drives.pop()
                    && let Err(text) = self.make_volume(bench, &slot, &drive)
                {
                    return Step::Failed(self.abandon(bench, &text));
                }
                self.locked = lock;
                self.progress = Progress::Release;
                let seconds = bench.world.durations.storage_lock;
                Step::After(bench.world.lasting(seconds).min(self.share))
            }
            Progress::Release => {
                if let Some(lock) = self.locked.take() {
                    bench.release(&lock);
                }
                // Shown to others once its data are there, which the next step is for.
                self.progress = Progress::Finish;
                let seconds = bench.world.durations.storage_lock;
                let share = if self.small { self.quick } else { self.share };
                let rest = share.saturating_sub(bench.world.lasting(seconds));
                Step::After(rest.max(self.copy_time(bench.world)))
            }
            Progress::Finish => {
                if let Some(size) = self.copying.take() {
                    bench.log(transferred(size)[1].clone());
                }
                if self.drives.is_empty() {
                    return self.finish(bench);
                }
                self.write(bench.world, true);
                self.progress = Progress::Lock;
                Step::After(Duration::ZERO)
            }
        }
    }

    fn abandon(&mut self, bench: &mut Bench<'_>, reason: &str) -> String {
        for volid in self.made.drain(..) {
            // What cannot be freed stays behind, as on a real server.
            let _ = bench.world.free(&self.node, &volid);
        }
        if self.reserved {
            bench.world.firewalls.remove(&self.newid);
            bench.world.machines.remove(&self.newid);
        }
        format!("clone failed: {reason}")
    }

    fn heedless(&self) -> bool {
        // The copying tool is waited for longer than a task is given to stop.
        self.copying.is_some()
    }

    fn phases(&self) -> u32 {
        6
    }

    fn makes(&self) -> Option<u32> {
        Some(self.newid)
    }
}
