//! What keeps a machine from being started or stopped.

use std::time::Duration;

use super::Power;
use crate::world::{Machine, World};

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
    /// Memory goes to a disk and the process ends.
    SuspendToDisk,
    Resume,
}

impl PowerAction {
    /// Whether a lock keeps it away: to stop and to go on is allowed while a backup is made.
    pub(crate) fn need_unlocked(self, machine: &Machine) -> Result<(), String> {
        let backup = machine.config.lock() == Some("backup");
        if backup && matches!(self, Self::Suspend | Self::Resume) {
            Ok(())
        } else {
            machine.config.need_unlocked()
        }
    }
}

impl Power {
    pub(super) fn may_start(&self, world: &World) -> Result<(), String> {
        let machine = world.machine_on(&self.node, self.vmid)?;
        if machine.is_template() {
            return Err("you can't start a vm if it's a template".to_owned());
        }
        let (lock, running) = (machine.config.lock(), machine.running.is_some());
        // What sleeps on a disk wakes up, and what a backup has started goes on.
        let wakes = lock == Some("suspended") || (running && lock == Some("backup"));
        if !self.skip_lock && !wakes {
            machine.config.need_unlocked()?;
        }
        if running && lock != Some("backup") {
            return Err(format!("VM {} already running", self.vmid));
        }
        Ok(())
    }

    /// There are no snippets; one that is asked for is missing.
    pub(super) fn check_snippets(&self, world: &World) -> Result<(), String> {
        let machine = world.machine_on(&self.node, self.vmid)?;
        let custom = machine.config.get("cicustom");
        match custom.and_then(|text| text.split(',').next()?.split_once('=')) {
            Some((_, snippet)) => Err(format!("volume '{snippet}' does not exist")),
            None => Ok(()),
        }
    }

    pub(super) fn can_start(&self, world: &World) -> Result<(), String> {
        let machine = world.machine_on(&self.node, self.vmid)?;
        let limit = world.node_cpus;
        if machine.cpus() > limit {
            return Err(format!("MAX {limit} vcpus allowed per VM on this node"));
        }
        for (key, value) in machine.config.current.iter().filter(|(key, _)| key.starts_with("net")) {
            let Some(bridge) = value.split(',').find_map(|part| part.strip_prefix("bridge=")) else {
                continue;
            };
            if !world.node(&self.node)?.bridges.iter().any(|b| b == bridge) {
                return Err(format!("bridge '{bridge}' does not exist ({key})"));
            }
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
}
