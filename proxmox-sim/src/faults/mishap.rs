//! What has happened to the cluster by itself.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use crate::world::Time;

/// Something that happened to the cluster by itself.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Mishap {
    /// When it happened or began. Serialised as seconds, as `ended` is.
    #[serde(serialize_with = "seconds")]
    pub at: Time,
    /// When it was over; none while it lasts. What is done in a moment is over at once.
    #[serde(serialize_with = "some_seconds")]
    pub ended: Option<Time>,
    /// What it was.
    #[serde(flatten)]
    pub kind: MishapKind,
}

/// What a mishap was.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
#[non_exhaustive]
pub enum MishapKind {
    /// The API of a node was away.
    NodeDown {
        /// The node.
        node: String,
    },
    /// A node lost power.
    NodeCrash {
        /// The node.
        node: String,
        /// The machines that ran on it.
        stopped: Vec<Incarnation>,
    },
    /// A node hung.
    NodeFreeze {
        /// The node.
        node: String,
    },
    /// The cluster had no majority.
    QuorumLost,
    /// A storage was full.
    StorageFull {
        /// The storage.
        storage: String,
    },
    /// Somebody changed an option of a machine.
    Edit {
        /// The machine.
        machine: Incarnation,
        /// Name of the option.
        option: String,
        /// Its value before.
        old: Option<String>,
        /// Its value after.
        new: String,
    },
    /// Somebody deleted a firewall rule of a machine.
    DeleteRule {
        /// The machine.
        machine: Incarnation,
        /// The rule.
        rule: BTreeMap<String, String>,
    },
    /// Somebody grew a disk of a machine.
    GrowDisk {
        /// The machine.
        machine: Incarnation,
        /// The slot of the disk.
        slot: String,
        /// Bytes before.
        old: u64,
        /// Bytes after.
        new: u64,
    },
    /// A machine was shut down from within.
    PowerOff {
        /// The machine.
        machine: Incarnation,
    },
    /// Somebody stopped a machine.
    Stop {
        /// The machine.
        machine: Incarnation,
    },
    /// Somebody destroyed a machine.
    Delete {
        /// The machine.
        machine: Incarnation,
    },
    /// Somebody else created a machine under a free number.
    TakeNumber {
        /// The new machine, a stranger's.
        machine: Incarnation,
    },
}

/// A machine, told apart from those that had its number before or will have it later.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Incarnation {
    /// Its VMID.
    pub vmid: u32,
    /// UUID of its `smbios1`, where it has one.
    pub uuid: Option<String>,
}

impl Mishap {
    /// Whether it is not over yet.
    pub fn lasts(&self) -> bool {
        self.ended.is_none()
    }

    /// The one machine that somebody touched.
    pub fn machine(&self) -> Option<&Incarnation> {
        match &self.kind {
            MishapKind::Edit { machine, .. }
            | MishapKind::DeleteRule { machine, .. }
            | MishapKind::GrowDisk { machine, .. }
            | MishapKind::PowerOff { machine }
            | MishapKind::Stop { machine }
            | MishapKind::Delete { machine }
            | MishapKind::TakeNumber { machine } => Some(machine),
            MishapKind::NodeDown { .. }
            | MishapKind::NodeCrash { .. }
            | MishapKind::NodeFreeze { .. }
            | MishapKind::QuorumLost
            | MishapKind::StorageFull { .. } => None,
        }
    }
}

pub(crate) fn seconds<S: Serializer>(time: &Time, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

#[allow(clippy::ref_option, reason = "serde hands it over so")]
fn some_seconds<S: Serializer>(time: &Option<Time>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(|time| time.as_secs_f64()).serialize(serializer)
}

impl MishapKind {
    /// Whether it goes on until it is mended.
    pub(crate) fn needs_mending(&self) -> bool {
        matches!(
            self,
            Self::NodeDown { .. }
                | Self::NodeCrash { .. }
                | Self::NodeFreeze { .. }
                | Self::QuorumLost
                | Self::StorageFull { .. }
        )
    }
}
