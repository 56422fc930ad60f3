//! `vzdump` of one machine.

use serde_json::Value;

use super::{Bench, Step, Work};
use crate::flock::Flock;
use crate::world::{Archive, Machine, Running, Volume, World};

/// How the guest is treated meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BackupMode {
    Snapshot,
    Suspend,
    Stop,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Begin,
    /// The guest is shutting down.
    Stopping,
    /// Data are copied, by the machine's own process.
    Copying,
}

/// Backs a machine up. While it does, the machine has `lock: backup`, and a process that copies: where it does not run one is
/// started for that, in which the guest does not run.
#[derive(Debug)]
pub(crate) struct Backup {
    node: String,
    vmid: u32,
    storage: String,
    mode: BackupMode,
    pub(crate) protected: bool,
    pub(crate) notes: Option<String>,
    stage: Stage,
    /// Kept from the moment at which copying begins.
    archive: Option<Archive>,
    /// The process was started for the backup alone.
    started: bool,
}

impl Backup {
    pub(crate) fn new(node: &str, vmid: u32, storage: &str, mode: BackupMode) -> Self {
        let (protected, notes, archive, started) = (false, None, None, false);
        let stage = Stage::Begin;
        let (node, storage) = (node.to_owned(), storage.to_owned());
        Self { node, vmid, storage, mode, protected, notes, stage, archive, started }
    }

    fn begin(&mut self, bench: &mut Bench<'_>) -> Result<Step, String> {
        bench.log(format!("INFO: Starting Backup of VM {} (qemu)", self.vmid));
        let machine = bench.world.machine_on_mut(&self.node, self.vmid)?;
        machine.config.need_unlocked()?;
        machine.config.set("lock", "backup");
        let (running, name) = (machine.running.is_some(), machine.name());
        bench.log(format!("INFO: status = {}", if running { "running" } else { "stopped" }));
        bench.log(format!("INFO: VM Name: {name}"));
        // Only setting the lock needs the lock of the file.
        bench.release(&Flock::machine(&self.node, self.vmid));
        if running && self.mode == BackupMode::Stop {
            bench.log("INFO: stopping virtual guest");
            self.stage = Stage::Stopping;
            let seconds = bench.world.durations.guest_shutdown;
            return Ok(Step::After(bench.world.lasting(seconds)));
        }
        self.copy(bench)
    }

    /// From here on it does not matter what the guest does.
    fn copy(&mut self, bench: &mut Bench<'_>) -> Result<Step, String> {
        self.stage = Stage::Copying;
        let machine = bench.world.machine_on(&self.node, self.vmid)?;
        let (archive, running) = (Archive::of(bench.world, machine), machine.running.is_some());
        self.archive = Some(archive);
        if !running {
            bench.log("INFO: starting kvm to execute backup task");
            self.start(bench.world);
            // A machine that ran before goes on as soon as the copying has begun.
            let goes_on = self.mode == BackupMode::Stop && !self.started;
            self.set_paused(bench.world, !goes_on);
        }
        let seconds = bench.world.durations.clone_full;
        Ok(Step::After(bench.world.lasting(seconds)))
    }

    fn start(&self, world: &mut World) {
        let (since, pid) = (world.now, world.random.pid());
        let Some(machine) = world.machines.get_mut(&self.vmid) else { return };
        machine.running = Some(Running {
            since,
            pid,
            paused: true,
            prelaunch: true,
            agent_from: None,
            deaf: true,
            stuck: std::collections::BTreeMap::new(),
            immovable: None,
        });
    }

    fn set_paused(&self, world: &mut World, paused: bool) {
        if let Some(running) = world.machines.get_mut(&self.vmid).and_then(|machine| machine.running.as_mut())
        {
            running.paused = paused;
            running.prelaunch &= paused;
        }
    }

    /// The lock goes, and the process that was started for it, unless somebody let it go on.
    fn unlock(&self, world: &mut World) {
        if let Some(machine) = world.machines.get_mut(&self.vmid) {
            machine.config.remove("lock");
            if self.started && machine.running.as_ref().is_some_and(|running| running.paused) {
                machine.running = None;
            }
        }
    }

    fn end(&mut self, bench: &mut Bench<'_>) -> Result<Step, String> {
        let machine = bench.world.machine_on(&self.node, self.vmid)?;
        let (size, name) = (machine.disk_bytes() / 4, machine.name());
        bench.world.online_storage(&self.storage)?;
        let volume = Volume {
            content: "backup",
            protected: self.protected,
            notes: self.notes.as_ref().map(|template| self.render(bench.world, template, &name)),
            archive: self.archive.take().map(Box::new),
            ..Volume::image(self.vmid, size.max(1), "vma.zst", bench.world.unix())
        };
        let made = bench.world.put_backup(&self.storage, &self.node, volume);
        let volid = made.ok_or_else(|| format!("storage '{}' does not exist", self.storage))?;
        self.unlock(bench.world);
        bench.log(format!("INFO: creating vzdump archive '{volid}'"));
        bench.log(format!("INFO: Finished Backup of VM {} (00:00:01)", self.vmid));
        bench.log("INFO: Backup job finished successfully");
        Ok(Step::Done(Value::Null))
    }

    /// Notes with what their variables stand for.
    fn render(&self, world: &World, template: &str, name: &str) -> String {
        let vmid = self.vmid.to_string();
        let variables =
            [("guestname", name), ("vmid", &vmid), ("node", &self.node), ("cluster", &world.name)];
        let text = template.replace("\\n", "\n");
        variables.iter().fold(text, |text, (name, value)| text.replace(&format!("{{{{{name}}}}}"), value))
    }

    /// What failed is in the log; the task says no more than that.
    fn fail(&self, bench: &mut Bench<'_>, text: &str) -> String {
        bench.log(format!("ERROR: Backup of VM {} failed - {text}", self.vmid));
        bench.log("INFO: Backup job finished with errors");
        "job errors".to_owned()
    }
}

impl Work for Backup {
    fn locks(&self, _world: &World) -> Vec<Flock> {
        vec![Flock::vzdump(&self.node), Flock::machine(&self.node, self.vmid)]
    }

    fn step(&mut self, bench: &mut Bench<'_>) -> Step {
        let done = match self.stage {
            Stage::Begin => {
                self.started = bench
                    .world
                    .machines
                    .get(&self.vmid)
                    .is_some_and(|machine: &Machine| machine.running.is_none());
                self.begin(bench)
            }
            Stage::Stopping => {
                if let Some(machine) = bench.world.machines.get_mut(&self.vmid) {
                    machine.running = None;
                }
                self.copy(bench)
            }
            Stage::Copying => self.end(bench),
        };
        match done {
            Ok(step) => step,
            Err(text) => {
                if self.stage != Stage::Begin {
                    self.unlock(bench.world);
                }
                Step::Failed(self.fail(bench, &text))
            }
        }
    }

    fn abandon(&mut self, bench: &mut Bench<'_>, reason: &str) -> String {
        if self.stage != Stage::Begin {
            self.unlock(bench.world);
        }
        self.fail(bench, reason)
    }
}
