//! What is kept of a DNS record that is ours, or shall be.

use crate::{DnsName, Invalid, ProviderName};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// One DNS record, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DnsRecord {
    /// The provider whose zone it is in.
    pub provider: ProviderName,
    /// The zone.
    pub zone: DnsName,
    /// The name; in the zone.
    pub name: DnsName,
    /// What it says.
    pub data: DnsData,
}

impl fmt::Display for DnsRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.name, self.data.kind(), self.data)
    }
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DnsData {
    /// The IPv4 address of a name.
    A(Ipv4Addr),
    /// The IPv6 address of a name.
    Aaaa(Ipv6Addr),
    /// The name of an address.
    Ptr(DnsName),
}

/// The type of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum DnsKind {
    /// An IPv4 address.
    A,
    /// An IPv6 address.
    Aaaa,
    /// A name of an address.
    Ptr,
}

impl DnsData {
    /// The record that says this address.
    pub fn address(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self::A(v4),
            IpAddr::V6(v6) => Self::Aaaa(v6),
        }
    }

    /// Its type.
    pub fn kind(&self) -> DnsKind {
        match self {
            Self::A(_) => DnsKind::A,
            Self::Aaaa(_) => DnsKind::Aaaa,
            Self::Ptr(_) => DnsKind::Ptr,
        }
    }

    /// Reads what [`Display`](fmt::Display) writes.
    ///
    /// # Errors
    /// [`Invalid`] for what no record of this type can say. The dot at a name's end may be there or not.
    pub fn parse(kind: DnsKind, text: &str) -> Result<Self, Invalid> {
        let invalid = |expected| Invalid::new("data", text, expected);
        match kind {
            DnsKind::A => text.parse().map(Self::A).map_err(|_| invalid("an IPv4 address")),
            DnsKind::Aaaa => text.parse().map(Self::Aaaa).map_err(|_| invalid("an IPv6 address")),
            DnsKind::Ptr => text.strip_suffix('.').unwrap_or(text).parse().map(Self::Ptr),
        }
    }
}

impl fmt::Display for DnsData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::A(address) => address.fmt(f),
            Self::Aaaa(address) => address.fmt(f),
            Self::Ptr(name) => name.fmt(f),
        }
    }
}

impl DnsKind {
    /// Its name in zone files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Ptr => "PTR",
        }
    }
}

impl fmt::Display for DnsKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for DnsKind {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let kinds = [Self::A, Self::Aaaa, Self::Ptr];
        kinds
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| Invalid::new("kind", text, "A, AAAA or PTR"))
    }
}

/// The name under which an address is looked up: its octets in `in-addr.arpa` (RFC 1035, 3.5), its nibbles in `ip6.arpa`
/// (RFC 3596, 2.5).
///
/// ```
/// let name = deploy_core::reverse_name("192.0.2.17".parse().unwrap());
/// assert_eq!(name.as_str(), "17.2.0.192.in-addr.arpa");
/// ```
pub fn reverse_name(address: IpAddr) -> DnsName {
    let labels: Vec<String> = match address {
        IpAddr::V4(v4) => v4.octets().iter().rev().map(ToString::to_string).collect(),
        IpAddr::V6(v6) => {
            let nibbles = v6.octets().into_iter().rev().flat_map(|octet| [octet & 15, octet >> 4]);
            nibbles.map(|nibble| format!("{nibble:x}")).collect()
        }
    };
    let root = if address.is_ipv4() { "in-addr.arpa" } else { "ip6.arpa" };
    DnsName::known(format!("{}.{root}", labels.join(".")))
}

/// A DNS record of a machine, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsEntry {
    /// The record.
    pub record: DnsRecord,
    /// For how many seconds others may keep it.
    pub ttl: u32,
    /// How far it is.
    pub state: DnsState,
    /// Failures in a row.
    pub failures: u32,
    /// What went wrong last, or what stands in its way.
    pub last_error: Option<String>,
    /// When it is tried next, if there is anything to do.
    pub next_try: Option<Timestamp>,
    /// Since when it is not known whether a request that publishes it, or takes it away, still arrives. As long as one may,
    /// what is seen is not believed to last.
    pub in_doubt: Option<Timestamp>,
}

impl DnsEntry {
    /// An entry of which nobody was asked anything yet.
    pub fn planned(record: DnsRecord, ttl: u32) -> Self {
        Self {
            record,
            ttl,
            state: DnsState::Planned,
            failures: 0,
            last_error: None,
            next_try: None,
            in_doubt: None,
        }
    }

    /// Whether the record may stand because of us, or still come to stand.
    pub fn may_stand(&self) -> bool {
        self.state.is_ours() || self.in_doubt.is_some()
    }

    /// Whether there is something to do about it at this time.
    pub fn is_due(&self, now: Timestamp) -> bool {
        match self.state {
            DnsState::Published => self.next_try.is_some_and(|at| at <= now),
            DnsState::Planned
            | DnsState::Publishing
            | DnsState::Withdrawing
            | DnsState::Conflict
            | DnsState::Foreign => self.next_try.is_none_or(|at| at <= now),
        }
    }

    /// When no request of ours can arrive any more, if one may now and each is under way for so long at most.
    pub fn doubtful_until(&self, now: Timestamp, late_arrival: SignedDuration) -> Option<Timestamp> {
        let until = self.in_doubt?.checked_add(late_arrival).unwrap_or(Timestamp::MAX);
        (now < until).then_some(until)
    }
}

/// How far a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DnsState {
    /// It is wanted, and nobody was asked for it yet.
    Planned,
    /// It is written down that it is asked for now. Found after a crash, it means: look first.
    Publishing,
    /// It stands, and it is ours.
    Published,
    /// It is no longer wanted, and is taken away.
    Withdrawing,
    /// Its name is somebody else's: what stands there is left alone, and ours is tried again.
    Conflict,
    /// It stands as it is wanted, but somebody else put it there: it is left alone, also when the machine goes.
    Foreign,
}

impl DnsState {
    /// Every state.
    pub const ALL: &'static [Self] =
        &[Self::Planned, Self::Publishing, Self::Published, Self::Withdrawing, Self::Conflict, Self::Foreign];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Publishing => "publishing",
            Self::Published => "published",
            Self::Withdrawing => "withdrawing",
            Self::Conflict => "conflict",
            Self::Foreign => "foreign",
        }
    }

    /// Whether it says that a request of ours went out and was not taken back.
    pub fn is_ours(self) -> bool {
        match self {
            Self::Publishing | Self::Published | Self::Withdrawing => true,
            Self::Planned | Self::Conflict | Self::Foreign => false,
        }
    }
}

impl fmt::Display for DnsState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for DnsState {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::ALL
            .iter()
            .copied()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| Invalid::new("state", text, "the state of a DNS record, such as \"published\""))
    }
}
