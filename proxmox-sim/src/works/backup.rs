//! `vzdump` of one machine.

use serde_json::Value;

use super::{Bench, Step, Work, attempt};
use crate::flock::Flock;
use crate::world::World;

/// Backs a machine up. While it does, the machine has `lock: backup`.
#[derive(Debug)]
pub(crate) struct Backup {
    node: String,
    vmid: u32,
    storage: String,
    protected: bool,
    begun: bool,
}

impl Backup {
    pub(crate) fn new(node: &str, vmid: u32, storage: &str, protected: bool) -> Self {
        Self { node: node.to_owned(), vmid, storage: storage.to_owned(), protected, begun: false }
    }

    fn begin(&mut self, bench: &mut Bench<'_>) -> Step {
        let machine = attempt!(bench.world.machine_on_mut(&self.node, self.vmid));
        attempt!(machine.config.need_unlocked());
        machine.config.set("lock", "backup");
        bench.log(format!("INFO: Starting Backup of VM {} (qemu)", self.vmid));
        self.begun = true;
        let seconds = bench.world.durations.clone_full;
        // Only setting the lock needs the lock of the file.
        bench.release(&Flock::machine(&self.node, self.vmid));
        Step::After(bench.world.lasting(seconds))
    }
}

impl Work for Backup {
    fn locks(&self, _world: &World) -> Vec<Flock> {
        vec![Flock::machine(&self.node, self.vmid)]
    }

    fn step(&mut self, bench: &mut Bench<'_>) -> Step {
        if !self.begun {
            return self.begin(bench);
        }
        let machine = attempt!(bench.world.machine_on_mut(&self.node, self.vmid));
        machine.config.remove("lock");
        let size = machine.disk_bytes() / 4;
        let made = bench.world.add_backup(self.vmid, &self.storage, &self.node, size, self.protected);
        let Some(volid) = made else {
            return Step::Failed(format!("storage '{}' does not exist", self.storage));
        };
        bench.log(format!("INFO: creating vzdump archive '{volid}'"));
        bench.log(format!("INFO: Finished Backup of VM {} (00:00:01)", self.vmid));
        bench.log("INFO: Backup job finished successfully");
        Step::Done(Value::Null)
    }

    fn abandon(&mut self, bench: &mut Bench<'_>, reason: &str) -> String {
        if let Some(machine) = bench.world.machines.get_mut(&self.vmid).filter(|_| self.begun) {
            machine.config.remove("lock");
        }
        reason.to_owned()
    }
}
