//! The machine's firewall as ordered.

use crate::Invalid;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The firewall part of an order (PVE: Proxmox VE Firewall, VM configuration).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FirewallSpec {
    /// What happens to incoming packets that no rule names.
    #[serde(default = "PacketPolicy::drop")]
    pub policy_in: PacketPolicy,
    /// What happens to outgoing packets that no rule names.
    #[serde(default = "PacketPolicy::accept")]
    pub policy_out: PacketPolicy,
    /// Rules, the first match wins. Each is recognised by its [`RuleKey`]; missing ones are added, foreign ones stay.
    #[serde(default)]
    pub rules: Vec<FirewallRule>,
    /// Whether the guest may send only from the addresses and the MAC that it was given.
    #[serde(default = "yes")]
    pub anti_spoofing: bool,
}

fn yes() -> bool {
    true
}

/// A default policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs)] // the names say it
pub enum PacketPolicy {
    Accept,
    Drop,
    Reject,
}

impl PacketPolicy {
    fn drop() -> Self {
        Self::Drop
    }

    fn accept() -> Self {
        Self::Accept
    }

    /// PVE's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "ACCEPT",
            Self::Drop => "DROP",
            Self::Reject => "REJECT",
        }
    }
}

impl FromStr for PacketPolicy {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        [Self::Accept, Self::Drop, Self::Reject]
            .into_iter()
            .find(|policy| policy.as_str() == text)
            .ok_or_else(|| Invalid::new("policy", text, "ACCEPT, DROP or REJECT"))
    }
}

/// What a rule does with a packet: the same three words as a policy.
pub type RuleAction = PacketPolicy;

/// Which way a packet goes, seen from the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // the names say it
pub enum Direction {
    In,
    Out,
}

/// One rule. Texts are in PVE's grammar (`dport = "80,443"`, `source = "198.51.100.0/24"`, `macro = "SSH"`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FirewallRule {
    /// Which way.
    pub direction: Direction,
    /// What happens.
    pub action: RuleAction,
    /// A predefined set of ports, instead of protocol and ports.
    #[serde(default, rename = "macro")]
    pub macro_name: Option<String>,
    /// The protocol.
    #[serde(default)]
    pub protocol: Option<String>,
    /// Where from: an address, a network, an alias or an IP set.
    #[serde(default)]
    pub source: Option<String>,
    /// Where to.
    #[serde(default)]
    pub dest: Option<String>,
    /// Source ports.
    #[serde(default)]
    pub source_port: Option<String>,
    /// Destination ports.
    #[serde(default)]
    pub dest_port: Option<String>,
}

impl FirewallRule {
    /// The key by which this rule is found again: a hash of what it says.
    ///
    /// PVE gives rules no identity but their position, which moves, so the key is put into the comment. The same
    /// rule always has the same key; a changed rule is another one.
    pub fn key(&self) -> RuleKey {
        let optional =
            [&self.macro_name, &self.protocol, &self.source, &self.dest, &self.source_port, &self.dest_port];
        // Spelled out, and never to change: live rules are found again by it.
        let direction = match self.direction {
            Direction::In => "In",
            Direction::Out => "Out",
        };
        let mut text = format!("{direction}|{}", self.action.as_str());
        for part in optional {
            text.push('|');
            text.push_str(part.as_deref().unwrap_or(""));
        }
        RuleKey(fnv1a(text.as_bytes()))
    }
}

/// FNV-1a, 64 bits: small, and the same on every machine and in every version, which std's hasher does not promise.
fn fnv1a(bytes: &[u8]) -> u64 {
    Fnv1a::default().with(bytes).0
}

/// The same of a text that is nowhere as a whole.
pub(crate) fn fnv1a_of(text: fmt::Arguments<'_>) -> u64 {
    let mut hash = Fnv1a::default();
    // It takes any text.
    let _ = fmt::Write::write_fmt(&mut hash, text);
    hash.0
}

struct Fnv1a(u64);

impl Default for Fnv1a {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv1a {
    fn with(self, bytes: &[u8]) -> Self {
        let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        Self(bytes.iter().fold(self.0, step))
    }
}

impl fmt::Write for Fnv1a {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = Self(self.0).with(text.as_bytes()).0;
        Ok(())
    }
}

/// The key of a rule of ours, carried in its comment as `pvd:` and 16 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RuleKey(u64);

impl RuleKey {
    /// The key that a comment carries, if it is one of ours.
    pub fn in_comment(comment: &str) -> Option<Self> {
        let digits = comment.split_whitespace().next()?.strip_prefix("pvd:")?;
        (digits.len() == 16).then(|| u64::from_str_radix(digits, 16).ok()).flatten().map(Self)
    }
}

impl fmt::Display for RuleKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pvd:{:016x}", self.0)
    }
}
