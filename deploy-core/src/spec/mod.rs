//! The order: what the customer bought.

mod address;
mod cloud_init;
mod firewall;
mod firewall_check;

pub use address::{Addressing, Draw, Family, FromPools};
pub use cloud_init::{CloudInit, SshKey};
pub(crate) use firewall::fnv1a_of;
pub use firewall::{Direction, FirewallRule, FirewallSpec, PacketPolicy, RuleAction, RuleKey};

use crate::{
    BridgeName, ClusterName, CpuCount, DiskLimits, EmailAddress, Filtering, GiB, Invalid, Limit, MiB, MiBps,
    NamePattern, NicModel, NodeName, PvePool, StorageId, Tag, VlanId, Vmid,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The version of the order's form that this crate writes. A worker that reads a newer one refuses it by name,
/// rather than deploying half of what was bought.
pub const SPEC_VERSION: u32 = 1;

/// One machine as ordered.
///
/// Every value is parsed into its type where the order is read; what can only be judged together is judged by
/// [`VmSpec::check`], which [`Deployments::create`](crate::Deployments::create) calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VmSpec {
    /// The cluster the machine is made in.
    pub cluster: ClusterName,
    /// The guest's fully qualified domain name.
    pub domain: NamePattern,
    /// The machine's name in PVE. PVE hands it to cloud-init as the guest's name: with cloud-init it is the domain, or the
    /// domain's first label, and then the rest becomes the search domain unless another one is ordered.
    pub pve_name: NamePattern,
    /// Whom notices about this machine go to.
    #[serde(default)]
    pub contact: Option<EmailAddress>,
    /// The node the machine shall run on.
    pub node: NodeName,
    /// The template it is cloned from.
    pub template: Template,
    /// How it is cloned.
    pub clone: CloneMode,
    /// The storage its disks go to when it is migrated to its node; `None` keeps the storage's name.
    #[serde(default)]
    pub migration_storage: Option<StorageId>,
    /// The resource pool of PVE it is put in.
    #[serde(default)]
    pub pve_pool: Option<PvePool>,
    /// Tags in PVE.
    #[serde(default)]
    pub tags: BTreeSet<Tag>,
    /// Whether it starts when its node boots.
    #[serde(default)]
    pub autostart: Autostart,
    /// CPU sockets.
    pub sockets: CpuCount,
    /// Cores of each socket.
    pub cores: CpuCount,
    /// Memory.
    pub memory: MiB,
    /// The system disk: the first disk of the template's boot order.
    pub system_disk: SystemDisk,
    /// Further disks, usually none or one, in the order in which the guest shall see them.
    #[serde(default)]
    pub additional_disks: Vec<AdditionalDisk>,
    /// NICs, usually one; the first is `net0`. What the template has beyond them is removed.
    #[serde(default)]
    pub nics: Vec<NicSpec>,
    /// The machine's firewall; `None` leaves it as the template has it.
    #[serde(default)]
    pub firewall: Option<FirewallSpec>,
    /// What cloud-init is told; `None` for images without it.
    #[serde(default)]
    pub cloud_init: Option<CloudInit>,
    /// What it takes to call the machine ready.
    #[serde(default)]
    pub ready_when: ReadyWhen,
    /// What is done when the machine vanished behind our back, or was replaced by somebody else's.
    #[serde(default)]
    pub when_vanished: WhenVanished,
}

/// What is done about a machine of ours that is proven to be gone, though nobody ordered that. It depends on what the
/// customer has on its disks, so that the order says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WhenVanished {
    /// It is told to a human, and left: somebody may restore it from a backup, and then it goes on by itself.
    #[default]
    Leave,
    /// It is told, and deployed anew: with the same addresses and MACs, and under a new number if its own belongs to
    /// somebody else now. Whatever was on its disks is gone.
    Redeploy,
}

/// A template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// Its number.
    pub vmid: Vmid,
    /// The node it is on.
    pub node: NodeName,
}

/// How a machine is made from its template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "snake_case", deny_unknown_fields)]
pub enum CloneMode {
    /// An overlay over the template's disks. It has no storage of its own to choose: an overlay lives beside its base.
    Linked,
    /// A copy.
    Full {
        /// The storage of the copy; `None` is the template's.
        #[serde(default)]
        storage: Option<StorageId>,
    },
}

impl CloneMode {
    /// The storage that is chosen for the copy, if one is.
    pub fn storage(&self) -> Option<&StorageId> {
        match self {
            Self::Linked => None,
            Self::Full { storage } => storage.as_ref(),
        }
    }
}

/// Whether a machine starts when its node boots (PVE: `onboot`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // the names say it
pub enum Autostart {
    On,
    #[default]
    Off,
}

/// The system disk as ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SystemDisk {
    /// Its size; not smaller than the template's.
    pub size: GiB,
    /// What it may do each second.
    #[serde(default)]
    pub limits: DiskLimits,
}

/// An additional disk as ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdditionalDisk {
    /// The storage it is on.
    pub storage: StorageId,
    /// Its size.
    pub size: GiB,
    /// What it may do each second.
    #[serde(default)]
    pub limits: DiskLimits,
}

/// A NIC as ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NicSpec {
    /// The bridge it is plugged into.
    pub bridge: BridgeName,
    /// Its VLAN; `None` is untagged.
    #[serde(default)]
    pub vlan: Option<VlanId>,
    /// Traffic in each direction, MiB/s.
    #[serde(default)]
    pub rate: Limit<MiBps>,
    /// Whether the machine's firewall filters it.
    #[serde(default)]
    pub filtering: Filtering,
    /// Its model.
    #[serde(default)]
    pub model: NicModel,
    /// The addresses it gets.
    #[serde(default)]
    pub addressing: Addressing,
}

/// What it takes to call a machine ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReadyWhen {
    /// The guest agent answers if the template has one switched on, else the machine runs.
    #[default]
    Auto,
    /// The machine runs.
    Running,
    /// The guest agent answers.
    AgentAnswers,
    /// The guest agent tells one of our addresses on the NIC that we gave it to.
    AddressSeen,
}

impl VmSpec {
    /// Judges what can only be judged together.
    ///
    /// # Errors
    /// [`Invalid`], naming the field: more than 32 NICs or 30 additional disks; another storage for a linked clone; a NIC
    /// that is to get addresses and none; a firewall that filters no NIC, and rules that PVE would not take; a readiness
    /// that waits for an address where none is assigned.
    pub fn check(&self) -> Result<(), Invalid> {
        if self.nics.len() > 32 {
            return Err(Invalid::new("nics", self.nics.len(), "at most 32 NICs"));
        }
        if self.additional_disks.len() > 30 {
            return Err(Invalid::new(
                "additional_disks",
                self.additional_disks.len(),
                "at most 30 additional disks",
            ));
        }
        if let (CloneMode::Linked, Some(storage)) = (&self.clone, &self.migration_storage) {
            let expected =
                "no other storage: a linked clone stays beside its template's disks (or order a full clone)";
            return Err(Invalid::new("migration_storage", storage, expected));
        }
        if let Some(firewall) = &self.firewall {
            if !self.nics.iter().any(|nic| nic.filtering == Filtering::On) {
                let expected =
                    "at least one NIC that is filtered; as it is, the firewall would have no effect";
                return Err(Invalid::new("firewall", "no NIC filtered", expected));
            }
            for (index, rule) in firewall.rules.iter().enumerate() {
                firewall_check::check(rule).map_err(|e| e.at(&format!("firewall.rules[{index}]")))?;
            }
        }
        let assigned = self.nics.iter().any(|nic| matches!(nic.addressing, Addressing::Pools(_)));
        if self.ready_when == ReadyWhen::AddressSeen && !assigned {
            return Err(Invalid::new(
                "ready_when",
                "address_seen",
                "a NIC with addresses from a pool to wait for",
            ));
        }
        for (index, nic) in self.nics.iter().enumerate() {
            nic.addressing.check().map_err(|e| e.at(&format!("nics[{index}].addressing")))?;
        }
        Ok(())
    }
}
