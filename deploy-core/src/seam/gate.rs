use crate::{ClusterName, NodeName, StorageId, VmKey, Vmid};
use std::fmt;

/// Something of which a cluster has only so much: three workers of a node's API daemon, the lock of a storage.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// Any change in this cluster.
    Cluster(ClusterName),
    /// A change on this node.
    Node(ClusterName, NodeName),
    /// A clone onto this storage. `None` is the template's own, whatever it is.
    CloneStorage(ClusterName, Option<StorageId>),
    /// A clone of this template.
    Template(ClusterName, Vmid),
    /// A migration from or to this node.
    Migration(ClusterName, NodeName),
    /// A backup that is made or restored on this node, for as long as its data are copied.
    Backup(ClusterName, NodeName),
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster(cluster) => write!(f, "a change in cluster {cluster}"),
            Self::Node(_, node) => write!(f, "a change on node {node}"),
            Self::CloneStorage(_, Some(storage)) => write!(f, "a clone onto storage {storage}"),
            Self::CloneStorage(_, None) => f.write_str("a clone onto the template's storage"),
            Self::Template(_, template) => write!(f, "a clone of template {template}"),
            Self::Migration(_, node) => write!(f, "a migration of node {node}"),
            Self::Backup(_, node) => write!(f, "a backup on node {node}"),
        }
    }
}

/// Lets only so many changes run at once.
///
/// # Guarantees
/// A machine that entered holds its slots until it leaves, also while a task of the hypervisor runs. Entering again
/// with other slots gives the old ones back. Waiting for a slot is a state, not a failure: nothing is written.
pub trait Gate: Send + Sync {
    /// Takes all of these slots, or none.
    ///
    /// # Errors
    /// The first slot that is full. Whoever is refused is told, by whatever means the implementation has, when it is
    /// worth asking again.
    fn enter(&self, key: VmKey, slots: &[Slot]) -> Result<(), Slot>;

    /// Gives back what the machine holds.
    fn leave(&self, key: VmKey);
}

/// A gate that never closes.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenGate;

impl Gate for OpenGate {
    fn enter(&self, _key: VmKey, _slots: &[Slot]) -> Result<(), Slot> {
        Ok(())
    }

    fn leave(&self, _key: VmKey) {}
}
