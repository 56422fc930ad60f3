use deploy_core::Slot;

/// How much may run at once, by what it would wear out. They hold for one worker: with several, share them out.
///
/// A limit of 0 counts as 1: a slot that nobody can ever enter would be a machine that never goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Changes in one cluster.
    pub cluster: u32,
    /// Changes on one node. Each may block one of the three workers of the node's API daemon for as long as its request
    /// takes; what goes on as a task blocks none.
    pub node: u32,
    /// Clones onto one storage. They share its bandwidth, and PVE takes a lock of the storage for each volume.
    pub clone_storage: u32,
    /// Clones of one template.
    pub template: u32,
    /// Migrations from or to one node. They share its network.
    pub migration: u32,
    /// Backups that are made or restored on one node. They share its network, and PVE makes one at a time.
    pub backup: u32,
}

impl Default for Limits {
    /// Limits for a Proxmox VE as installed.
    fn default() -> Self {
        Self { cluster: 64, node: 8, clone_storage: 4, template: 4, migration: 2, backup: 2 }
    }
}

impl Limits {
    /// How many may hold this slot at once.
    pub fn of(&self, slot: &Slot) -> u32 {
        let limit = match slot {
            Slot::Cluster(_) => self.cluster,
            Slot::Node(..) => self.node,
            Slot::CloneStorage(..) => self.clone_storage,
            Slot::Template(..) => self.template,
            Slot::Migration(..) => self.migration,
            Slot::Backup(..) => self.backup,
        };
        limit.max(1)
    }
}
