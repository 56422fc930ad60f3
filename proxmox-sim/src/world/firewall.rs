//! The firewall file of a machine. It may exist without the machine.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;

use sha1::{Digest, Sha1};

use crate::access::hex;

/// Options, sets, aliases and rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Firewall {
    pub(crate) options: BTreeMap<String, String>,
    pub(crate) ipsets: BTreeMap<String, IpSet>,
    /// By lower-case name: name, address, comment.
    pub(crate) aliases: BTreeMap<String, (String, String, Option<String>)>,
    pub(crate) rules: Vec<BTreeMap<String, String>>,
}

/// A set of addresses, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct IpSet {
    pub(crate) comment: Option<String>,
    pub(crate) entries: Vec<IpSetEntry>,
}

/// An address of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IpSetEntry {
    pub(crate) cidr: String,
    pub(crate) nomatch: bool,
    pub(crate) comment: Option<String>,
}

impl Firewall {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn options_digest(&self) -> String {
        digest(self.options.iter().map(|(k, v)| format!("{k}: {v}")))
    }

    pub(crate) fn rules_digest(&self) -> String {
        digest(self.rules.iter().map(|rule| {
            rule.iter().fold(String::new(), |mut text, (key, value)| {
                let _ = write!(text, "{key}={value} ");
                text
            })
        }))
    }

    pub(crate) fn ipset_names_digest(&self) -> String {
        digest(
            self.ipsets.iter().map(|(name, set)| format!("{name} {}", set.comment.as_deref().unwrap_or(""))),
        )
    }

    pub(crate) fn aliases_digest(&self) -> String {
        digest(self.aliases.values().map(|(name, cidr, _)| format!("{name} {cidr}")))
    }

    /// The set, or the text of its absence.
    pub(crate) fn ipset(&self, name: &str) -> Result<&IpSet, String> {
        self.ipsets.get(name).ok_or_else(|| format!("no such IPSet '{name}'"))
    }

    pub(crate) fn ipset_mut(&mut self, name: &str) -> Result<&mut IpSet, String> {
        self.ipsets.get_mut(name).ok_or_else(|| format!("no such IPSet '{name}'"))
    }

    /// Refuses when a digest is given that is not the section's.
    pub(crate) fn need_digest(wanted: Option<&str>, digest: &str) -> Result<(), String> {
        match wanted {
            Some(wanted) if wanted != digest => {
                Err("detected modified configuration - file changed by other user? Try again.".to_owned())
            }
            _ => Ok(()),
        }
    }
}

impl IpSet {
    pub(crate) fn digest(&self) -> String {
        digest(
            self.entries
                .iter()
                .map(|entry| format!("{}{}", if entry.nomatch { "!" } else { "" }, entry.cidr)),
        )
    }
}

fn digest(lines: impl Iterator<Item = String>) -> String {
    let text = lines.fold(String::new(), |text, line| text + &line + "\n");
    hex(&Sha1::digest(text))
}

/// Clears host bits and drops the prefix of a single address. An address without a prefix is kept
/// as it is written. `None` for what is no address.
pub(crate) fn normalise_cidr(text: &str) -> Option<String> {
    let Some((address, prefix)) = text.split_once('/') else {
        return text.parse::<IpAddr>().ok().map(|_| text.to_owned());
    };
    let prefix = prefix.parse::<u8>().ok()?;
    match address.parse::<IpAddr>().ok()? {
        IpAddr::V4(address) => {
            if prefix > 32 {
                return None;
            }
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            let network = std::net::Ipv4Addr::from_bits(address.to_bits() & mask);
            Some(if prefix == 32 { network.to_string() } else { format!("{network}/{prefix}") })
        }
        IpAddr::V6(address) => {
            if prefix > 128 {
                return None;
            }
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            let network = std::net::Ipv6Addr::from_bits(address.to_bits() & mask);
            Some(if prefix == 128 { network.to_string() } else { format!("{network}/{prefix}") })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_normalised() {
        for (given, stored) in [
            ("10.0.0.5/24", "10.0.0.0/24"),
            ("10.0.0.5/32", "10.0.0.5"),
            ("2001:DB8:0::1/128", "2001:db8::1"),
            ("2001:DB8::1", "2001:DB8::1"),
            ("2001:db8::1/64", "2001:db8::/64"),
            ("0.0.0.0/0", "0.0.0.0/0"),
        ] {
            assert_eq!(normalise_cidr(given).as_deref(), Some(stored));
        }
        assert_eq!(normalise_cidr("nonsense"), None);
        assert_eq!(normalise_cidr("10.0.0.1/40"), None);
    }
}
