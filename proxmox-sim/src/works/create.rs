//! `qmcreate`: a machine from nothing.

use super::{Bench, Configure, Step, Work, attempt};
use crate::flock::Flock;
use crate::world::World;

/// Fills a machine whose number was taken before the task began.
#[derive(Debug)]
pub(crate) struct CreateMachine {
    pub(crate) configure: Configure,
    pub(crate) pool: Option<String>,
    pub(crate) base: Vec<(String, String)>,
    begun: bool,
}

impl CreateMachine {
    pub(crate) fn new(configure: Configure, base: Vec<(String, String)>) -> Self {
        Self { configure, pool: None, base, begun: false }
    }
}

impl Work for CreateMachine {
    fn locks(&self, world: &World) -> Vec<Flock> {
        self.configure.locks(world)
    }

    fn step(&mut self, bench: &mut Bench<'_>) -> Step {
        let vmid = self.configure.vmid;
        if !self.begun {
            self.begun = true;
            let machine = attempt!(bench.world.machine_on_mut(&self.configure.node, vmid));
            for (key, value) in &self.base {
                machine.config.set(key, value.as_str());
            }
            self.configure.skip_lock = true;
        }
        match self.configure.step(bench) {
            Step::Done(value) => {
                if let Some(machine) = bench.world.machines.get_mut(&vmid) {
                    machine.config.remove("lock");
                }
                if let Some(members) = self.pool.as_ref().and_then(|p| bench.world.pools.get_mut(p)) {
                    members.push(vmid);
                }
                Step::Done(value)
            }
            Step::Failed(text) => Step::Failed(self.abandon(bench, &text)),
            other => other,
        }
    }

    fn abandon(&mut self, bench: &mut Bench<'_>, reason: &str) -> String {
        let vmid = self.configure.vmid;
        if let Some(machine) = bench.world.machines.remove(&vmid) {
            for volid in machine.volumes() {
                let _ = bench.world.free(&machine.node, &volid);
            }
        }
        format!("unable to create VM {vmid} - {reason}")
    }
}
