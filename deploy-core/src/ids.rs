//! Names and numbers of the things a deployment touches.

use crate::Invalid;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Makes a newtype over a checked string: parse, print, compare, (de)serialise.
macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $field:literal, $expected:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Invalid;

            fn from_str(text: &str) -> Result<Self, Invalid> {
                let check: fn(&str) -> bool = $check;
                if check(text) { Ok(Self(text.to_owned())) } else { Err(Invalid::new($field, text, $expected)) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = Invalid;

            fn try_from(text: String) -> Result<Self, Invalid> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

/// Letters, digits and `extra`, beginning with a letter or digit, at most `max` bytes.
fn is_word(text: &str, max: usize, extra: &str) -> bool {
    text.len() <= max
        && text.chars().next().is_some_and(|c| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || extra.contains(c))
}

name_type!(
    /// A Proxmox VE cluster, by the name that the embedder gave it.
    ClusterName, "cluster", "1 to 64 letters, digits, '-', '_' or '.', beginning with a letter or digit",
    |t| is_word(t, 64, "-_.")
);
name_type!(
    /// A node of a cluster (PVE: `pve-node`, a DNS label).
    NodeName, "node", "a node name: letters, digits and inner hyphens, at most 63",
    |t| is_word(t, 63, "-") && !t.ends_with('-')
);
name_type!(
    /// A storage of a cluster (PVE: `pve-storage-id`).
    StorageId, "storage", "a storage id: a letter, then letters, digits, '-', '_' or '.', at least two characters",
    |t| t.len() >= 2 && is_word(t, 100, "-_.") && t.starts_with(|c: char| c.is_ascii_alphabetic())
        && t.ends_with(|c: char| c.is_ascii_alphanumeric())
);
name_type!(
    /// A bridge or SDN vnet that a NIC is plugged into; at most 15 characters (Linux `IFNAMSIZ`).
    BridgeName, "bridge", "a bridge name such as \"vmbr0\": letters, digits, '-', '_' or '.', at most 15",
    |t| is_word(t, 15, "-_.")
);
name_type!(
    /// A resource pool of PVE (`poolid`), up to three levels deep; not an address pool.
    PvePool, "pve_pool", "a PVE pool id: up to three parts of letters, digits, '-', '_' or '.', joined by '/'",
    |t| t.split('/').count() <= 3 && t.split('/').all(|part| is_word(part, 64, "-_."))
);
name_type!(
    /// A pool of IP addresses.
    PoolName, "pool", "1 to 64 letters, digits, '-', '_' or '.', beginning with a letter or digit",
    |t| is_word(t, 64, "-_.")
);
name_type!(
    /// A DNS provider, by the name that the embedder gave it.
    ProviderName, "provider", "1 to 64 letters, digits, '-', '_' or '.', beginning with a letter or digit",
    |t| is_word(t, 64, "-_.")
);
name_type!(
    /// A tag of a machine, lower case as PVE stores it.
    Tag, "tags", "a tag: lower-case letters, digits, '_', '-', '+' or '.', not beginning with '-', '+' or '.'",
    |t| !t.is_empty() && t.len() <= 124
        && t.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-+.".contains(c))
        && !t.starts_with(['-', '+', '.'])
);
name_type!(
    /// The embedder's own reference of an order; unique among the records that are not terminated.
    ExternalRef, "reference", "1 to 190 characters without control characters or surrounding blanks",
    |t| !t.is_empty() && t.len() <= 190 && t.trim() == t && !t.chars().any(char::is_control)
);
name_type!(
    /// An address for notices about a machine.
    EmailAddress, "contact", "an e-mail address such as \"ann@example.org\"",
    |t| t.len() <= 254 && !t.chars().any(|c| c.is_whitespace() || c.is_control())
        && t.split_once('@').is_some_and(|(user, host)| {
            !user.is_empty() && !host.contains('@') && host.parse::<crate::DnsName>().is_ok()
        })
);
name_type!(
    /// A user name that cloud-init creates in the guest.
    UserName, "user", "a Unix user name: a lower-case letter or '_', then lower-case letters, digits, '-' or '_', at most 32",
    |t| t.len() <= 32 && t.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && t.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c))
);
name_type!(
    /// A task of a hypervisor (PVE: UPID), opaque here.
    TaskId, "task", "a task id without blanks",
    |t| !t.is_empty() && t.len() <= 400 && !t.chars().any(char::is_whitespace)
);
name_type!(
    /// The revision of a configuration (PVE: `digest`), opaque here.
    Revision, "revision", "at most 64 characters without blanks",
    |t| !t.is_empty() && t.len() <= 64 && !t.chars().any(char::is_whitespace)
);

/// The number of a machine in its cluster, 100 to 999,999,999 (PVE: `pve-vmid`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Vmid(u32);

impl Vmid {
    /// The smallest number PVE allows.
    pub const MIN: Self = Self(100);
    /// The largest number PVE allows.
    pub const MAX: Self = Self(999_999_999);

    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }

    /// The number that follows, if there is one.
    pub fn next(self) -> Option<Self> {
        Self::try_from(self.0 + 1).ok()
    }
}

impl TryFrom<u32> for Vmid {
    type Error = Invalid;

    fn try_from(number: u32) -> Result<Self, Invalid> {
        if (Self::MIN.0..=Self::MAX.0).contains(&number) {
            Ok(Self(number))
        } else {
            Err(Invalid::new("vmid", number, "a number from 100 to 999999999"))
        }
    }
}

impl From<Vmid> for u32 {
    fn from(vmid: Vmid) -> u32 {
        vmid.0
    }
}

impl fmt::Display for Vmid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The numbers that a cluster gives to our machines, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VmidRange {
    first: Vmid,
    last: Vmid,
}

impl VmidRange {
    /// The range from `first` to `last`.
    ///
    /// # Errors
    /// [`Invalid`] where `last` is below `first`.
    pub fn new(first: Vmid, last: Vmid) -> Result<Self, Invalid> {
        if first <= last {
            Ok(Self { first, last })
        } else {
            Err(Invalid::new("vmids", format!("{first}-{last}"), "the first number not above the last"))
        }
    }

    /// The lowest number.
    pub fn first(self) -> Vmid {
        self.first
    }

    /// The highest number.
    pub fn last(self) -> Vmid {
        self.last
    }

    /// Whether `vmid` lies in the range.
    pub fn contains(self, vmid: Vmid) -> bool {
        (self.first..=self.last).contains(&vmid)
    }
}

/// Makes a newtype over a UUID.
macro_rules! uuid_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub uuid::Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = Invalid;

            fn from_str(text: &str) -> Result<Self, Invalid> {
                uuid::Uuid::parse_str(text)
                    .map(Self)
                    .map_err(|_| Invalid::new("id", text, "a UUID such as 3b1f8a52-0c1e-4c55-9d0e-2f6f3f3b9a10"))
            }
        }
    };
}

uuid_type!(
    /// The key of a machine's record: the deployment id, for ever the same, never reused.
    VmKey
);
uuid_type!(
    /// One run of one worker process; fresh at every start, so that a dead process's leases are never mistaken
    /// for those of its successor.
    WorkerId
);
uuid_type!(
    /// One run of a job; fresh each time, so that a late run is never mistaken for the one after it.
    RunId
);
uuid_type!(
    /// One command that was given to a machine.
    CommandId
);
uuid_type!(
    /// The identity of one incarnation of a machine (the UUID in PVE's `smbios1`, made anew by every clone).
    SmbiosUuid
);
