//! How a clone makes its volumes.

use std::time::Duration;

use super::{Bench, CloneMachine};
use crate::world::{Drive, World, print_size, transferred};

impl CloneMachine {
    /// Allocates the volume of one drive.
    pub(super) fn make_volume(
        &mut self,
        bench: &mut Bench<'_>,
        slot: &str,
        drive: &Drive,
    ) -> Result<(), String> {
        let volid = drive.volume().unwrap_or_default();
        let storage = self.storage_of(volid);
        let (node, newid) = (self.node.clone(), self.newid);
        let full = self.full || drive.is_cloud_init();
        let word = if full { "full" } else { "linked" };
        if !drive.is_cdrom() || drive.is_cloud_init() {
            bench.log(format!("create {word} clone of drive {slot} ({volid})"));
        }
        let copy = if drive.is_cloud_init() {
            bench.world.allocate_cloud_init(&node, &storage, newid)
        } else if drive.is_cdrom() {
            self.plan.config.set(slot, drive.print());
            return Ok(());
        } else if full {
            bench.world.clone_full(&node, volid, &storage, newid, self.format.as_deref())
        } else {
            bench.world.clone_linked(&node, volid, newid)
        }?;
        for line in bench.world.formatting(&node, &copy) {
            bench.log(line);
        }
        if full && bench.world.version == crate::Version::V9_2 {
            bench.log(format!("allocated target volume '{copy}'"));
        }
        self.made.push(copy.clone());
        let size = bench.world.volume(&node, &copy).map_or(0, |volume| volume.size);
        if full && !drive.is_cloud_init() {
            self.copying = Some(size);
            bench.log(transferred(size)[0].clone());
        }
        let mut drive = drive.clone();
        drive.properties.set("size", print_size(size));
        drive.properties.set("file", copy);
        drive.properties.remove("format");
        self.plan.config.set(slot, drive.print());
        Ok(())
    }

    /// How long a limited copy takes. The limit counts the whole size, also of a thin image, and is
    /// kept loosely: servers were seen to copy at about twice of it.
    #[allow(clippy::cast_precision_loss, reason = "seconds need no more digits")]
    pub(super) fn copy_time(&self, world: &World) -> Duration {
        match (self.copying, self.limit) {
            (Some(size), Some(limit)) if limit > 0 => {
                let seconds = size as f64 / (2.0 * 1024.0 * limit as f64);
                world.durations.scaled(seconds, 0.5)
            }
            _ => Duration::ZERO,
        }
    }
}
