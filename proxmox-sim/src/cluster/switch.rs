//! Breaking and mending the cluster from outside.

use serde::{Deserialize, Serialize};

use super::Cluster;
use crate::config::{BackupConfig, StorageConfig, TemplateConfig};
use crate::world::Storage;

/// A change of the world that no API call makes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "switch")]
pub enum Switch {
    /// A node stops or begins to take requests (595 while it does not). What runs there goes on.
    Node {
        /// Its name.
        node: String,
        /// Whether it takes requests.
        online: bool,
    },
    /// A node loses power: its workers and machines die where they are, and it takes no requests.
    Crash {
        /// Its name.
        node: String,
    },
    /// The cluster loses or regains its majority.
    Quorum {
        /// Whether there is one.
        quorate: bool,
    },
    /// A storage runs full, or has space again.
    StorageFull {
        /// Its name.
        storage: String,
        /// Whether it is full.
        full: bool,
    },
    /// Adds a storage.
    AddStorage {
        /// What it is.
        storage: StorageConfig,
    },
    /// Takes a storage away, with all its volumes.
    RemoveStorage {
        /// Its name.
        storage: String,
    },
    /// Adds a bridge to a node, or takes it away.
    Bridge {
        /// The node.
        node: String,
        /// The bridge.
        bridge: String,
        /// Whether it exists.
        exists: bool,
    },
    /// Adds a template.
    AddTemplate {
        /// What it is.
        template: TemplateConfig,
    },
    /// Takes a machine away at once, with its volumes and its firewall.
    RemoveMachine {
        /// Its VMID.
        vmid: u32,
    },
    /// Puts a backup on a storage.
    AddBackup {
        /// What it is.
        backup: BackupConfig,
    },
    /// Sets an option of a machine directly, or removes it: a stale lock, for instance.
    Option {
        /// The machine.
        vmid: u32,
        /// Name of the option.
        key: String,
        /// Its value; none removes it.
        #[serde(default)]
        value: Option<String>,
    },
    /// The guest ignores requests to shut down.
    Deaf {
        /// The machine, which must be running.
        vmid: u32,
    },
    /// The machine's process dies, as when the guest powers itself off.
    PowerOff {
        /// The machine.
        vmid: u32,
    },
}

impl Cluster {
    /// Flips a switch.
    ///
    /// # Errors
    ///
    /// When there is nothing of that name.
    pub fn switch(&mut self, switch: Switch) -> Result<(), String> {
        let world = &mut self.world;
        let no_node = |name: &str| format!("no node '{name}'");
        match switch {
            Switch::Node { node, online } => {
                world.nodes.get_mut(&node).ok_or_else(|| no_node(&node))?.online = online;
            }
            Switch::Crash { node } => {
                world.nodes.get_mut(&node).ok_or_else(|| no_node(&node))?.online = false;
                for machine in world.machines.values_mut().filter(|m| m.node == node) {
                    machine.running = None;
                }
                self.kill_workers(&node);
            }
            Switch::Quorum { quorate } => world.quorate = quorate,
            Switch::StorageFull { storage, full } => world.storage_mut(&storage)?.full = full,
            Switch::AddStorage { storage } => {
                world.storages.insert(storage.name.clone(), Storage::build(&storage));
            }
            Switch::RemoveStorage { storage } => {
                world.storages.remove(&storage).ok_or_else(|| format!("no storage '{storage}'"))?;
            }
            Switch::Bridge { node, bridge, exists } => {
                let node = world.nodes.get_mut(&node).ok_or_else(|| no_node(&node))?;
                node.bridges.retain(|name| *name != bridge);
                if exists {
                    node.bridges.push(bridge);
                }
            }
            Switch::AddTemplate { template } => world.add_template(&template),
            Switch::RemoveMachine { vmid } => {
                let machine = world.machines.remove(&vmid).ok_or_else(|| format!("no machine {vmid}"))?;
                for volid in machine.volumes() {
                    world.free(&machine.node, &volid)?;
                }
                world.firewalls.remove(&vmid);
            }
            Switch::AddBackup { backup } => {
                let added = world.add_backup(
                    backup.vmid,
                    &backup.storage,
                    &backup.node,
                    backup.size,
                    backup.protected,
                );
                added.ok_or_else(|| format!("no storage '{}'", backup.storage))?;
            }
            Switch::Option { vmid, key, value } => {
                let machine = world.machines.get_mut(&vmid).ok_or_else(|| format!("no machine {vmid}"))?;
                match value {
                    Some(value) => machine.config.set(&key, value),
                    None => machine.config.remove(&key),
                }
            }
            Switch::Deaf { vmid } => {
                let running = world.machines.get_mut(&vmid).and_then(|machine| machine.running.as_mut());
                running.ok_or_else(|| format!("no running machine {vmid}"))?.deaf = true;
            }
            Switch::PowerOff { vmid } => {
                world.machines.get_mut(&vmid).ok_or_else(|| format!("no machine {vmid}"))?.running = None;
                world.apply_pending(vmid);
            }
        }
        Ok(())
    }
}
