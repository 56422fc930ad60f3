//! `qmmove`: a disk to another storage.

use serde_json::Value;

use super::{Bench, Step, Work, attempt};
use crate::flock::Flock;
use crate::world::{Drive, World, split_volid, transferred};

/// Copies a disk and points its slot at the copy.
#[derive(Debug)]
pub(crate) struct MoveDisk {
    pub(crate) node: String,
    pub(crate) vmid: u32,
    pub(crate) slot: String,
    pub(crate) storage: String,
    pub(crate) format: Option<String>,
    pub(crate) delete: bool,
    pub(crate) digest: Option<String>,
    pub(crate) begun: bool,
}

impl MoveDisk {
    fn log_copy(&self, bench: &mut Bench<'_>, old: &str, copy: &str) {
        let nine = bench.world.version == crate::Version::V9_2;
        if nine {
            let (from, to) = (split_volid(old).0, &self.storage);
            bench.log(format!(
                "copying volume '{old}' from current storage '{from}' to target storage '{to}'"
            ));
        }
        bench.log(format!("create full clone of drive {} ({old})", self.slot));
        for line in bench.world.formatting(&self.node, copy) {
            bench.log(line);
        }
        if nine {
            bench.log(format!("allocated target volume '{copy}'"));
        }
        let size = bench.world.volume(&self.node, copy).map_or(0, |volume| volume.size);
        for line in transferred(size) {
            bench.log(line);
        }
    }
}

impl Work for MoveDisk {
    fn locks(&self, _world: &World) -> Vec<Flock> {
        vec![Flock::machine(&self.node, self.vmid)]
    }

    fn step(&mut self, bench: &mut Bench<'_>) -> Step {
        let machine = attempt!(bench.world.machine_on(&self.node, self.vmid));
        if !self.begun {
            attempt!(machine.config.need_digest(self.digest.as_deref()));
            attempt!(machine.config.need_unlocked());
            self.begun = true;
            let seconds = bench.world.durations.clone_full;
            return Step::After(bench.world.lasting(seconds));
        }
        let drive = machine.config.get(&self.slot).and_then(|text| Drive::parse(&self.slot, text));
        let Some(mut drive) = drive else {
            return Step::Failed(format!("disk '{}' does not exist", self.slot));
        };
        let old = drive.volume().unwrap_or_default().to_owned();
        let copy = bench.world.clone_full(&self.node, &old, &self.storage, self.vmid, self.format.as_deref());
        let copy = attempt!(copy.map_err(|text| format!("storage migration failed: {text}")));
        self.log_copy(bench, &old, &copy);
        drive.properties.set("file", copy);
        let machine = attempt!(bench.world.machine_on_mut(&self.node, self.vmid));
        machine.config.set(&self.slot, drive.print());
        if self.delete {
            attempt!(bench.world.free(&self.node, &old));
        } else {
            let slot = machine.config.free_unused();
            machine.config.set(&slot, old.as_str());
            if bench.world.version == crate::Version::V9_2 {
                bench.log(format!("adding source volume '{old}' as '{slot}' to config"));
            }
        }
        Step::Done(Value::Null)
    }
}
