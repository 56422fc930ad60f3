//! Virtual hardware, as ordered and as observed: slots, disks, NICs.

use crate::{BridgeName, Bytes, Invalid, Iops, Limit, MiBps, StorageId};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, str::FromStr};

/// The bus of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // the names say it
pub enum DiskBus {
    Ide,
    Sata,
    Scsi,
    Virtio,
}

impl DiskBus {
    /// Every bus, with its name in PVE and its number of slots (PVE: Virtual Machines Settings, `qm.conf`).
    pub const ALL: [(Self, &'static str, u8); 4] = [
        (Self::Ide, "ide", 4),
        (Self::Sata, "sata", 6),
        (Self::Scsi, "scsi", 31),
        (Self::Virtio, "virtio", 16),
    ];
}

/// Where a disk is plugged in, such as `scsi1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DiskSlot {
    bus: DiskBus,
    index: u8,
}

impl DiskSlot {
    /// Slot `index` of `bus`, where the bus has so many.
    pub fn new(bus: DiskBus, index: u8) -> Option<Self> {
        let slots = DiskBus::ALL.iter().find(|(b, ..)| *b == bus).map_or(0, |(.., slots)| *slots);
        (index < slots).then_some(Self { bus, index })
    }

    /// The bus.
    pub fn bus(self) -> DiskBus {
        self.bus
    }

    /// The slots that additional disks go to, lowest first.
    pub fn for_additional_disks() -> impl Iterator<Item = Self> {
        (1..31).filter_map(|index| Self::new(DiskBus::Scsi, index))
    }
}

impl fmt::Display for DiskSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = DiskBus::ALL.iter().find(|(bus, ..)| *bus == self.bus).map_or("", |(_, name, _)| name);
        write!(f, "{name}{}", self.index)
    }
}

impl FromStr for DiskSlot {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        DiskBus::ALL
            .iter()
            .find_map(|(bus, name, _)| {
                let digits = text.strip_prefix(name)?;
                let index = digits.parse().ok()?;
                // "scsi01" and "scsi+1" are no slots.
                Self::new(*bus, index).filter(|slot| slot.to_string() == text)
            })
            .ok_or_else(|| Invalid::new("slot", text, "a disk slot such as \"scsi1\" or \"virtio0\""))
    }
}

/// An entry for a volume of the machine that is plugged in nowhere: `unused0` to `unused255`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnusedSlot(pub u8);

impl fmt::Display for UnusedSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unused{}", self.0)
    }
}

/// Where a NIC is plugged in: 0 to 31, `net0` to `net31`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct NicSlot(u8);

impl NicSlot {
    /// The slots of a list of NICs, in its order: the first is `net0`.
    pub fn in_order() -> impl Iterator<Item = Self> {
        (0..32).map(Self)
    }

    /// The index.
    pub fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for NicSlot {
    type Error = Invalid;

    fn try_from(index: u8) -> Result<Self, Invalid> {
        if index < 32 { Ok(Self(index)) } else { Err(Invalid::new("nic", index, "a NIC index from 0 to 31")) }
    }
}

impl From<NicSlot> for u8 {
    fn from(slot: NicSlot) -> u8 {
        slot.0
    }
}

impl fmt::Display for NicSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "net{}", self.0)
    }
}

/// A unicast MAC address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MacAddr([u8; 6]);

impl MacAddr {
    /// A locally administered unicast address made of random bytes (IEEE 802, 8.2: second-lowest bit of the first
    /// octet set, lowest clear). 46 of the 48 bits are random, so that a hundred thousand machines collide with a
    /// probability of less than one in ten thousand; PVE's own scheme has 24 random bits and checks nothing.
    pub fn local(random: [u8; 6]) -> Self {
        let mut octets = random;
        octets[0] = (octets[0] & 0xfc) | 0x02;
        Self(octets)
    }

    /// The six octets.
    pub fn octets(self) -> [u8; 6] {
        self.0
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let octets = self.0.map(|octet| format!("{octet:02X}"));
        f.write_str(&octets.join(":"))
    }
}

impl FromStr for MacAddr {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let invalid = || Invalid::new("mac", text, "a unicast MAC address such as \"02:00:5E:10:00:01\"");
        let mut octets = [0; 6];
        let mut parts = text.split(':');
        for octet in &mut octets {
            let part = parts.next().filter(|p| p.len() == 2).ok_or_else(invalid)?;
            *octet = u8::from_str_radix(part, 16).map_err(|_| invalid())?;
        }
        if parts.next().is_some() || octets[0] & 1 == 1 { Err(invalid()) } else { Ok(Self(octets)) }
    }
}

/// A VLAN tag, 1 to 4094 (IEEE 802.1Q).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct VlanId(u16);

impl VlanId {
    /// The tag.
    pub fn get(self) -> u16 {
        self.0
    }
}

impl TryFrom<u16> for VlanId {
    type Error = Invalid;

    fn try_from(tag: u16) -> Result<Self, Invalid> {
        if (1..=4094).contains(&tag) {
            Ok(Self(tag))
        } else {
            Err(Invalid::new("vlan", tag, "a VLAN tag from 1 to 4094 (leave it out for untagged)"))
        }
    }
}

impl From<VlanId> for u16 {
    fn from(vlan: VlanId) -> u16 {
        vlan.0
    }
}

impl fmt::Display for VlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The model of a NIC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)] // the names say it
pub enum NicModel {
    #[default]
    Virtio,
    E1000,
    E1000e,
    Rtl8139,
    Vmxnet3,
}

impl NicModel {
    /// Every model, with its name in PVE.
    pub const ALL: [(Self, &'static str); 5] = [
        (Self::Virtio, "virtio"),
        (Self::E1000, "e1000"),
        (Self::E1000e, "e1000e"),
        (Self::Rtl8139, "rtl8139"),
        (Self::Vmxnet3, "vmxnet3"),
    ];
}

/// What a disk may do each second; reads and writes apart, in MiB/s and in operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskLimits {
    /// Reading, MiB/s.
    #[serde(default)]
    pub read: Limit<MiBps>,
    /// Writing, MiB/s.
    #[serde(default)]
    pub write: Limit<MiBps>,
    /// Read operations a second.
    #[serde(default)]
    pub read_iops: Limit<Iops>,
    /// Write operations a second.
    #[serde(default)]
    pub write_iops: Limit<Iops>,
}

/// A disk as it is plugged in. Options that we do not know stay in `options` and are written back with every change:
/// PVE replaces the whole property string, and what is left out is lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// The volume, in the hypervisor's own words (`local-lvm:vm-101-disk-0`).
    pub volume: String,
    /// The storage the volume is on.
    pub storage: StorageId,
    /// The size that the configuration tells, if it does.
    pub size: Option<Bytes>,
    /// The limits.
    pub limits: DiskLimits,
    /// Every other option, by name.
    pub options: BTreeMap<String, String>,
}

impl Disk {
    /// Other ways to say a limit (bursts, both directions together), which PVE refuses beside ours.
    fn is_limit_option(name: &str) -> bool {
        ["mbps", "iops", "bps"].iter().any(|prefix| name.starts_with(prefix))
    }

    /// The same disk with exactly these limits and no others.
    pub fn with_limits(&self, limits: DiskLimits) -> Self {
        let options = self.options.iter().filter(|(name, _)| !Self::is_limit_option(name));
        Self { limits, options: options.map(|(k, v)| (k.clone(), v.clone())).collect(), ..self.clone() }
    }
}

/// A NIC as it is plugged in, or as it should be. Options that we do not know are kept, as in [`Disk`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nic {
    /// The model, in the hypervisor's own word, for a template may have one that we do not offer.
    pub model: String,
    /// The MAC address; always written, because PVE makes a new one where it is missing.
    pub mac: MacAddr,
    /// The bridge; `None` is user-mode networking.
    pub bridge: Option<BridgeName>,
    /// The VLAN; `None` is untagged.
    pub vlan: Option<VlanId>,
    /// Traffic in each direction, MiB/s.
    pub rate: Limit<MiBps>,
    /// Whether the firewall filters this NIC.
    pub filtering: Filtering,
    /// Every other option, by name.
    pub options: BTreeMap<String, String>,
}

/// Whether something is filtered by the firewall.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // the names say it
pub enum Filtering {
    On,
    #[default]
    Off,
}

crate::text::kept_as_text!(DiskSlot, MacAddr);
