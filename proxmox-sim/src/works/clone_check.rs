//! What a clone is refused for.

use super::CloneMachine;
use crate::world::{World, split_volid};

impl CloneMachine {
    /// The checks that are made both before the task and within it.
    pub(crate) fn check(&self, world: &World) -> Result<(), String> {
        world.need_quorum()?;
        if let Some(target) = &self.target {
            world.node(target)?;
        }
        let source = world.find_machine(&self.node, self.source)?;
        source.config.need_unlocked()?;
        let linked = !self.full;
        for (given, name) in [(&self.storage, "storage"), (&self.format, "format")] {
            if linked && given.is_some() {
                return Err(format!("parameter '{name}' not allowed for linked clones"));
            }
        }
        let elsewhere = self.target.as_ref().filter(|target| **target != self.node);
        if let Some(storage) = &self.storage {
            let shared = world.image_storage(storage)?.shared;
            if elsewhere.is_some() && !shared {
                return Err(format!("can't clone to non-shared storage '{storage}'"));
            }
        }
        for (slot, drive) in source.drives() {
            let Some(volid) = drive.volume() else {
                continue;
            };
            let storage = world.storage(split_volid(volid).0)?;
            if let Some(target) = elsewhere.filter(|_| !storage.shared) {
                return Err(format!("can't clone VM to node '{target}' (VM uses local storage)"));
            }
            let base = split_volid(volid).1.rsplit('/').next().unwrap_or("").starts_with("base-");
            if linked && !drive.is_cdrom() && !base {
                return Err(format!("Linked clone feature is not supported for '{volid}' ({slot})"));
            }
        }
        if world.machine_on(&self.node, self.newid).is_ok() {
            return Err(format!("unable to create VM {}: config file already exists", self.newid));
        }
        Ok(())
    }
}
