//! Breaking and mending the cluster from outside.

use serde::{Deserialize, Serialize};

use super::Cluster;
use crate::config::{BackupConfig, Grant, StorageConfig, TemplateConfig};
use crate::faults::Incarnation;
use crate::works::Hold;
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
    /// A storage cannot be reached, or can again.
    StorageOffline {
        /// Its name.
        storage: String,
        /// Whether it is out of reach.
        offline: bool,
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
    /// Somebody else creates a machine, which is one of a stranger from then on.
    TakeNumber {
        /// Its VMID, which must be free.
        vmid: u32,
        /// Where it is.
        node: String,
        /// Storage of its disk; none for a machine without one.
        #[serde(default)]
        storage: Option<String>,
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
    /// Kills the worker of a task where it is; nothing is cleaned up.
    KillTask {
        /// The task.
        upid: String,
    },
    /// Puts an image file onto the nodes, for importing.
    File {
        /// Its path.
        path: String,
        /// Its size in bytes.
        size: u64,
    },
    /// Somebody outside the API holds the lock of a machine's configuration.
    HoldLock {
        /// The machine.
        vmid: u32,
        /// For how long.
        seconds: f64,
    },
    /// The next change of an option of a running machine fails, as when its process refuses.
    HotplugFails {
        /// The machine, which must be running.
        vmid: u32,
        /// The option.
        option: String,
        /// Text of the failure.
        text: String,
    },
    /// The next live migration of a machine fails in its live phase: the machine stays where it is.
    LiveMigrationFails {
        /// The machine, which must be running.
        vmid: u32,
        /// Text of the failure.
        text: String,
    },
    /// The next change of a configuration writes its options in this order. Otherwise it is random,
    /// as it is on a server.
    WriteOrder {
        /// The options; others come last.
        options: Vec<String>,
    },
    /// Gives a token more privileges.
    Grant {
        /// `user@realm!name`
        token: String,
        /// What it gets.
        grant: Grant,
    },
    /// Takes a firewall file away, also one that belongs to no machine.
    RemoveFirewall {
        /// The VMID in its name.
        vmid: u32,
    },
    /// A node stops answering: what is sent to it hangs until the next hop gives up (596).
    Freeze {
        /// Its name.
        node: String,
        /// Whether it hangs.
        frozen: bool,
    },
    /// The privileged daemon of a node ends or comes back. Without it everything that changes
    /// something is answered with 595, and what only reads goes on.
    Daemon {
        /// The node.
        node: String,
        /// Whether it runs.
        running: bool,
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
        world.statistics.touch();
        let no_node = |name: &str| format!("no node '{name}'");
        match switch {
            Switch::Node { node, online } => {
                world.nodes.get_mut(&node).ok_or_else(|| no_node(&node))?.online = online;
            }
            Switch::Crash { node } => {
                world.nodes.get(&node).ok_or_else(|| no_node(&node))?;
                self.crash(&node);
            }
            Switch::Quorum { quorate } => world.quorate = quorate,
            Switch::StorageFull { storage, full } => world.storage_mut(&storage)?.full = full,
            Switch::StorageOffline { storage, offline } => world.storage_mut(&storage)?.offline = offline,
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
                world.erase(vmid).ok_or_else(|| format!("no machine {vmid}"))?;
                self.lock_since.remove(&vmid);
            }
            Switch::TakeNumber { vmid, node, storage } => {
                world.nodes.get(&node).ok_or_else(|| no_node(&node))?;
                if world.machines.contains_key(&vmid) {
                    return Err(format!("there is a machine {vmid} already"));
                }
                world.add_stranger(vmid, &node, storage.as_deref());
            }
            Switch::AddBackup { backup } => {
                world.lay_down(&backup).ok_or_else(|| format!("no storage '{}'", backup.storage))?;
            }
            Switch::Option { vmid, key, value } => {
                let machine = world.machines.get_mut(&vmid).ok_or_else(|| format!("no machine {vmid}"))?;
                match value {
                    Some(value) => machine.config.set(&key, value),
                    None => machine.config.remove(&key),
                }
                self.note_lock(vmid);
            }
            Switch::KillTask { upid } => {
                let (key, _) = world.tasks.find(&upid).ok_or_else(|| format!("no task {upid}"))?;
                self.kill_task(key);
            }
            Switch::File { path, size } => {
                world.files.insert(path, size);
            }
            Switch::HoldLock { vmid, seconds } => {
                let machine = world.machines.get(&vmid).ok_or_else(|| format!("no machine {vmid}"))?;
                let node = machine.node.clone();
                let time = Some(crate::timing::seconds_of(seconds));
                self.begin_aside(Box::new(Hold { node: node.clone(), vmid, time }), &node);
            }
            Switch::HotplugFails { vmid, option, text } => {
                let running = world.machines.get_mut(&vmid).and_then(|machine| machine.running.as_mut());
                running.ok_or_else(|| format!("no running machine {vmid}"))?.stuck.insert(option, text);
            }
            Switch::LiveMigrationFails { vmid, text } => {
                let running = world.machines.get_mut(&vmid).and_then(|machine| machine.running.as_mut());
                running.ok_or_else(|| format!("no running machine {vmid}"))?.immovable = Some(text);
            }
            Switch::WriteOrder { options } => world.write_order = options,
            Switch::Grant { token, grant } => world.accounts.grant(&token, grant),
            Switch::RemoveFirewall { vmid } => {
                world.firewalls.remove(&vmid);
            }
            Switch::Freeze { node, frozen } => {
                world.nodes.get_mut(&node).ok_or_else(|| no_node(&node))?.frozen = frozen;
            }
            Switch::Daemon { node, running } => {
                world.nodes.get_mut(&node).ok_or_else(|| no_node(&node))?.daemon = running;
                self.forget_daemon(&node);
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

    /// A node loses power. Says which machines ran on it.
    pub(super) fn crash(&mut self, node: &str) -> Vec<Incarnation> {
        if let Some(node) = self.world.nodes.get_mut(node) {
            node.online = false;
        }
        let here = self.world.machines.values_mut().filter(|machine| machine.node == node);
        let stopped = here.filter_map(|machine| machine.running.take().map(|_| Incarnation::of(machine)));
        let stopped = stopped.collect();
        self.kill_workers(node);
        stopped
    }
}
