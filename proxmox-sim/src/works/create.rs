//! `qmcreate`: a machine from nothing.

use std::time::Duration;

use super::{Bench, Configure, Power, PowerAction, Step, Work, attempt};
use crate::flock::Flock;
use crate::world::World;

/// Fills a machine whose number was taken before the task began.
#[derive(Debug)]
pub(crate) struct CreateMachine {
    pub(crate) configure: Configure,
    pub(crate) pool: Option<String>,
    /// Starts it at the end.
    pub(crate) start: bool,
    /// No order of booting was given.
    pub(crate) boot: bool,
    pub(crate) base: Vec<(String, String)>,
    begun: bool,
}

impl CreateMachine {
    pub(crate) fn new(configure: Configure, base: Vec<(String, String)>) -> Self {
        Self { configure, pool: None, start: false, boot: false, base, begun: false }
    }
}

impl CreateMachine {
    /// Boots from the first disk, where nothing else was asked for.
    fn set_boot_order(&self, world: &mut World) {
        let Some(machine) = world.machines.get_mut(&self.configure.vmid) else {
            return;
        };
        let disks = machine.drives().filter(|(_, drive)| !drive.is_cdrom());
        let nets = machine.config.current.keys().filter(|key| key.starts_with("net"));
        let cdroms = machine.drives().filter(|(_, drive)| drive.is_cdrom() && !drive.is_cloud_init());
        let mut order: Vec<String> = disks.take(1).map(|(slot, _)| slot.to_owned()).collect();
        order.extend(cdroms.take(1).map(|(slot, _)| slot.to_owned()));
        order.extend(nets.take(1).cloned());
        if !order.is_empty() {
            machine.config.set("boot", format!("order={}", order.join(";")));
        }
    }
}

impl Work for CreateMachine {
    fn locks(&self, world: &World) -> Vec<Flock> {
        // It waits for the lock of a number that others may want as well for a second only.
        let second = Duration::from_secs(1);
        self.configure.locks(world).into_iter().map(|flock| flock.within(second)).collect()
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
                if self.boot {
                    self.set_boot_order(bench.world);
                }
                if self.start {
                    bench.log("Execute autostart");
                    let start = Power::new(&self.configure.node, vmid, PowerAction::Start);
                    bench.next = Some(("qmstart", vmid.to_string(), Box::new(start)));
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
