//! Backups of a machine.

use crate::{Bytes, Invalid, NodeName, Resource, StorageId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A backup of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    /// The node to ask for it.
    pub node: NodeName,
    /// The storage it is on.
    pub storage: StorageId,
    /// The volume, in the hypervisor's own words.
    pub volume: String,
    /// Whether it is protected against deletion.
    pub protected: bool,
    /// Its size.
    pub size: Option<Bytes>,
    /// When it was made, by the hypervisor's clock; `None` where that is not known. A number says nothing about whose
    /// backup it is: an earlier machine's carries the same.
    #[serde(default)]
    pub made_at: Option<Timestamp>,
    /// Its notes; of several lines the first.
    #[serde(default)]
    pub notes: Option<String>,
}

impl Backup {
    /// As a receipt names it.
    pub(crate) fn resource(&self) -> Resource {
        Resource::Backup { volume: self.volume.clone(), storage: self.storage.clone() }
    }
}

/// What was seen of a machine's backups.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Backups {
    /// Those that were found.
    pub found: Vec<Backup>,
    /// Where there may be more. Empty is all there are, as far as our rights go.
    pub unread: Vec<Unread>,
}

/// A storage that may hold backups and could not be read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unread {
    /// The node that was asked. A storage that nodes share is told once.
    pub node: NodeName,
    /// The storage; `None` is all of the node's own.
    pub storage: Option<StorageId>,
    /// Why not, in words.
    pub why: String,
}

impl Unread {
    /// As a receipt names it.
    pub(crate) fn resource(&self) -> Resource {
        Resource::Backups { node: self.node.clone(), storage: self.storage.clone() }
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { node, storage, why } = self;
        match storage {
            Some(storage) => write!(f, "storage {storage} of {node}: {why}"),
            None => write!(f, "the storages of {node}: {why}"),
        }
    }
}

/// How the guest is treated while it is backed up (PVE: `vzdump`, `mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackupMode {
    /// It runs on. Consistent like a disk after a power cut; with the guest agent, its file systems are frozen for a moment.
    #[default]
    Snapshot,
    /// It is paused for a moment more. PVE keeps it for old times' sake; it gains nothing over `snapshot`.
    Suspend,
    /// It is shut down, and started again as soon as the backup has begun.
    Stop,
}

impl BackupMode {
    /// Every mode, with its name in PVE.
    pub const ALL: [(Self, &'static str); 3] =
        [(Self::Snapshot, "snapshot"), (Self::Suspend, "suspend"), (Self::Stop, "stop")];
}

impl fmt::Display for BackupMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::ALL.iter().find(|(mode, _)| mode == self).map_or("", |(_, name)| name))
    }
}

impl FromStr for BackupMode {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let mode = Self::ALL.iter().find(|(_, name)| *name == text).map(|(mode, _)| *mode);
        mode.ok_or_else(|| Invalid::new("mode", text, "\"snapshot\", \"suspend\" or \"stop\""))
    }
}
