//! `resize`.

use serde_json::Value;

use super::{Bench, Break, Step, Work, attempt};
use crate::flock::Flock;
use crate::world::{Drive, World, parse_size, print_size};

/// Grows a disk. Every check is made within the task.
#[derive(Debug)]
pub(crate) struct Resize {
    pub(crate) node: String,
    pub(crate) vmid: u32,
    pub(crate) slot: String,
    /// The wanted size, with `+` in front when it is to be added.
    pub(crate) size: String,
    pub(crate) digest: Option<String>,
    /// Volume and new size, once known.
    grow: Option<(String, Drive, u64)>,
    /// Is killed once the volume has grown and before the configuration says so.
    killed: bool,
}

impl Resize {
    pub(crate) fn new(node: &str, vmid: u32, slot: &str, size: &str, digest: Option<&str>) -> Self {
        Self {
            node: node.to_owned(),
            vmid,
            slot: slot.to_owned(),
            size: size.to_owned(),
            digest: digest.map(str::to_owned),
            grow: None,
            killed: false,
        }
    }

    /// What has to grow; nothing when the size is already right.
    fn plan(&self, world: &World) -> Result<Option<(String, Drive, u64)>, String> {
        let machine = world.machine_on(&self.node, self.vmid)?;
        machine.config.need_digest(self.digest.as_deref())?;
        machine.config.need_unlocked()?;
        let slot = &self.slot;
        let drive = machine.config.get(slot).and_then(|text| Drive::parse(slot, text));
        let drive = drive.ok_or_else(|| format!("disk '{slot}' does not exist"))?;
        if drive.is_cdrom() {
            return Err("you can't resize a cdrom".to_owned());
        }
        let volid =
            drive.volume().ok_or_else(|| format!("disk '{slot}' has no associated volume"))?.to_owned();
        let old =
            world.volume(&self.node, &volid).ok_or_else(|| format!("volume '{volid}' does not exist"))?.size;
        let wanted = match self.size.strip_prefix('+') {
            Some(more) => old + parse_size(more).unwrap_or_default(),
            None => parse_size(&self.size).unwrap_or_default(),
        };
        if wanted < old {
            return Err("shrinking disks is not supported".to_owned());
        }
        Ok((wanted > old).then_some((volid, drive, wanted)))
    }
}

impl Work for Resize {
    fn locks(&self, _world: &World) -> Vec<Flock> {
        vec![Flock::machine(&self.node, self.vmid)]
    }

    fn step(&mut self, bench: &mut Bench<'_>) -> Step {
        let Some((volid, mut drive, size)) = self.grow.take() else {
            self.grow = attempt!(self.plan(bench.world));
            if self.grow.is_none() {
                return Step::Done(Value::Null);
            }
            let seconds = bench.world.durations.resize;
            return Step::After(bench.world.lasting(seconds));
        };
        if attempt!(bench.world.machine_on(&self.node, self.vmid)).is_template() {
            // Base images are immutable.
            let file = bench.world.file_of(&volid).unwrap_or_else(|| volid.clone());
            let format =
                bench.world.volume(&self.node, &volid).map_or("raw", |v| v.format.as_str()).to_owned();
            bench.log(format!(
                "qemu-img: Could not open '{file}': Could not open '{file}': Operation not permitted"
            ));
            let nine = bench.world.version == crate::Version::V9_2;
            let option = if nine && format == "qcow2" { "'--preallocation=metadata' " } else { "" };
            let command = format!("/usr/bin/qemu-img resize {option}-f {format} {file} {size}");
            return Step::Failed(format!("command '{command}' failed: exit code 1"));
        }
        let storage = attempt!(bench.world.storage(crate::world::split_volid(&volid).0));
        if storage.full {
            return Step::Failed("unable to resize image: No space left on device".to_owned());
        }
        bench.world.change_volume(&self.node, &volid, |volume| volume.size = size);
        if self.killed {
            bench.broken = true;
            return Step::Done(Value::Null);
        }
        drive.properties.set("size", print_size(size));
        attempt!(bench.world.need_writable(&self.node, self.vmid));
        let machine = attempt!(bench.world.machine_on_mut(&self.node, self.vmid));
        machine.config.set(&self.slot, drive.print());
        // A running machine's disk is grown by its own process, which says nothing.
        if machine.running.is_none() {
            bench.log("Image resized.");
        }
        Step::Done(Value::Null)
    }

    fn break_off(&mut self, how: Break, _roll: f64) -> bool {
        self.killed = how == Break::Killed;
        self.killed
    }
}
