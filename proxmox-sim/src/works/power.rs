//! Starting and stopping.

use std::time::Duration;

use serde_json::Value;

use super::{Bench, Step, Work, attempt, medium_of};
use crate::flock::Flock;
use crate::world::{Running, World};

/// Processors of every node.
const NODE_CPUS: u64 = 16;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum PowerAction {
    Start,
    Stop,
    /// Asks the guest; the duration is how long, the flag whether it is stopped then.
    Shutdown(Duration, bool),
    Reboot(Duration),
    Reset,
    Suspend,
    Resume,
}

/// Changes the power state of a machine.
#[derive(Debug)]
pub(crate) struct Power {
    pub(crate) node: String,
    pub(crate) vmid: u32,
    pub(crate) action: PowerAction,
    pub(crate) skip_lock: bool,
    begun: bool,
    /// The guest will not have shut down in time.
    late: bool,
}

impl Power {
    pub(crate) fn new(node: &str, vmid: u32, action: PowerAction) -> Self {
        Self { node: node.to_owned(), vmid, action, skip_lock: false, begun: false, late: false }
    }

    fn begin(&mut self, bench: &mut Bench<'_>) -> Step {
        let world = &mut *bench.world;
        let machine = match self.action {
            PowerAction::Start => attempt!(world.machine_on(&self.node, self.vmid)),
            _ => attempt!(world.find_machine(&self.node, self.vmid)),
        };
        let stopped = machine.running.is_none();
        let deaf = machine.running.as_ref().is_some_and(|running| running.deaf);
        if self.action == PowerAction::Start {
            attempt!(self.can_start(world));
            world.apply_pending(self.vmid);
            self.fill_medium(bench);
        } else if stopped {
            // Stopping what is stopped is fine, even when it is locked.
            return Step::Done(Value::Null);
        } else if !self.skip_lock {
            attempt!(machine.config.need_unlocked());
        }
        let durations = bench.world.durations.clone();
        let seconds = match self.action {
            PowerAction::Start => durations.start,
            PowerAction::Shutdown(..) | PowerAction::Reboot(_) => durations.guest_shutdown,
            _ => durations.stop,
        };
        let mut time = bench.world.lasting(seconds);
        if let PowerAction::Shutdown(timeout, _) | PowerAction::Reboot(timeout) = self.action {
            self.late = deaf || time > timeout;
            time = if self.late { timeout } else { time };
        }
        Step::After(time)
    }

    fn can_start(&self, world: &World) -> Result<(), String> {
        let machine = world.machine_on(&self.node, self.vmid)?;
        if machine.is_template() {
            return Err("you can't start a vm if it's a template".to_owned());
        }
        if !self.skip_lock {
            machine.config.need_unlocked()?;
        }
        if machine.running.is_some() {
            return Err(format!("VM {} already running", self.vmid));
        }
        let view = machine.config.view();
        for (key, value) in view.iter().filter(|(key, _)| key.starts_with("net")) {
            let Some(bridge) = value.split(',').find_map(|part| part.strip_prefix("bridge=")) else {
                continue;
            };
            if !world.node(&self.node)?.bridges.iter().any(|b| b == bridge) {
                return Err(format!("bridge '{bridge}' does not exist ({key})"));
            }
        }
        if machine.cpus() > NODE_CPUS {
            return Err(format!("MAX {NODE_CPUS} vcpus allowed per VM on this node"));
        }
        // There are no snippets; one that is asked for is missing.
        if let Some((_, snippet)) =
            view.get("cicustom").and_then(|text| text.split(',').next()?.split_once('='))
        {
            return Err(format!("volume '{snippet}' does not exist"));
        }
        for (_, drive) in machine.drives() {
            if let Some(volid) = drive.volume().filter(|_| !drive.is_cloud_init())
                && world.volume(&self.node, volid).is_none()
            {
                return Err(format!("volume '{volid}' does not exist"));
            }
        }
        Ok(())
    }

    /// Cloud-init is generated anew at every start.
    fn fill_medium(&self, bench: &mut Bench<'_>) {
        let Some(machine) = bench.world.machines.get_mut(&self.vmid) else {
            return;
        };
        if machine.drives().any(|(_, drive)| drive.is_cloud_init()) {
            machine.medium = medium_of(&machine.config.current);
            bench.log("generating cloud-init ISO");
        }
    }

    fn start(&self, world: &mut World) {
        let seconds = world.durations.guest_boot;
        let boots = world.now + world.lasting(seconds);
        let pid = world.random.pid();
        let Some(machine) = world.machines.get(&self.vmid) else {
            return;
        };
        let image = machine.boot_drive().and_then(|(_, drive)| drive.volume().map(str::to_owned));
        let volume = image.and_then(|volid| world.volume(&self.node, &volid));
        let has_agent = volume.is_some_and(|volume| volume.agent);
        let running = Running {
            since: world.now,
            pid,
            paused: false,
            agent_from: has_agent.then_some(boots),
            deaf: false,
        };
        if let Some(machine) = world.machines.get_mut(&self.vmid) {
            machine.running = Some(running);
        }
    }

    fn end(&self, bench: &mut Bench<'_>) -> Step {
        let force = matches!(self.action, PowerAction::Shutdown(_, true));
        if self.late && !force {
            return Step::Failed("VM quit/powerdown failed - got timeout".to_owned());
        }
        match self.action {
            PowerAction::Start | PowerAction::Reset => self.start(bench.world),
            PowerAction::Stop | PowerAction::Shutdown(..) => self.stop(bench.world),
            PowerAction::Reboot(_) => {
                self.stop(bench.world);
                self.fill_medium(bench);
                self.start(bench.world);
            }
            PowerAction::Suspend | PowerAction::Resume => {
                if let Some(running) =
                    bench.world.machines.get_mut(&self.vmid).and_then(|m| m.running.as_mut())
                {
                    running.paused = self.action == PowerAction::Suspend;
                }
            }
        }
        Step::Done(Value::Null)
    }

    fn stop(&self, world: &mut World) {
        if let Some(machine) = world.machines.get_mut(&self.vmid) {
            machine.running = None;
        }
        world.apply_pending(self.vmid);
    }
}

impl Work for Power {
    fn locks(&self, world: &World) -> Vec<Flock> {
        // Stopping a machine that does not run needs no lock to find that out.
        let idle = world.machines.get(&self.vmid).is_some_and(|m| m.running.is_none());
        let idle = idle && matches!(self.action, PowerAction::Shutdown(..));
        if idle { Vec::new() } else { vec![Flock::machine(&self.node, self.vmid)] }
    }

    fn step(&mut self, bench: &mut Bench<'_>) -> Step {
        if self.begun {
            return self.end(bench);
        }
        self.begun = true;
        self.begin(bench)
    }

    fn abandon(&mut self, _bench: &mut Bench<'_>, reason: &str) -> String {
        match self.action {
            PowerAction::Start => format!("start failed: {reason}"),
            PowerAction::Shutdown(..) | PowerAction::Reboot(_) => {
                "VM quit/powerdown failed - got timeout".to_owned()
            }
            _ => reason.to_owned(),
        }
    }
}
