//! Everything a cluster knows: what its configuration files, disks and processes hold.

mod archive;
mod build;
mod drive;
mod firewall;
mod guest;
mod machine;
mod machine_config;
mod picture;
mod random;
mod statistics;
mod storage;
mod stranger;
mod volumes;
mod wording;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub(crate) use archive::{Archive, ArchivedDisk};
pub(crate) use drive::{Drive, is_drive, parse_size, print_size};
pub(crate) use firewall::{Firewall, IpSet, IpSetEntry, normalise_cidr};
pub(crate) use guest::net_of;
pub(crate) use machine::{Machine, Running, Snapshot, drives_of};
pub(crate) use machine_config::{MachineConfig, PLACEHOLDER, option_value};
pub(crate) use random::Random;
pub(crate) use statistics::{Statistic, Statistics};
pub(crate) use storage::{Storage, Volume, split_volid};
pub(crate) use volumes::Place;
pub(crate) use wording::transferred;

use crate::access::Accounts;
use crate::config::NicTraffic;
use crate::task::Tasks;
use crate::timing::Durations;
use crate::version::Version;

/// Time since the cluster began.
pub type Time = Duration;

/// A node.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) id: u32,
    pub(crate) online: bool,
    /// Takes requests and never answers them.
    pub(crate) frozen: bool,
    /// The privileged daemon runs.
    pub(crate) daemon: bool,
    pub(crate) bridges: Vec<String>,
}

impl Node {
    /// Whether nothing is wrong with it.
    pub(crate) fn takes_requests(&self) -> bool {
        self.online && self.daemon && !self.frozen
    }
}

/// A high-availability resource: what the manager is told.
#[derive(Debug, Clone)]
pub(crate) struct HaResource {
    pub(crate) state: String,
    pub(crate) comment: Option<String>,
}

/// The state of the cluster.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) name: String,
    pub(crate) version: Version,
    pub(crate) epoch: u64,
    pub(crate) now: Time,
    pub(crate) durations: Durations,
    pub(crate) nodes: BTreeMap<String, Node>,
    /// Processors of every node.
    pub(crate) node_cpus: u64,
    /// What each NIC of a running machine receives and sends.
    pub(crate) nic_traffic: NicTraffic,
    /// Whether wishes for the HA manager are carried out.
    pub(crate) ha_manager: bool,
    pub(crate) quorate: bool,
    pub(crate) storages: BTreeMap<String, Storage>,
    /// Sizes of image files outside the storages, by path.
    pub(crate) files: BTreeMap<String, u64>,
    /// Order in which the next configuration change writes.
    pub(crate) write_order: Vec<String>,
    /// Options of the cluster's firewall.
    pub(crate) cluster_firewall: BTreeMap<String, String>,
    pub(crate) machines: BTreeMap<u32, Machine>,
    /// By VMID, whether or not the machine exists.
    pub(crate) firewalls: BTreeMap<u32, Firewall>,
    /// Pool and its members.
    pub(crate) pools: BTreeMap<String, Vec<u32>>,
    pub(crate) ha: BTreeMap<u32, HaResource>,
    pub(crate) tasks: Tasks,
    pub(crate) accounts: Accounts,
    pub(crate) random: Random,
    pub(crate) statistics: Statistics,
    /// UUIDs of the machines that somebody else made.
    pub(crate) strangers: BTreeSet<String>,
}

impl World {
    /// Unix time.
    pub(crate) fn unix(&self) -> u64 {
        self.epoch + self.now.as_secs()
    }

    /// A duration of the configured table, scaled and jittered.
    pub(crate) fn lasting(&mut self, seconds: f64) -> Duration {
        let roll = self.random.roll();
        self.durations.scaled(seconds, roll)
    }

    /// The machine, if its configuration is on that node.
    pub(crate) fn machine_on(&self, node: &str, vmid: u32) -> Result<&Machine, String> {
        self.machines.get(&vmid).filter(|machine| machine.node == node).ok_or_else(|| missing(node, vmid))
    }

    pub(crate) fn machine_on_mut(&mut self, node: &str, vmid: u32) -> Result<&mut Machine, String> {
        self.machines.get_mut(&vmid).filter(|machine| machine.node == node).ok_or_else(|| missing(node, vmid))
    }

    /// The same with the text that clone, stop and shutdown use.
    pub(crate) fn find_machine(&self, node: &str, vmid: u32) -> Result<&Machine, String> {
        self.machine_on(node, vmid)
            .map_err(|_| format!("unable to find configuration file for VM {vmid} on node '{node}'"))
    }

    pub(crate) fn pool_of(&self, vmid: u32) -> Option<&str> {
        self.pools.iter().find(|(_, members)| members.contains(&vmid)).map(|(name, _)| name.as_str())
    }

    /// Whether the node that is asked sees another one: without a majority it sees only itself.
    pub(crate) fn sees(&self, node: &Node) -> bool {
        node.online && (self.quorate || node.id == 1)
    }

    /// Refuses when the cluster has no majority.
    pub(crate) fn need_quorum(&self) -> Result<(), String> {
        if self.quorate { Ok(()) } else { Err("cluster not ready - no quorum?".to_owned()) }
    }

    /// Refuses a write of a configuration file when the cluster has no majority.
    pub(crate) fn need_writable(&self, node: &str, vmid: u32) -> Result<(), String> {
        if self.quorate { Ok(()) } else { Err(Self::not_writable(node, vmid)) }
    }

    /// What a write of a configuration file ends with when there is no majority.
    pub(crate) fn not_writable(node: &str, vmid: u32) -> String {
        let file = format!("/etc/pve/nodes/{node}/qemu-server/{vmid}.conf.tmp.25085");
        format!("unable to open file '{file}' - Permission denied")
    }
}

fn missing(node: &str, vmid: u32) -> String {
    format!("Configuration file 'nodes/{node}/qemu-server/{vmid}.conf' does not exist")
}
