use crate::{
    Agent, Bytes, ClusterName, Lock, LookError, Machine, MachineId, NodeName, Obscured, Power, Tag, Traffic,
    Vmid,
};
use async_trait::async_trait;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Sees how machines are, without a thought of changing them.
///
/// # Cancel safety
/// Looking is safe to drop.
#[async_trait]
pub trait Surveyor: Send + Sync {
    /// All guests and nodes of a cluster that we may see, by one call.
    ///
    /// # Errors
    /// [`LookError`].
    async fn survey(&self, cluster: &ClusterName) -> Result<Survey, LookError>;

    /// Everything about a machine, with few requests at once. What cannot be seen for want of a right, or because its guest
    /// does not answer, leaves the rest as it is and is named in [`Inspected::hidden`].
    async fn inspect(&self, id: &MachineId) -> Inspection;
}

/// A cluster as its list shows it.
///
/// Existence, node, lock and tags are as they are at the moment; everything else was told by each node within the last ten
/// seconds, or, where a node tells nothing any more, within the last five minutes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Survey {
    /// Its guests, by number.
    pub guests: BTreeMap<Vmid, Surveyed>,
    /// Its nodes, and whether each is a live member.
    pub nodes: BTreeMap<NodeName, NodeState>,
}

/// Whether a node is a live member of its cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // the names say it
pub enum NodeState {
    Online,
    Offline,
}

/// One guest of a cluster's list.
#[derive(Debug, Clone, PartialEq)]
pub struct Surveyed {
    /// What it is.
    pub kind: GuestKind,
    /// The node it is on.
    pub node: NodeName,
    /// Its name, where the list knows it already.
    pub name: Option<String>,
    /// Whether it runs, also where it is paused; `None` where the list does not know, which is normal for a fresh machine.
    pub power: Option<Power>,
    /// How long it has run, in seconds.
    pub uptime: Option<u64>,
    /// Its lock.
    pub lock: Option<Lock>,
    /// Its tags.
    pub tags: BTreeSet<Tag>,
    /// Its CPUs, in all sockets.
    pub cpus: Option<u32>,
    /// Its memory.
    pub memory: Option<Bytes>,
    /// What its NICs counted since it was started, or moved while it ran.
    pub counted: Option<Traffic>,
}

/// What a guest is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // the names say it
pub enum GuestKind {
    Machine,
    Template,
    Container,
}

/// The outcome of inspecting a machine.
#[derive(Debug, Clone, PartialEq)]
pub enum Inspection {
    /// It is there.
    Seen(Box<Inspected>),
    /// No guest of the cluster has this number, by an answer that permissions do not filter.
    ProvenAbsent,
    /// Nobody can tell.
    Unknown(Obscured),
}

/// A machine with all that can be seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Inspected {
    /// The machine: configuration, power, what waits, firewall, pool, agent.
    pub machine: Machine,
    /// How long it has run, in seconds; 0 where it does not.
    pub uptime: Option<u64>,
    /// The tasks that work on it now, the one that began first first.
    pub tasks: Vec<RunningTask>,
    /// What could not be seen, and why.
    pub hidden: Vec<Hidden>,
}

impl Inspected {
    /// What its guest agent says, if it was asked.
    pub fn agent(&self) -> Option<&Agent> {
        self.machine.agent.as_ref()
    }
}

/// A part of a machine that could not be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hidden {
    /// Which.
    pub part: &'static str,
    /// Why.
    pub why: Obscured,
}

/// A task that works on a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningTask {
    /// Its type, in the hypervisor's own word, such as `qmigrate`.
    pub kind: String,
    /// Since when, by the clock of the node that it runs on.
    pub since: Timestamp,
    /// Who began it: a user, or a user's token.
    pub user: String,
}
