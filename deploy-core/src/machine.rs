//! A machine as the hypervisor shows it.

use crate::{
    Autostart, Backups, Bytes, CpuCount, Disk, DiskSlot, DnsName, ErrorClass, MacAddr, MiB, Nic, NicSlot,
    NodeName, PacketPolicy, PvePool, Revision, RuleKey, Shown, SmbiosUuid, Snapshot, SnapshotName, SshKey,
    Tag, UnusedSlot, UserName, Vmid,
};
use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// What a look at a machine must answer. No request is made for what is not asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Look(u16);

impl Look {
    /// Where it is, its lock, and its configuration with its identity.
    pub const CONFIG: Self = Self(1);
    /// Whether it runs.
    pub const POWER: Self = Self(2);
    /// Whether changes wait for a power cycle.
    pub const PENDING: Self = Self(4);
    /// The rules of its firewall.
    pub const RULES: Self = Self(8);
    /// Its guest agent, and the addresses it tells.
    pub const AGENT: Self = Self(16);
    /// Its backups on every storage.
    pub const BACKUPS: Self = Self(32);
    /// The resource pool it is in.
    pub const POOL: Self = Self(64);
    /// The anti-spoofing sets of its firewall.
    pub const FILTERS: Self = Self(128);
    /// The options of its firewall.
    pub const FIREWALL_OPTIONS: Self = Self(256);
    /// What the high-availability manager makes of it. The request is that for [`POWER`](Self::POWER).
    pub const HA: Self = Self(512);
    /// Its snapshots.
    pub const SNAPSHOTS: Self = Self(1024);
    /// All of its firewall.
    pub const FIREWALL: Self = Self::RULES.and(Self::FILTERS).and(Self::FIREWALL_OPTIONS);

    /// Both looks together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// This look without what is part of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether any of `other` is part of this look.
    pub const fn touches(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether all of `other` is part of this look.
    pub const fn covers(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// The outcome of looking for a machine. Three different things: only proven absence lets anything be released
/// or made again.
#[derive(Debug, Clone, PartialEq)]
pub enum Sighting {
    /// It is there.
    Seen(Box<Machine>),
    /// No machine of the cluster has this number, by an answer that permissions do not filter.
    ProvenAbsent,
    /// Nobody can tell: the node is down, a permission is missing, the answer was lost.
    Unknown(Obscured),
}

/// Why a look gave no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obscured {
    /// What kind of hindrance.
    pub class: ErrorClass,
    /// What happened, in words.
    pub message: String,
}

/// A machine as seen. Parts that were not asked for are `None`.
#[derive(Debug, Clone, PartialEq)]
pub struct Machine {
    /// The node it is on.
    pub node: NodeName,
    /// What it was asked to show.
    pub look: Look,
    /// The lock it carries (PVE: `lock`), such as `clone` or `backup`.
    pub lock: Option<String>,
    /// Its configuration, always shown: without it nobody knows whose machine this is.
    pub config: MachineConfig,
    /// Whether it runs ([`Look::POWER`]).
    pub power: Option<Power>,
    /// The options that wait for a power cycle ([`Look::PENDING`]).
    pub pending: Option<BTreeSet<String>>,
    /// What was looked at of its firewall ([`Look::FIREWALL`]).
    pub firewall: Option<MachineFirewall>,
    /// Its guest agent ([`Look::AGENT`]).
    pub agent: Option<Agent>,
    /// Its backups ([`Look::BACKUPS`]).
    pub backups: Option<Backups>,
    /// What the high-availability manager makes of it ([`Look::HA`]).
    pub ha: Option<HaState>,
    /// Its snapshots ([`Look::SNAPSHOTS`]).
    pub snapshots: Option<Vec<Snapshot>>,
    /// Its resource pool ([`Look::POOL`]); `Some(None)` is none, or none that we may see.
    pub pool: Option<Option<PvePool>>,
}

impl Machine {
    /// What it shows of its identity.
    pub fn shown(&self) -> Shown {
        let husk = self.lock.is_none() && self.config.is_husk();
        Shown { husk, ..Shown::of(&self.config.description, self.config.smbios, self.lock.as_deref()) }
    }

    /// What was seen, with what a further look at the same machine shows beside it. Its configuration is the one seen first.
    #[must_use]
    pub fn with(self, further: Self) -> Self {
        Self {
            look: self.look.and(further.look),
            power: further.power.or(self.power),
            pending: further.pending.or(self.pending),
            firewall: match (self.firewall, further.firewall) {
                (Some(seen), Some(shown)) => Some(seen.with(shown, further.look)),
                (seen, further) => further.or(seen),
            },
            agent: further.agent.or(self.agent),
            backups: further.backups.or(self.backups),
            ha: further.ha.or(self.ha),
            snapshots: further.snapshots.or(self.snapshots),
            pool: further.pool.or(self.pool),
            ..self
        }
    }
}

/// The configuration of a machine, pending values included.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MachineConfig {
    /// Its revision, to guard a change with.
    pub revision: Option<Revision>,
    /// Whether it is a template.
    pub template: bool,
    /// The identity of this incarnation.
    pub smbios: Option<SmbiosUuid>,
    /// The notes, with our mark.
    pub description: String,
    /// The name.
    pub name: Option<DnsName>,
    /// The tags.
    pub tags: BTreeSet<Tag>,
    /// Whether it starts with its node.
    pub autostart: Autostart,
    /// Whether it is protected against removal.
    pub protected: bool,
    /// CPU sockets.
    pub sockets: Option<CpuCount>,
    /// Cores of each socket.
    pub cores: Option<CpuCount>,
    /// Memory.
    pub memory: Option<MiB>,
    /// The least memory that ballooning leaves; `Some(0)` is no balloon device.
    pub balloon: Option<u32>,
    /// Whether the guest agent is switched on.
    pub agent: bool,
    /// What it boots by.
    pub firmware: Firmware,
    /// The SCSI controller, in the hypervisor's own word (PVE: `scsihw`); `None` is its default.
    pub scsi_controller: Option<String>,
    /// The boot order, as far as it names disks.
    pub boot: Vec<DiskSlot>,
    /// Hard disks.
    pub disks: BTreeMap<DiskSlot, Disk>,
    /// Slots taken by drives that are no hard disks (CD-ROM, cloud-init).
    pub drives: BTreeSet<DiskSlot>,
    /// Volumes of its own that are plugged in nowhere, in the hypervisor's own words: disks that were unplugged (PVE: `unusedN`).
    pub unused: BTreeMap<UnusedSlot, String>,
    /// The snapshot that it descends from: the last one that was taken or gone back to.
    pub parent: Option<SnapshotName>,
    /// NICs.
    pub nics: BTreeMap<NicSlot, Nic>,
    /// What cloud-init would be told.
    pub cloud_init: MachineCloudInit,
}

impl MachineConfig {
    /// The system disk: the first of the boot order that is a hard disk; without a boot order the first of the buses.
    /// Never assumed to be `scsi0`.
    pub fn system_disk(&self) -> Option<(DiskSlot, &Disk)> {
        let by_boot = self.boot.iter().find_map(|slot| self.disks.get_key_value(slot));
        by_boot
            .or_else(|| if self.boot.is_empty() { self.disks.iter().next() } else { None })
            .map(|(s, d)| (*s, d))
    }

    /// Whether this is what PVE has in a machine's place while it restores a backup over it, and leaves there where that fails: 128
    /// MiB of memory and nothing else, neither mark nor UUID, which every other machine has. Nobody's, for nothing is in it.
    pub fn is_husk(&self) -> bool {
        // Where nothing is said of them there is a CPU with a core.
        let Self { revision, sockets, cores, memory, .. } = self.clone();
        let husk = Self { revision, sockets, cores, memory, ..Self::default() };
        memory.is_some_and(|memory| memory.get() == 128) && *self == husk
    }

    /// Whether anything is plugged into `slot`.
    pub fn is_taken(&self, slot: DiskSlot) -> bool {
        self.disks.contains_key(&slot) || self.drives.contains(&slot)
    }
}

/// What a machine boots by (PVE: `bios`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Firmware {
    /// A BIOS (PVE: `seabios`, which is its default).
    #[default]
    Bios,
    /// UEFI (PVE: `ovmf`).
    Uefi,
}

impl fmt::Display for Firmware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Bios => "BIOS",
            Self::Uefi => "UEFI",
        })
    }
}

/// What cloud-init would be told, as read back. The password is masked, so that it is only known to be there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MachineCloudInit {
    /// The slot of the cloud-init drive.
    pub drive: Option<DiskSlot>,
    /// The user.
    pub user: Option<UserName>,
    /// Whether some password is set.
    pub has_password: bool,
    /// The keys.
    pub ssh_keys: Vec<SshKey>,
    /// The addresses of each NIC.
    pub networks: BTreeMap<NicSlot, GuestNetwork>,
    /// Resolvers.
    pub resolvers: Vec<IpAddr>,
    /// The search domain.
    pub search_domain: Option<DnsName>,
    /// Whether the guest upgrades its packages at the first boot; unset means it does.
    pub upgrade: Option<bool>,
}

/// The addresses of one NIC as cloud-init is told (PVE: `ipconfigN`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct GuestNetwork {
    /// IPv4.
    pub v4: Option<GuestV4>,
    /// IPv6.
    pub v6: Option<GuestV6>,
}

/// How the guest comes to its IPv4 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GuestV4 {
    /// By DHCP.
    Dhcp,
    /// This one.
    Static {
        /// Address and prefix length.
        address: ipnet::Ipv4Net,
        /// The default route.
        gateway: Option<Ipv4Addr>,
    },
}

/// How the guest comes to its IPv6 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GuestV6 {
    /// By `DHCPv6`.
    Dhcp,
    /// By router advertisement.
    Auto,
    /// This one.
    Static {
        /// Address and prefix length.
        address: ipnet::Ipv6Net,
        /// The default route.
        gateway: Option<Ipv6Addr>,
    },
}

/// Whether a machine runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Power {
    /// It does not run.
    Stopped,
    /// It runs.
    Running,
    /// Its process is there but the guest does not run: paused, saving, out of storage; with the hypervisor's word.
    Suspended(String),
}

/// What the high-availability manager makes of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HaState {
    /// Nothing: it is no HA resource.
    Unmanaged,
    /// It cares for it: a start, a stop or a migration is a wish to it, and what somebody stopped otherwise it starts again. With
    /// the state that is wanted, in PVE's word (`started`, `stopped`, `ignored`, `disabled`), where it is told.
    Managed(Option<String>),
}

/// The firewall of a machine as seen; what was not looked at is empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MachineFirewall {
    /// The options ([`Look::FIREWALL_OPTIONS`]).
    pub options: Option<FirewallOptions>,
    /// Our rules among all, with their positions, first to last ([`Look::RULES`]).
    pub rules: Vec<SeenRule>,
    /// The revision of the rules, to guard a removal with.
    pub rules_revision: Option<Revision>,
    /// The members of each NIC's anti-spoofing set (PVE: `ipfilter-netN`), where the set exists ([`Look::FILTERS`]).
    pub filters: BTreeMap<NicSlot, BTreeSet<IpNet>>,
}

impl MachineFirewall {
    /// What was seen, with those parts that a further look shows.
    fn with(self, shown: Self, look: Look) -> Self {
        let (rules, rules_revision) = if look.covers(Look::RULES) {
            (shown.rules, shown.rules_revision)
        } else {
            (self.rules, self.rules_revision)
        };
        let filters = if look.covers(Look::FILTERS) { shown.filters } else { self.filters };
        Self { options: shown.options.or(self.options), rules, rules_revision, filters }
    }
}

/// The options of a machine's firewall; `None` is unset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FirewallOptions {
    /// Whether it filters at all.
    pub enabled: Option<bool>,
    /// Whether NICs without a set of their own may send from no address.
    pub ip_filter: Option<bool>,
    /// Whether frames from a foreign MAC are dropped.
    pub mac_filter: Option<bool>,
    /// Whether DHCP passes.
    pub dhcp: Option<bool>,
    /// Whether neighbour discovery passes.
    pub ndp: Option<bool>,
    /// Whether the guest may send router advertisements.
    pub router_advertisements: Option<bool>,
    /// Incoming packets that no rule names.
    pub policy_in: Option<PacketPolicy>,
    /// Outgoing packets that no rule names.
    pub policy_out: Option<PacketPolicy>,
}

/// A rule of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeenRule {
    /// Its position among all rules, from 0.
    pub position: u32,
    /// Its key.
    pub key: RuleKey,
}

/// What the guest agent says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Agent {
    /// Nothing: it is switched off, not installed, or not up yet.
    Silent,
    /// It answers, and tells these addresses.
    Answers(Vec<(MacAddr, IpAddr)>),
}

/// A volume that carries a machine's number and that no configuration names: what a worker of the hypervisor left behind that
/// was killed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// The node to ask for it.
    pub node: NodeName,
    /// The volume, in the hypervisor's own words.
    pub volume: String,
    /// Its size.
    pub size: Option<Bytes>,
    /// When it was made, by the hypervisor's clock; `None` where that is not known. A number says nothing about whose it is:
    /// an earlier machine, or one of another cluster on the same storage, had the same.
    pub made_at: Option<Timestamp>,
}

/// One machine of a cluster's list, for the status of thousands by one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Its number.
    pub vmid: Vmid,
    /// The node it is on.
    pub node: NodeName,
    /// Its name, where the list knows it already.
    pub name: Option<String>,
    /// Whether it runs; `None` where the list does not know, which is normal for a fresh machine.
    pub power: Option<Power>,
    /// Its lock.
    pub lock: Option<String>,
    /// Whether it is a template.
    pub template: bool,
}
