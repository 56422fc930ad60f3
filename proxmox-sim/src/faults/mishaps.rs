//! What happens to the cluster by itself.

use serde::{Deserialize, Serialize};

/// What goes wrong in the cluster by itself, how often, and for how long.
///
/// Mishaps are drawn from the seed and happen between requests, as events of the cluster: whoever drives it with
/// [`Cluster::next_event`](crate::Cluster::next_event) and [`Cluster::advance`](crate::Cluster::advance) meets
/// them. While [`interval`](Self::interval) is not 0 there is always a next event. Each is counted under the
/// name of its weight in [`Counters::faults`](crate::Counters::faults) and written into
/// [`Cluster::mishaps`](crate::Cluster::mishaps), with the machine that it concerned.
///
/// A kind with the weight 0 never happens; one that nothing can happen to at the moment (no machine runs,
/// every storage is full) leaves its turn to another. People act through the interface of the cluster, so they do
/// what it lets them: nothing without a majority or on a node that is away, and nothing to a machine
/// that is locked or that a worker holds. They leave templates and one another's machines alone.
///
/// ```
/// use std::time::Duration;
/// use proxmox_sim::{Cluster, ClusterConfig, Faults, MishapKind, Mishaps};
///
/// // Something every ten seconds for ten minutes; then all is mended and the cluster comes to rest.
/// let mishaps = Mishaps { vmids: Some([100, 199]), until: Some(600.0), ..Mishaps::every(10.0) };
/// let faults = Faults { mishaps, ..Faults::none() };
/// let mut cluster = Cluster::new(ClusterConfig { faults, ..ClusterConfig::quick() });
/// while let Some(time) = cluster.next_event() {
///     cluster.advance(time);
/// }
/// assert!(cluster.mishaps().len() > 30);
/// assert!(cluster.mishaps().iter().all(|mishap| !mishap.lasts()), "nothing is broken any more");
/// assert!(cluster.mishaps().iter().any(|mishap| matches!(mishap.kind, MishapKind::NodeDown { .. })));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mishaps {
    /// Mean number of seconds from one to the next; 0 for none. The intervals are distributed
    /// exponentially, as those of independent accidents are.
    pub interval: f64,
    /// Seconds of the cluster's time after which none begins any more and everything that is broken is mended.
    pub until: Option<f64>,
    /// Shortest and longest duration, in seconds, of those that end by themselves.
    pub lasting: [f64; 2],
    /// First and last VMID of the machines that people touch, and of the numbers that a stranger takes. Without a
    /// range there are no people.
    pub vmids: Option<[u32; 2]>,
    /// The API of a node goes away for a while: requests to it are answered with 595. Its machines and
    /// workers go on.
    pub node_down: u32,
    /// A node loses power for a while: its workers die where they are, as if killed, and its machines stop.
    /// When it is back it starts those with `onboot`.
    pub node_crash: u32,
    /// A node hangs for a while: requests to it are given up by the next hop after 30 s (596) and never carried
    /// out.
    pub node_freeze: u32,
    /// The cluster has no majority for a while: its configuration cannot be written, reads work.
    pub quorum_lost: u32,
    /// A storage is full for a while: no volume can be made on it or grow.
    pub storage_full: u32,
    /// Somebody changes the cores or the memory of a machine. While it runs the change is pending.
    pub edit_hardware: u32,
    /// Somebody writes into the notes of a machine, half of the times in the place of what is there: a
    /// mark in them is gone.
    pub edit_notes: u32,
    /// Somebody turns `onboot` on or off.
    pub edit_onboot: u32,
    /// Somebody adds a tag to a machine.
    pub edit_tags: u32,
    /// Somebody connects a network device to another bridge of the node.
    pub edit_bridge: u32,
    /// Somebody deletes a firewall rule of a machine.
    pub delete_rule: u32,
    /// Somebody grows a disk of a machine.
    pub grow_disk: u32,
    /// A machine is shut down from within its guest. The only act of people that no lock keeps away.
    pub power_off: u32,
    /// Somebody stops a machine.
    pub stop: u32,
    /// Somebody stops and destroys a machine.
    pub delete: u32,
    /// Somebody else creates a machine under one of the first free numbers of the range. It stays.
    pub take_number: u32,
}

impl Default for Mishaps {
    fn default() -> Self {
        Self {
            node_down: 2,
            node_crash: 1,
            node_freeze: 1,
            quorum_lost: 1,
            storage_full: 1,
            edit_hardware: 2,
            edit_notes: 2,
            edit_onboot: 1,
            edit_tags: 1,
            edit_bridge: 1,
            delete_rule: 1,
            grow_disk: 1,
            power_off: 1,
            stop: 1,
            delete: 1,
            take_number: 1,
            ..Self::unweighted(0.0)
        }
    }
}

impl Mishaps {
    /// No mishaps.
    pub fn none() -> Self {
        Self::default()
    }

    /// Every kind, with that many seconds between two in the mean. People need a range of
    /// [VMIDs](Self::vmids) besides.
    pub fn every(interval: f64) -> Self {
        Self { interval, ..Self::default() }
    }

    /// The given interval with every weight 0, for a mixture of one's own.
    pub const fn unweighted(interval: f64) -> Self {
        Self {
            interval,
            until: None,
            lasting: [5.0, 60.0],
            vmids: None,
            node_down: 0,
            node_crash: 0,
            node_freeze: 0,
            quorum_lost: 0,
            storage_full: 0,
            edit_hardware: 0,
            edit_notes: 0,
            edit_onboot: 0,
            edit_tags: 0,
            edit_bridge: 0,
            delete_rule: 0,
            grow_disk: 0,
            power_off: 0,
            stop: 0,
            delete: 0,
            take_number: 0,
        }
    }

    /// The kinds that can be drawn, with their weights.
    pub(crate) fn weights(&self) -> Vec<(u32, Kind)> {
        let all = [
            (self.node_down, Kind::NodeDown),
            (self.node_crash, Kind::NodeCrash),
            (self.node_freeze, Kind::NodeFreeze),
            (self.quorum_lost, Kind::QuorumLost),
            (self.storage_full, Kind::StorageFull),
            (self.edit_hardware, Kind::EditHardware),
            (self.edit_notes, Kind::EditNotes),
            (self.edit_onboot, Kind::EditOnboot),
            (self.edit_tags, Kind::EditTags),
            (self.edit_bridge, Kind::EditBridge),
            (self.delete_rule, Kind::DeleteRule),
            (self.grow_disk, Kind::GrowDisk),
            (self.power_off, Kind::PowerOff),
            (self.stop, Kind::Stop),
            (self.delete, Kind::Delete),
            (self.take_number, Kind::TakeNumber),
        ];
        all.into_iter().filter(|(weight, _)| *weight > 0).collect()
    }
}

/// What can be drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    NodeDown,
    NodeCrash,
    NodeFreeze,
    QuorumLost,
    StorageFull,
    EditHardware,
    EditNotes,
    EditOnboot,
    EditTags,
    EditBridge,
    DeleteRule,
    GrowDisk,
    PowerOff,
    Stop,
    Delete,
    TakeNumber,
}

impl Kind {
    /// Its name among the counters.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::NodeDown => "node_down",
            Self::NodeCrash => "node_crash",
            Self::NodeFreeze => "node_freeze",
            Self::QuorumLost => "quorum_lost",
            Self::StorageFull => "storage_full",
            Self::EditHardware => "edit_hardware",
            Self::EditNotes => "edit_notes",
            Self::EditOnboot => "edit_onboot",
            Self::EditTags => "edit_tags",
            Self::EditBridge => "edit_bridge",
            Self::DeleteRule => "delete_rule",
            Self::GrowDisk => "grow_disk",
            Self::PowerOff => "power_off",
            Self::Stop => "stop",
            Self::Delete => "delete",
            Self::TakeNumber => "take_number",
        }
    }
}
