//! A machine of the model.

use deploy_core::{
    Backup, Bytes, Disk, DiskLimits, DiskSlot, FirewallOptions, FirewallRule, GuestV4, GuestV6, MacAddr,
    MachineConfig, NicSlot, NodeName, PasswordHash, Power, PvePool, RuleKey, SmbiosUuid, Snapshot, Traffic,
};
use ipnet::IpNet;
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// A machine as it is, and not as anybody is shown it.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::struct_excessive_bools)] // independent properties, as PVE has them
pub struct ModelMachine {
    /// Its node.
    pub node: NodeName,
    /// Its configuration. `revision` is not kept here but counted in [`revision`](Self::revision).
    pub config: MachineConfig,
    /// Grows with every change of the configuration.
    pub revision: u64,
    /// The options that were written and not applied: what a call that was cut off leaves.
    pub pending: BTreeSet<String>,
    /// The password that cloud-init would be told.
    pub password: Option<PasswordHash>,
    /// The volume of every drive that has one (a CD-ROM may be empty).
    pub drive_volumes: BTreeMap<DiskSlot, String>,
    /// Volumes that are unused as soon as what took their places is in force.
    pub displaced: Vec<String>,
    /// Whether it runs.
    pub power: Power,
    /// Since when it runs.
    pub running_since: Option<Timestamp>,
    /// What its NICs counted since it was started, for tests to set.
    pub counted: Traffic,
    /// How many times it was started.
    pub starts: u32,
    /// Its lock.
    pub lock: Option<String>,
    /// Its firewall.
    pub firewall: ModelFirewall,
    /// Its backups. Those that outlive it are found again by whoever gets the number next.
    pub backups: Vec<Backup>,
    /// Its snapshots, oldest first.
    pub snapshots: Vec<ModelSnapshot>,
    /// The state that the high-availability manager is told to keep it in, if it cares for it.
    pub ha: Option<String>,
    /// What is on its disks: a number that a test counts up for what the guest writes. Snapshots and backups keep it.
    pub written: u64,
    /// Its resource pool.
    pub pool: Option<PvePool>,
    /// Whether it is a template.
    pub template: bool,
    /// Whether the guest shuts down when it is asked to.
    pub follows_shutdown: bool,
    /// How many times yet the guest powers off by itself, as soon as it runs.
    pub falls: u32,
}

impl ModelMachine {
    /// A stopped machine without any hardware.
    pub fn bare(node: NodeName) -> Self {
        Self {
            node,
            config: MachineConfig::default(),
            revision: 1,
            pending: BTreeSet::new(),
            password: None,
            drive_volumes: BTreeMap::new(),
            displaced: Vec::new(),
            power: Power::Stopped,
            running_since: None,
            counted: Traffic::default(),
            starts: 0,
            lock: None,
            firewall: ModelFirewall::default(),
            backups: Vec::new(),
            snapshots: Vec::new(),
            ha: None,
            written: 0,
            pool: None,
            template: false,
            follows_shutdown: true,
            falls: 0,
        }
    }

    /// A template: one disk of 10 GiB at `scsi0` of storage `local`, from which it boots, and nothing else.
    ///
    /// # Panics
    /// Never: the names are right.
    #[allow(clippy::missing_panics_doc, clippy::unwrap_used)] // constants
    pub fn template(node: NodeName) -> Self {
        let mut machine = Self { template: true, ..Self::bare(node) };
        let slot: DiskSlot = "scsi0".parse().unwrap();
        machine.config.smbios = Some(SmbiosUuid(uuid::Uuid::from_u128(1)));
        machine.config.boot = vec![slot];
        machine.config.disks.insert(
            slot,
            Disk {
                volume: "local:base-disk-0".to_owned(),
                storage: "local".parse().unwrap(),
                size: Some(Bytes(10 << 30)),
                limits: DiskLimits::default(),
                options: BTreeMap::new(),
            },
        );
        machine
    }

    /// Whether starting and stopping it are wishes to the high-availability manager.
    pub fn is_managed(&self) -> bool {
        self.ha.as_deref().is_some_and(|state| state != "ignored")
    }

    /// The volumes that its configuration names.
    pub fn named_volumes(&self) -> BTreeSet<&str> {
        let disks = self.config.disks.values().map(|disk| disk.volume.as_str());
        let unused = self.config.unused.values().chain(&self.displaced).map(String::as_str);
        disks.chain(unused).chain(self.drive_volumes.values().map(String::as_str)).collect()
    }

    /// The addresses that a guest that was told its networks has.
    pub(super) fn guest_addresses(&self) -> Vec<(MacAddr, IpAddr)> {
        let mut shown = Vec::new();
        for (slot, network) in &self.config.cloud_init.networks {
            let Some(nic) = self.config.nics.get(slot) else { continue };
            if let Some(GuestV4::Static { address, .. }) = network.v4 {
                shown.push((nic.mac, IpAddr::V4(address.addr())));
            }
            if let Some(GuestV6::Static { address, .. }) = network.v6 {
                shown.push((nic.mac, IpAddr::V6(address.addr())));
            }
        }
        shown
    }
}

/// A snapshot as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelSnapshot {
    /// What is shown of it.
    pub shown: Snapshot,
    /// The configuration that it goes back to.
    pub config: MachineConfig,
    /// The password that cloud-init was told.
    pub password: Option<PasswordHash>,
    /// What was on the disks.
    pub written: u64,
}

/// A firewall as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModelFirewall {
    /// The options.
    pub options: FirewallOptions,
    /// All rules, first to last.
    pub rules: Vec<ModelRule>,
    /// Grows with every change of the rules.
    pub revision: u64,
    /// The anti-spoofing sets.
    pub filters: BTreeMap<NicSlot, BTreeSet<IpNet>>,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelRule {
    /// One of ours.
    Ours(FirewallRule),
    /// Somebody else's, in words.
    Foreign(String),
}

impl ModelRule {
    /// The key in its comment.
    pub fn key(&self) -> Option<RuleKey> {
        match self {
            Self::Ours(rule) => Some(rule.key()),
            Self::Foreign(_) => None,
        }
    }
}
