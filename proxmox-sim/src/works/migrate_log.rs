//! What a migration writes into its log. Its lines begin with the local time.

use std::time::Duration;

use super::{Bench, Migrate};
use crate::Version;
use crate::world::World;

impl Migrate {
    pub(super) fn say(bench: &mut Bench<'_>, line: &str) {
        let stamp = bench.world.stamp();
        bench.log(format!("{stamp} {line}"));
    }

    /// How long it has taken so far, as the last line has it.
    pub(super) fn duration(&self, world: &World) -> String {
        let seconds = world.now.saturating_sub(self.begun).max(Duration::from_secs(1)).as_secs();
        format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
    }

    pub(super) fn say_start(&self, bench: &mut Bench<'_>, running: bool) {
        if running && bench.world.version == Version::V9_2 {
            let text =
                "conntrack state migration not supported or disabled, active connections might get dropped";
            Self::say(bench, text);
        }
        let id = bench.world.nodes.get(&self.target).map_or(0, |node| node.id);
        let line =
            format!("starting migration of VM {} to node '{}' (127.0.0.{})", self.vmid, self.target, 10 + id);
        Self::say(bench, &line);
    }

    /// Names the volumes that only this node has.
    pub(super) fn say_local(&self, bench: &mut Bench<'_>) {
        for volid in self.local_volumes(bench.world) {
            let line = if volid.contains("-cloudinit") {
                format!("found generated disk '{volid}' (in current VM config)")
            } else {
                format!("found local disk '{volid}' (attached)")
            };
            Self::say(bench, &line);
        }
    }

    /// A migration that was given up before anything moved.
    pub(super) fn say_aborted(&self, bench: &mut Bench<'_>, text: &str) {
        let problem = "Problem found while scanning volumes - can't migrate VM - check log";
        Self::say(bench, text);
        Self::say(bench, &format!("ERROR: {problem}"));
        Self::say(bench, "aborting phase 1 - cleanup resources");
        let duration = self.duration(bench.world);
        Self::say(bench, &format!("ERROR: migration aborted (duration {duration}): {problem}"));
    }

    /// The beginning of the live phase.
    fn say_tunnel(&self, bench: &mut Bench<'_>, disks: &[String]) {
        let (vmid, target) = (self.vmid, &self.target);
        Self::say(bench, &format!("starting VM {vmid} on remote node '{target}'"));
        for volid in disks {
            Self::say(bench, &format!("volume '{volid}' is '{volid}' on the target"));
        }
        Self::say(bench, "start remote tunnel");
        Self::say(bench, "ssh tunnel ver 1");
        if !disks.is_empty() {
            Self::say(bench, "starting storage migration");
        }
    }

    /// A live phase that failed with its first disk, or with the memory.
    pub(super) fn say_failed(&self, bench: &mut Bench<'_>, disks: &[String], text: &str) {
        self.say_tunnel(bench, disks);
        if let Some(slot) = self.slots(bench.world, disks).first() {
            self.say_slot(bench, slot);
        }
        Self::say(bench, &format!("ERROR: online migrate failure - {text}"));
        Self::say(bench, "aborting phase 2 - cleanup resources");
        Self::say(bench, "migrate_cancel");
        let duration = self.duration(bench.world);
        Self::say(bench, &format!("ERROR: migration finished with problems (duration {duration})"));
    }

    /// The live phase.
    pub(super) fn say_live(&self, bench: &mut Bench<'_>, disks: &[String]) {
        let vmid = self.vmid;
        self.say_tunnel(bench, disks);
        self.say_mirror(bench, disks);
        let socket = format!("unix:/run/qemu-server/{vmid}.migrate");
        Self::say(bench, &format!("starting online/live migration on {socket}"));
        Self::say(bench, "set migration capabilities");
        Self::say(bench, "migration downtime limit: 100 ms");
        let memory = bench.world.machines.get(&vmid).map_or(0, crate::world::Machine::memory_bytes) >> 20;
        // A tenth of the memory, as the next power of two.
        let cache = (memory.div_ceil(10)).next_power_of_two();
        Self::say(bench, &format!("migration cachesize: {cache}.0 MiB"));
        Self::say(bench, "set migration parameters");
        Self::say(bench, &format!("start migrate command to {socket}"));
        Self::say(bench, &format!("average migration speed: {memory}.8 MiB/s - downtime 10 ms"));
        Self::say(bench, "migration completed, transferred 3.1 MiB VM-state");
        Self::say(bench, "migration status: completed");
        for slot in self.slots(bench.world, disks) {
            bench.log("all 'mirror' jobs are ready");
            bench.log(format!("drive-{slot}: Completing block job..."));
            bench.log(format!("drive-{slot}: Completed successfully."));
            bench.log(format!("drive-{slot}: mirror-job finished"));
        }
        if !disks.is_empty() {
            Self::say(bench, "stopping NBD storage migration server on target.");
        }
    }

    fn say_slot(&self, bench: &mut Bench<'_>, slot: &str) {
        let socket = format!("nbd:unix:/run/qemu-server/{}_nbd.migrate", self.vmid);
        Self::say(bench, &format!("{slot}: start migration to {socket}:exportname=drive-{slot}"));
    }

    fn say_mirror(&self, bench: &mut Bench<'_>, disks: &[String]) {
        for slot in self.slots(bench.world, disks) {
            self.say_slot(bench, &slot);
            bench.log(format!("drive mirror is starting for drive-{slot}"));
            bench.log(format!("drive-{slot}: transferred 1.0 GiB of 1.0 GiB (100.00%) in 5s, ready"));
            bench.log("all 'mirror' jobs are ready");
            Self::say(bench, "switching mirror jobs to actively synced mode");
            bench.log(format!("drive-{slot}: switching to actively synced mode"));
            bench.log(format!("drive-{slot}: successfully switched to actively synced mode"));
        }
    }

    fn slots(&self, world: &World, disks: &[String]) -> Vec<String> {
        let Some(machine) = world.machines.get(&self.vmid) else {
            return Vec::new();
        };
        let named = |volid: &str| disks.iter().any(|disk| disk == volid);
        let slots = machine.drives().filter(|(_, drive)| drive.volume().is_some_and(named));
        slots.map(|(slot, _)| slot.to_owned()).collect()
    }
}
