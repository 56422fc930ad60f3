//! Starting and stopping.

use std::time::Duration;

use serde_json::Value;

use super::{Bench, PowerAction, Step, Work, attempt, medium_of};
use crate::flock::Flock;
use crate::world::{Running, World};

/// Share of a start after which the process exists.
const SPAWNED: f64 = 0.6;

/// How long an agent is waited for before it counts as absent.
const AGENT_PATIENCE: Duration = Duration::from_secs(3);

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Begin,
    Spawn,
    End,
}

/// Changes the power state of a machine.
#[derive(Debug)]
pub(crate) struct Power {
    pub(crate) node: String,
    pub(crate) vmid: u32,
    pub(crate) action: PowerAction,
    pub(crate) skip_lock: bool,
    /// Ends shutdowns that are under way first.
    pub(crate) overrules: bool,
    stage: Stage,
    /// The guest will not have shut down in time.
    late: bool,
}

impl Power {
    pub(crate) fn new(node: &str, vmid: u32, action: PowerAction) -> Self {
        let (skip_lock, overrules) = (false, false);
        Self { node: node.to_owned(), vmid, action, skip_lock, overrules, stage: Stage::Begin, late: false }
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
            attempt!(self.may_start(world));
            if !stopped {
                // A backup has started it, and its owner wants it to go on.
                self.set_paused(world, false);
                return Step::Done(Value::Null);
            }
            world.apply_pending(self.vmid);
            attempt!(self.check_snippets(bench.world));
            self.fill_medium(bench);
            attempt!(self.can_start(bench.world));
        } else if stopped {
            // Stopping what is stopped is fine, even when it is locked.
            return Step::Done(Value::Null);
        } else if !self.skip_lock {
            attempt!(self.action.need_unlocked(machine));
        }
        if self.action == PowerAction::SuspendToDisk {
            self.set_lock(bench.world, Some("suspending"));
        }
        let durations = bench.world.durations.clone();
        let seconds = match self.action {
            PowerAction::Start => durations.start * SPAWNED,
            PowerAction::Shutdown(..) | PowerAction::Reboot(_) => durations.guest_shutdown,
            _ => durations.stop,
        };
        let mut time = bench.world.lasting(seconds);
        if let PowerAction::Shutdown(timeout, _) | PowerAction::Reboot(timeout) = self.action {
            self.late = deaf || time > timeout;
            time = if self.late { timeout } else { time };
            time += self.ask_agent(bench);
        }
        Step::After(time)
    }

    /// An agent that is configured and absent costs time, and a line.
    fn ask_agent(&self, bench: &mut Bench<'_>) -> Duration {
        let machine = bench.world.machines.get(&self.vmid);
        let absent = machine.is_some_and(|m| m.agent_enabled() && bench.world.need_agent(m).is_err());
        if !absent {
            return Duration::ZERO;
        }
        let channel = if bench.world.version < crate::Version::V9_2 { "qmp" } else { "qga" };
        bench.log(format!(
            "QEMU Guest Agent is not running - VM {} {channel} command 'guest-ping' failed - got timeout",
            self.vmid
        ));
        AGENT_PATIENCE
    }

    /// Cloud-init is generated anew at every start.
    fn fill_medium(&self, bench: &mut Bench<'_>) {
        let Some(machine) = bench.world.machines.get_mut(&self.vmid) else {
            return;
        };
        if machine.drives().any(|(_, drive)| drive.is_cloud_init()) {
            machine.medium = medium_of(&machine.config.current);
            let addresses = machine.config.current.iter().filter(|(key, _)| key.starts_with("ipconfig"));
            let odd =
                addresses.filter(|(_, value)| value.contains("ip=dhcp") && value.contains("gw=")).count();
            for _ in 0..odd {
                let file = match bench.world.version {
                    crate::Version::V7_4 | crate::Version::V8_4 => "/usr/share/perl5/PVE/QemuServer.pm",
                    crate::Version::V9_2 => "/usr/share/perl5/PVE/QemuServer/Network.pm",
                };
                bench.log(format!("gateway specified together with DHCP at {file} line 1785."));
            }
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
        let has_system = volume.is_some_and(|volume| volume.system);
        let running = Running {
            since: world.now,
            pid,
            paused: false,
            prelaunch: false,
            agent_from: has_agent.then_some(boots),
            deaf: !has_system,
            stuck: std::collections::BTreeMap::new(),
            immovable: None,
        };
        if let Some(machine) = world.machines.get_mut(&self.vmid) {
            machine.running = Some(running);
        }
    }

    /// The guest begins anew within the same process.
    fn reboot_guest(&self, world: &mut World) {
        let seconds = world.durations.guest_boot;
        let boots = world.now + world.lasting(seconds);
        if let Some(running) = world.machines.get_mut(&self.vmid).and_then(|machine| machine.running.as_mut())
        {
            running.agent_from = running.agent_from.map(|_| boots);
        }
    }

    fn end(&self, bench: &mut Bench<'_>) -> Step {
        let force = matches!(self.action, PowerAction::Shutdown(_, true));
        if self.late && !force {
            return Step::Failed("VM quit/powerdown failed - got timeout".to_owned());
        }
        if self.late {
            bench.log("VM still running - terminating now with SIGTERM");
        }
        match self.action {
            PowerAction::Start => {
                let slept =
                    bench.world.machines.get(&self.vmid).and_then(|m| m.config.lock()) == Some("suspended");
                if slept {
                    self.set_lock(bench.world, None);
                }
            }
            PowerAction::Reset => self.reboot_guest(bench.world),
            PowerAction::Stop | PowerAction::Shutdown(..) => self.stop(bench.world),
            PowerAction::Reboot(_) => {
                self.stop(bench.world);
                self.fill_medium(bench);
                self.start(bench.world);
            }
            PowerAction::Suspend | PowerAction::Resume => {
                self.set_paused(bench.world, self.action == PowerAction::Suspend);
            }
            PowerAction::SuspendToDisk => {
                self.stop(bench.world);
                self.set_lock(bench.world, Some("suspended"));
            }
        }
        Step::Done(Value::Null)
    }

    fn set_paused(&self, world: &mut World, paused: bool) {
        if let Some(running) = world.machines.get_mut(&self.vmid).and_then(|m| m.running.as_mut()) {
            running.paused = paused;
            running.prelaunch &= paused;
        }
    }

    fn set_lock(&self, world: &mut World, lock: Option<&str>) {
        if let Some(machine) = world.machines.get_mut(&self.vmid) {
            match lock {
                Some(lock) => machine.config.set("lock", lock),
                None => machine.config.remove("lock"),
            }
        }
    }

    /// Ends shutdowns that are under way, which hold the lock until they give up.
    fn overrule(&mut self, bench: &mut Bench<'_>) -> Step {
        self.overrules = false;
        let about = self.vmid.to_string();
        let theirs = |task: &&crate::task::Task| {
            task.upid.kind == "qmshutdown" && task.upid.id == about && task.upid.node == self.node
        };
        let upids: Vec<String> =
            bench.world.tasks.listed_running().filter(theirs).map(|task| task.upid.to_string()).collect();
        if !upids.is_empty() {
            bench.log(format!("overruled qmshutdown tasks: {}", upids.join(", ")));
        }
        bench.interrupts = upids.iter().filter_map(|upid| Some(bench.world.tasks.find(upid)?.0)).collect();
        Step::Take(Flock::machine(&self.node, self.vmid))
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
        if idle || self.overrules { Vec::new() } else { vec![Flock::machine(&self.node, self.vmid)] }
    }

    fn step(&mut self, bench: &mut Bench<'_>) -> Step {
        match self.stage {
            Stage::Begin if self.overrules => self.overrule(bench),
            Stage::Begin => {
                self.stage = if self.action == PowerAction::Start { Stage::Spawn } else { Stage::End };
                self.begin(bench)
            }
            Stage::Spawn => {
                // The machine counts as running as soon as its process exists.
                self.stage = Stage::End;
                self.start(bench.world);
                let seconds = bench.world.durations.start * (1.0 - SPAWNED);
                Step::After(bench.world.lasting(seconds))
            }
            Stage::End => self.end(bench),
        }
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
