//! Changing the configuration: `PUT` and `POST config`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Bench, Break, Step, Work, attempt, place};
use crate::flock::Flock;
use crate::reply::Refusal;
use crate::world::{Drive, World, print_size, transferred};

/// Writes options one after the other, allocating volumes on the way.
#[derive(Debug)]
pub(crate) struct Configure {
    pub(crate) node: String,
    pub(crate) vmid: u32,
    pub(crate) digest: Option<String>,
    pub(crate) skip_lock: bool,
    pub(crate) set: Vec<(String, String)>,
    pub(crate) delete: Vec<String>,
    pub(crate) revert: Vec<String>,
    pub(crate) force: bool,
    /// Drives are made in the order of their names, as a new machine's are.
    pub(crate) sorted: bool,
    /// First line of the task's log.
    pub(crate) summary: String,
    /// Drives that the caller may not change, which is only found out when it is their turn.
    pub(crate) refused: BTreeMap<String, Refusal>,
    /// The options that it changes.
    changed: Vec<String>,
    /// A break that is asked for, and how many options are written before.
    breaks: Option<(Break, usize)>,
    /// The drive at which it is refused by a fault.
    forbidden: Option<String>,
    progress: Progress,
    /// The storage that is locked at the moment.
    locked: Option<Flock>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Begin,
    Write,
    Allocate,
    Release,
}

impl Configure {
    pub(crate) fn new(node: &str, vmid: u32) -> Self {
        Self {
            node: node.to_owned(),
            vmid,
            digest: None,
            skip_lock: false,
            set: Vec::new(),
            delete: Vec::new(),
            revert: Vec::new(),
            force: false,
            sorted: false,
            summary: String::new(),
            refused: BTreeMap::new(),
            changed: Vec::new(),
            breaks: None,
            forbidden: None,
            progress: Progress::Begin,
            locked: None,
        }
    }

    fn begin(&mut self, bench: &mut Bench<'_>) -> Step {
        let world = &mut *bench.world;
        let machine = attempt!(world.machine_on(&self.node, self.vmid));
        attempt!(machine.config.need_digest(self.digest.as_deref()));
        if !self.skip_lock {
            attempt!(machine.config.need_unlocked());
        }
        attempt!(world.need_writable(&self.node, self.vmid));
        self.changed = self.set.iter().map(|(key, _)| key.clone()).collect();
        self.changed.extend(self.delete.iter().cloned());
        // A password is written at once, whatever becomes of the rest.
        if let Some(at) = self.set.iter().position(|(key, _)| key == "cipassword") {
            let (key, value) = self.set.swap_remove(at);
            let machine = attempt!(bench.world.machine_on_mut(&self.node, self.vmid));
            machine.config.set(&key, value);
        }
        let order = std::mem::take(&mut bench.world.write_order);
        if !order.is_empty() {
            // The last one is taken first.
            let place = |key: &String| order.iter().position(|name| name == key).unwrap_or(order.len());
            self.set.sort_by_key(|(key, _)| std::cmp::Reverse(place(key)));
        } else if self.sorted {
            self.set.sort_by(|a, b| b.0.cmp(&a.0));
        } else {
            // Which part of a call that fails half-way is written cannot be foretold.
            bench.world.random.shuffle(&mut self.set);
        }
        self.progress = Progress::Write;
        let seconds = bench.world.durations.config;
        Step::After(bench.world.lasting(seconds))
    }

    /// Writes every option that needs no allocation, up to the first that does.
    fn write(&mut self, bench: &mut Bench<'_>) -> Step {
        if !self.summary.is_empty() {
            bench.log(format!("update VM {}: {}", self.vmid, self.summary));
            self.summary.clear();
        }
        let machine = attempt!(bench.world.machine_on_mut(&self.node, self.vmid));
        for key in self.revert.drain(..) {
            machine.config.pending.remove(&key);
            machine.config.deleted.remove(&key);
        }
        let mut absent = Vec::new();
        for key in std::mem::take(&mut self.delete) {
            if self.is_break() {
                return self.break_now(bench);
            }
            let machine = attempt!(bench.world.machine_on_mut(&self.node, self.vmid));
            if !machine.config.current.contains_key(&key) && !machine.config.pending.contains_key(&key) {
                absent.push(format!("cannot delete '{key}' - not set in current configuration!"));
            }
            machine.config.delete_pending(&key, self.force);
        }
        for line in absent {
            bench.log(line);
        }
        while let Some((key, value)) = self.set.pop() {
            let drive = Drive::parse(&key, &value).filter(|_| crate::world::is_drive(&key));
            let allocates = drive.as_ref().is_some_and(allocates);
            let orphans = allocates && self.breaks == Some((Break::Killed, 0));
            if !orphans && self.is_break() {
                self.set.push((key, value));
                return self.break_now(bench);
            }
            if let Some(refusal) = self.refused.get(&key) {
                bench.broken = self.forbidden.as_ref() == Some(&key);
                return Step::Refused(refusal.clone());
            }
            let Some(drive) = drive else {
                let machine = attempt!(bench.world.machine_on_mut(&self.node, self.vmid));
                machine.config.set_pending(&key, &value);
                continue;
            };
            if allocates {
                let storage = drive.file().split(':').next().unwrap_or_default().to_owned();
                let shared = bench.world.storage(&storage).is_ok_and(|s| s.shared);
                self.set.push((key, value));
                self.progress = Progress::Allocate;
                return Step::Take(Flock::storage(&self.node, &storage, shared));
            }
            attempt!(self.attach(bench.world, &key, drive));
        }
        match bench.world.apply_selected(self.vmid, Some(&self.changed)) {
            Some((key, text)) => {
                Step::Refused(Refusal::parameter(&key, format!("hotplug problem - {text}\n")))
            }
            None => Step::Done(Value::Null),
        }
    }

    /// Puts an existing volume into a slot; its size is looked up.
    fn attach(&self, world: &mut World, slot: &str, mut drive: Drive) -> Result<(), String> {
        if let Some(volid) = drive.volume() {
            let Some(volume) = world.volume(&self.node, volid) else {
                return Err(format!("volume '{volid}' does not exist"));
            };
            let size = print_size(volume.size);
            drive.properties.set("size", size);
        }
        drive.properties.remove("format");
        let machine = world.machine_on_mut(&self.node, self.vmid)?;
        machine.config.set_pending(slot, &drive.print());
        Ok(())
    }

    /// Makes an empty disk, or a copy of the volume to import from.
    fn new_disk(
        &self,
        bench: &mut Bench<'_>,
        storage: &str,
        drive: &mut Drive,
        gib: f64,
    ) -> Result<String, String> {
        let format = drive.properties.remove("format");
        let world = &mut *bench.world;
        if let Some(from) = drive.properties.remove("import-from") {
            if let Some(size) = world.files.get(&from).copied() {
                return world.allocate(&self.node, storage, self.vmid, size, format.as_deref());
            }
            return world
                .clone_full(&self.node, &from, storage, self.vmid, format.as_deref())
                .map_err(|_| format!("cannot import from '{from}' - could not get size of {from}"));
        }
        if gib > 8_589_934_591.0 {
            let limit = i64::MAX;
            return Err(format!(
                "unable to create image: qemu-img: Invalid image size specified. Must be between 0 and {limit}."
            ));
        }
        let size = crate::world::parse_size(&format!("{gib}G")).unwrap_or_default();
        if let Some((line, text)) = world.too_large(&self.node, storage, self.vmid, size, format.as_deref()) {
            bench.log(line);
            return Err(text);
        }
        world.allocate(&self.node, storage, self.vmid, size, format.as_deref())
    }

    fn allocate(&mut self, bench: &mut Bench<'_>) -> Step {
        let Some((slot, text)) = self.set.pop() else {
            return Step::Done(Value::Null);
        };
        let Some(mut drive) = Drive::parse(&slot, &text) else {
            return Step::Failed(format!("unable to parse drive options of {slot}"));
        };
        let storage = drive.file().split(':').next().unwrap_or_default().to_owned();
        let imported = drive.properties.get("import-from").is_some();
        let volid = match drive.allocation() {
            None => {
                drive.properties.set("media", "cdrom");
                attempt!(bench.world.allocate_cloud_init(&self.node, &storage, self.vmid))
            }
            Some((_, gib)) => {
                let from = drive.properties.get("import-from").map(str::to_owned);
                let missing = from.filter(|from| {
                    !bench.world.files.contains_key(from) && bench.world.volume(&self.node, from).is_none()
                });
                if let Some(file) = missing.and_then(|from| bench.world.file_of(&from)) {
                    bench.log(format!("failed to stat '{file}'"));
                }
                attempt!(self.new_disk(bench, &storage, &mut drive, gib))
            }
        };
        if self.breaks == Some((Break::Killed, 0)) {
            // The volume is made, and nothing says so.
            bench.broken = true;
            return Step::Done(Value::Null);
        }
        let size = bench.world.volume(&self.node, &volid).map_or(0, |volume| volume.size);
        if !drive.is_cloud_init() {
            drive.properties.set("size", print_size(size));
        }
        drive.properties.set("file", volid);
        let printed = drive.print();
        let made = drive.file().to_owned();
        for line in bench.world.formatting(&self.node, &made) {
            bench.log(line);
        }
        if imported {
            for line in transferred(size) {
                bench.log(line);
            }
        }
        bench.log(format!("{slot}: successfully created disk '{printed}'"));
        let machine = attempt!(bench.world.machine_on_mut(&self.node, self.vmid));
        machine.config.set_pending(&slot, &printed);
        let shared = bench.world.storage(&storage).is_ok_and(|s| s.shared);
        self.locked = Some(Flock::storage(&self.node, &storage, shared));
        self.progress = Progress::Release;
        let seconds = bench.world.durations.storage_lock;
        Step::After(bench.world.lasting(seconds))
    }

    fn release(&mut self, bench: &mut Bench<'_>) -> Step {
        if let Some(lock) = self.locked.take() {
            bench.release(&lock);
        }
        self.progress = Progress::Write;
        let durations = &bench.world.durations;
        let seconds = durations.allocate - durations.storage_lock;
        Step::After(bench.world.lasting(seconds))
    }
}

impl Configure {
    /// Counts an option, and says whether the break comes before it.
    fn is_break(&mut self) -> bool {
        match &mut self.breaks {
            None => false,
            Some((_, 0)) => true,
            Some((_, left)) => {
                *left -= 1;
                false
            }
        }
    }

    /// Breaks off with what is written so far. It fails as a server does when the storage is busy or
    /// the majority is lost in the middle of the work.
    fn break_now(&self, bench: &mut Bench<'_>) -> Step {
        bench.broken = true;
        let storage = self.set.iter().find_map(|(key, value)| {
            let drive = Drive::parse(key, value).filter(allocates)?;
            drive.file().split(':').next().map(str::to_owned)
        });
        Step::Failed(match storage {
            Some(storage) => bench.world.storage_busy(&self.node, &storage),
            None => World::not_writable(&self.node, self.vmid),
        })
    }
}

/// Whether a drive asks for a new volume.
fn allocates(drive: &Drive) -> bool {
    drive.allocation().is_some() || drive.file().ends_with(":cloudinit")
}

impl Work for Configure {
    fn locks(&self, _world: &World) -> Vec<Flock> {
        vec![Flock::machine(&self.node, self.vmid)]
    }

    fn step(&mut self, bench: &mut Bench<'_>) -> Step {
        match self.progress {
            Progress::Begin => self.begin(bench),
            Progress::Write => self.write(bench),
            Progress::Allocate => self.allocate(bench),
            Progress::Release => self.release(bench),
        }
    }

    fn phases(&self) -> u32 {
        3
    }

    fn break_off(&mut self, how: Break, roll: f64) -> bool {
        let options = self.set.len() + self.delete.len();
        match how {
            // Something is written, and something is not.
            Break::Killed | Break::Failed if options > 0 => {
                let before = if options > 1 { 1 + place(roll, options - 1) } else { 0 };
                self.breaks = Some((how, before));
                true
            }
            Break::Forbidden => {
                let drives: Vec<&String> =
                    self.set.iter().map(|(key, _)| key).filter(|key| crate::world::is_drive(key)).collect();
                let Some(drive) = drives.get(place(roll, drives.len())).map(|drive| (*drive).clone()) else {
                    return false;
                };
                let text = format!("Permission check failed (/vms/{}, VM.Config.Disk)", self.vmid);
                self.refused.insert(drive.clone(), Refusal::Forbidden(text));
                self.forbidden = Some(drive);
                true
            }
            Break::Killed | Break::Failed => false,
        }
    }
}
