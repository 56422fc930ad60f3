//! Everything that can be asked of a hypervisor.

use crate::{
    Autostart, Backup, CloneMode, ClusterName, CpuCount, Disk, DiskLimits, DiskSlot, DnsName,
    FirewallOptions, FirewallRule, GiB, GuestNetwork, MiB, Nic, NicSlot, NodeName, OwnerMark, PasswordHash,
    PvePool, Revision, SmbiosUuid, SshKey, StorageId, Tag, UserName, Vmid,
};
use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
};

/// Where a machine is expected.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MachineId {
    /// Its cluster.
    pub cluster: ClusterName,
    /// Its number.
    pub vmid: Vmid,
    /// The node it was last on; a hint, machines move.
    pub node: NodeName,
}

/// What a change is made to, and on what knowledge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The machine, with the node it was seen on.
    pub machine: MachineId,
    /// Our mark.
    pub mark: OwnerMark,
    /// The recorded identity, once there is one.
    pub smbios: Option<SmbiosUuid>,
    /// The revision of the configuration that the decision was made on; a change of the configuration is refused by the
    /// hypervisor if it is no longer that.
    pub revision: Option<Revision>,
    /// After this time nothing of the change is sent any more: whoever stood still for so long may have lost the machine,
    /// and its successors wait for a late request only so long. [`decide`](crate::decide) leaves it open, for it knows no
    /// time; [`turn`](crate::turn) fills it in when the intent is written down.
    pub not_after: Option<Timestamp>,
}

impl Target {
    /// Whether it is too late to send anything.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.not_after.is_some_and(|not_after| now > not_after)
    }
}

/// A change, always a goal ("the size is 20 GiB", "slot scsi1 holds a disk of 32 GiB"), never a delta: asking twice does
/// no more than asking once. Closed, so that the compiler leads to every place that must know a new one.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// The target's number is a clone of a template.
    Clone {
        /// The template.
        template: Vmid,
        /// The node of the template.
        template_node: NodeName,
        /// Linked or full.
        mode: CloneMode,
        /// The name.
        name: DnsName,
    },
    /// It is in this resource pool.
    JoinPool(PvePool),
    /// It is on this node.
    Migrate {
        /// The node.
        to: NodeName,
        /// The storage its disks go to; `None` keeps each storage's name.
        storage: Option<StorageId>,
    },
    /// Its configuration has these settings.
    Configure(Box<Configure>),
    /// A disk has this size.
    Resize {
        /// The disk.
        slot: DiskSlot,
        /// The size, absolute.
        size: GiB,
    },
    /// Its firewall has these parts.
    SetFirewall(Box<SetFirewall>),
    /// It runs.
    Start,
    /// It does not run.
    Stop(StopMode),
    /// This backup is gone.
    DeleteBackup(Backup),
    /// The machine is gone, with its disks.
    Destroy,
}

/// How a machine is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopMode {
    /// At once.
    Hard,
    /// The guest is asked, and stopped hard after so many seconds.
    Graceful {
        /// Seconds to wait for the guest.
        patience: u16,
    },
}

/// Settings that one call can carry, also those of several steps. `None` and empty mean "as it is".
#[derive(Debug, Clone, PartialEq, Default)]
#[allow(missing_docs)] // the fields are those of `MachineConfig`
pub struct Configure {
    pub description: Option<String>,
    pub name: Option<DnsName>,
    pub tags: Option<BTreeSet<Tag>>,
    pub autostart: Option<Autostart>,
    pub protected: Option<bool>,
    pub sockets: Option<CpuCount>,
    pub cores: Option<CpuCount>,
    pub memory: Option<MiB>,
    pub balloon: Option<MiB>,
    pub disks: BTreeMap<DiskSlot, DiskGoal>,
    pub nics: BTreeMap<NicSlot, Nic>,
    pub remove_nics: BTreeSet<NicSlot>,
    pub cloud_init: CloudInitGoal,
    /// Sizes of disks that are there already, absolute: a request of its own each, after the settings.
    pub sizes: BTreeMap<DiskSlot, GiB>,
}

/// What a disk slot shall hold.
#[derive(Debug, Clone, PartialEq)]
pub enum DiskGoal {
    /// The disk that is there, with these limits and options.
    Keep(Disk),
    /// A new disk. Only for a slot seen empty, and guarded by the revision: repeated blindly it makes a second volume.
    Create {
        /// The storage.
        storage: StorageId,
        /// The size.
        size: GiB,
        /// The limits.
        limits: DiskLimits,
    },
}

/// What cloud-init shall be told. `None` means "as it is".
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[allow(missing_docs)] // the fields are those of `MachineCloudInit`
pub struct CloudInitGoal {
    /// A drive to make, where there is none.
    pub drive: Option<(DiskSlot, StorageId)>,
    pub user: Option<UserName>,
    pub password: Option<PasswordHash>,
    pub ssh_keys: Option<Vec<SshKey>>,
    pub networks: BTreeMap<NicSlot, GuestNetwork>,
    pub remove_networks: BTreeSet<NicSlot>,
    pub resolvers: Option<Vec<IpAddr>>,
    pub search_domain: Option<DnsName>,
    pub upgrade: Option<bool>,
}

impl Configure {
    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Takes in what `other` sets and this does not.
    pub fn merge(&mut self, other: Self) {
        let Self {
            description,
            name,
            tags,
            autostart,
            protected,
            sockets,
            cores,
            memory,
            balloon,
            disks,
            nics,
            ..
        } = other;
        self.description = self.description.take().or(description);
        self.name = self.name.take().or(name);
        self.tags = self.tags.take().or(tags);
        self.autostart = self.autostart.or(autostart);
        self.protected = self.protected.or(protected);
        self.sockets = self.sockets.or(sockets);
        self.cores = self.cores.or(cores);
        self.memory = self.memory.or(memory);
        self.balloon = self.balloon.or(balloon);
        for (slot, disk) in disks {
            self.disks.entry(slot).or_insert(disk);
        }
        for (slot, nic) in nics {
            self.nics.entry(slot).or_insert(nic);
        }
        self.remove_nics.extend(other.remove_nics);
        self.cloud_init.merge(other.cloud_init);
        for (slot, size) in other.sizes {
            self.sizes.entry(slot).or_insert(size);
        }
    }
}

impl CloudInitGoal {
    fn merge(&mut self, other: Self) {
        self.drive = self.drive.take().or(other.drive);
        self.user = self.user.take().or(other.user);
        self.password = self.password.take().or(other.password);
        self.ssh_keys = self.ssh_keys.take().or(other.ssh_keys);
        for (slot, network) in other.networks {
            self.networks.entry(slot).or_insert(network);
        }
        self.remove_networks.extend(other.remove_networks);
        self.resolvers = self.resolvers.take().or(other.resolvers);
        self.search_domain = self.search_domain.take().or(other.search_domain);
        self.upgrade = self.upgrade.or(other.upgrade);
    }
}

/// Parts that a machine's firewall shall have, in the order in which they are made: sets before members, members before
/// rules, and the options, which switch filtering on, last. An empty anti-spoofing set would cut the machine off.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SetFirewall {
    /// Anti-spoofing sets to make.
    pub create_filters: BTreeSet<NicSlot>,
    /// Members to add.
    pub add_members: BTreeSet<(NicSlot, IpNet)>,
    /// Members to take out, after the new ones are in.
    pub remove_members: BTreeSet<(NicSlot, IpNet)>,
    /// A surplus rule of ours, by position, guarded by the revision of the rules: positions move.
    pub remove_rule: Option<(u32, Option<Revision>)>,
    /// Rules to add, in the order in which they shall stand. PVE inserts at the top, so they are sent in reverse.
    pub add_rules: Vec<FirewallRule>,
    /// Options to set.
    pub options: Option<FirewallOptions>,
}

/// What kind of change, for logs and for what must be remembered of a change under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // the names are those of `Change`
pub enum ChangeKind {
    Clone,
    JoinPool,
    Migrate,
    Configure,
    Resize,
    SetFirewall,
    Start,
    Stop,
    DeleteBackup,
    Destroy,
}

impl ChangeKind {
    /// Whether it makes or frees volumes, which a worker that is killed in between leaves behind.
    pub(crate) fn moves_volumes(self) -> bool {
        match self {
            Self::Clone | Self::Migrate | Self::Configure | Self::Destroy => true,
            Self::JoinPool
            | Self::Resize
            | Self::SetFirewall
            | Self::Start
            | Self::Stop
            | Self::DeleteBackup => false,
        }
    }
}

/// What cannot be read back from a machine and is therefore remembered in its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Remembered {
    /// Our password was written: reading masks it, and a clone brings its template's.
    PasswordWritten,
    /// The machine was put in its PVE pool: without the right to audit pools nobody sees it.
    PoolJoined,
    /// Firewall rules were sent and not all answered: one may still arrive, a second time.
    RulesInDoubt,
    /// While rules were in doubt their time to arrive was waited for.
    RulesAwaited,
    /// Other parts of a firewall were sent and not answered: one that arrives late makes the file anew that went with the
    /// machine.
    FirewallInDoubt,
    /// Settings were sent and not all accepted: PVE has written some of them, and shows them as if they were in force.
    SettingsInDoubt,
    /// A worker that makes or frees volumes may have died: some may be left that no configuration names.
    VolumesInDoubt,
    /// It vanished, and its clone was not sent anew yet.
    Vanished,
    /// Another number was taken while a clone to the first was in doubt. Not twice: see `decide`.
    Renumbered,
    /// A clone was sent and not answered: it may still arrive.
    CloneInDoubt,
    /// While a clone was in doubt the machine was seen to be gone, and the clone's time to arrive was waited for.
    CloneAwaited,
}

impl Change {
    /// Its kind.
    pub fn kind(&self) -> ChangeKind {
        match self {
            Self::Clone { .. } => ChangeKind::Clone,
            Self::JoinPool(_) => ChangeKind::JoinPool,
            Self::Migrate { .. } => ChangeKind::Migrate,
            Self::Configure(_) => ChangeKind::Configure,
            Self::Resize { .. } => ChangeKind::Resize,
            Self::SetFirewall(_) => ChangeKind::SetFirewall,
            Self::Start => ChangeKind::Start,
            Self::Stop(_) => ChangeKind::Stop,
            Self::DeleteBackup(_) => ChangeKind::DeleteBackup,
            Self::Destroy => ChangeKind::Destroy,
        }
    }

    /// A number that equal changes share, to recognise one that is carried out again and again without effect.
    pub fn fingerprint(&self) -> u64 {
        crate::spec::fnv1a_of(format_args!("{self:?}"))
    }

    /// What is in doubt from the moment it goes out until it is answered.
    pub fn doubt(&self) -> Option<Remembered> {
        match self {
            Self::Clone { .. } => Some(Remembered::CloneInDoubt),
            Self::SetFirewall(set) if !set.add_rules.is_empty() => Some(Remembered::RulesInDoubt),
            Self::SetFirewall(_) => Some(Remembered::FirewallInDoubt),
            Self::Configure(_) => Some(Remembered::SettingsInDoubt),
            Self::JoinPool(_)
            | Self::Migrate { .. }
            | Self::Resize { .. }
            | Self::Start
            | Self::Stop(_)
            | Self::DeleteBackup(_)
            | Self::Destroy => None,
        }
    }

    /// What is to be remembered once it has succeeded.
    pub fn remembered(&self) -> BTreeSet<Remembered> {
        match self {
            Self::Configure(configure) if configure.cloud_init.password.is_some() => {
                BTreeSet::from([Remembered::PasswordWritten])
            }
            Self::JoinPool(_) => BTreeSet::from([Remembered::PoolJoined]),
            Self::Configure(_)
            | Self::Clone { .. }
            | Self::Migrate { .. }
            | Self::Resize { .. }
            | Self::SetFirewall(_)
            | Self::Start
            | Self::Stop(_)
            | Self::DeleteBackup(_)
            | Self::Destroy => BTreeSet::new(),
        }
    }
}

impl fmt::Display for Change {
    /// For the deploy log: what is asked, without secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clone { template, template_node, mode, .. } => {
                let mode = match mode {
                    CloneMode::Linked => "linked",
                    CloneMode::Full { .. } => "full",
                };
                write!(f, "clone template {template} of {template_node} ({mode})")
            }
            Self::JoinPool(pool) => write!(f, "join PVE pool {pool}"),
            Self::Migrate { to, .. } => write!(f, "migrate to {to}"),
            Self::Configure(configure) => write!(f, "configure {}", configure.topics().join(", ")),
            Self::Resize { slot, size } => write!(f, "resize {slot} to {size}"),
            Self::SetFirewall(_) => f.write_str("set firewall"),
            Self::Start => f.write_str("start"),
            Self::Stop(StopMode::Hard) => f.write_str("stop"),
            Self::Stop(StopMode::Graceful { patience }) => write!(f, "shut down, stop after {patience} s"),
            Self::DeleteBackup(backup) => write!(f, "delete backup {}", backup.volume),
            Self::Destroy => f.write_str("destroy"),
        }
    }
}

impl Configure {
    /// What it sets, in words.
    fn topics(&self) -> Vec<String> {
        let mut topics = Vec::new();
        let mut say = |set: bool, topic: &str| {
            if set {
                topics.push(topic.to_owned());
            }
        };
        say(self.description.is_some(), "description");
        say(self.name.is_some(), "name");
        say(self.tags.is_some(), "tags");
        say(self.autostart.is_some(), "autostart");
        say(self.protected.is_some(), "protection");
        say(self.sockets.is_some() || self.cores.is_some(), "CPU");
        say(self.memory.is_some() || self.balloon.is_some(), "memory");
        topics.extend(self.disks.keys().map(ToString::to_string));
        topics.extend(self.nics.keys().map(ToString::to_string));
        topics.extend(self.remove_nics.iter().map(|slot| format!("no {slot}")));
        if self.cloud_init != CloudInitGoal::default() {
            topics.push("cloud-init".to_owned());
        }
        topics.extend(self.sizes.iter().map(|(slot, size)| format!("size of {slot} {size}")));
        topics
    }
}
