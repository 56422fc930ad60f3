//! The receipt of a termination: what became of each resource of the machine.

use crate::{DiskSlot, NodeName, SnapshotName, StorageId, Vmid};
use serde::{Deserialize, Serialize};
use std::{fmt, net::IpAddr};

/// One line of a receipt: what became of one resource of a machine that is taken away. There is one line for each resource, in the
/// order in which they were come upon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Receipt {
    /// A resource.
    Resource {
        /// Which.
        resource: Resource,
        /// What became of it.
        fate: Fate,
    },
    /// In words: of a machine that was never taken on, and of all as versions before this one wrote it down.
    Words(String),
}

/// A resource of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Resource {
    /// What the high-availability manager knew of it.
    Ha,
    /// The guest, as far as it ran.
    Guest,
    /// A backup.
    Backup {
        /// The volume, in the hypervisor's own words.
        volume: String,
        /// The storage it is on.
        storage: StorageId,
    },
    /// The backups that a storage may hold.
    Backups {
        /// The node that was asked.
        node: NodeName,
        /// The storage; `None` is all of the node's own.
        storage: Option<StorageId>,
    },
    /// Its protection against being destroyed.
    Protection,
    /// All snapshots.
    Snapshots,
    /// A snapshot.
    Snapshot(SnapshotName),
    /// A disk.
    Disk {
        /// Where it was plugged in; `None` for one that was unplugged (PVE: `unusedN`).
        slot: Option<DiskSlot>,
        /// The volume, in the hypervisor's own words.
        volume: String,
    },
    /// The machine itself, with its configuration and its firewall.
    Machine(Vmid),
    /// A volume that carries its number and that nothing named.
    Leftover {
        /// The node to ask for it.
        node: NodeName,
        /// The volume, in the hypervisor's own words.
        volume: String,
    },
    /// All such volumes.
    Leftovers,
    /// An address.
    Address(IpAddr),
}

/// What became of a resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fate {
    /// It was asked to go, or is to go with the machine; nobody has seen it gone yet.
    Pending,
    /// It was deleted; of an address, it was given back to its pool.
    Deleted,
    /// The guest was asked to shut down, and stopped hard if it had not followed after so many seconds.
    ShutDown {
        /// Seconds.
        patience: u16,
    },
    /// The guest was stopped hard.
    Stopped,
    /// The guest did not run.
    NotRunning,
    /// It was gone already: nothing had to be done, or somebody else did it.
    AlreadyGone,
    /// It was left as it is.
    Kept(Kept),
    /// It is not known, for this reason.
    NotKnown(String),
}

/// Why a resource was left as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kept {
    /// It is protected: somebody wants to keep it.
    Protected,
    /// It is, or may be, somebody else's.
    Foreign,
    /// A number alone does not prove whose it is, and to free what somebody uses destroys it.
    Unproven,
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resource { resource, fate } => write!(f, "{resource}: {fate}"),
            Self::Words(words) => f.write_str(words),
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ha => f.write_str("HA resource"),
            Self::Guest => f.write_str("guest"),
            Self::Backup { volume, .. } => write!(f, "backup {volume}"),
            Self::Backups { node, storage: Some(storage) } => {
                write!(f, "backups on storage {storage} of {node}")
            }
            Self::Backups { node, storage: None } => write!(f, "backups on the storages of {node}"),
            Self::Protection => f.write_str("protection"),
            Self::Snapshots => f.write_str("snapshots"),
            Self::Snapshot(name) => write!(f, "snapshot {name}"),
            Self::Disk { slot: Some(slot), volume } => write!(f, "disk {slot}, {volume}"),
            Self::Disk { slot: None, volume } => write!(f, "unused disk {volume}"),
            Self::Machine(vmid) => write!(f, "machine {vmid}"),
            Self::Leftover { node, volume } => write!(f, "volume {volume} on {node}"),
            Self::Leftovers => f.write_str("volumes that nothing names"),
            Self::Address(address) => write!(f, "address {address}"),
        }
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pending => f.write_str("being deleted"),
            Self::Deleted => f.write_str("deleted"),
            Self::ShutDown { patience } => write!(f, "shut down, or stopped after {patience} s"),
            Self::Stopped => f.write_str("stopped hard"),
            Self::NotRunning => f.write_str("did not run"),
            Self::AlreadyGone => f.write_str("gone already"),
            Self::Kept(Kept::Protected) => f.write_str("kept, it is protected"),
            Self::Kept(Kept::Foreign) => f.write_str("kept, it is somebody else's"),
            Self::Kept(Kept::Unproven) => f.write_str("left, nothing proves whose it is"),
            Self::NotKnown(why) => write!(f, "not known: {why}"),
        }
    }
}
