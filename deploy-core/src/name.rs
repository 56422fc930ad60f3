//! DNS names and the patterns they are made from.

use crate::{ClusterName, ExternalRef, Invalid, NodeName, Vmid};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A host name: labels of letters, digits and inner hyphens, at most 63 each and 253 together (RFC 1123, 2.1).
/// Kept in lower case. PVE takes it as a machine's name and cloud-init makes the guest's FQDN of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DnsName(String);

impl DnsName {
    /// A name made of parts that are known to give one.
    pub(crate) fn known(name: String) -> Self {
        Self(name)
    }

    /// Whether it is `zone`, or below it.
    pub fn is_within(&self, zone: &Self) -> bool {
        let above = self.0.strip_suffix(&zone.0);
        above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first label.
    pub fn host(&self) -> &str {
        self.0.split('.').next().unwrap_or(&self.0)
    }

    /// What follows the first label, if anything does.
    pub fn parent(&self) -> Option<Self> {
        self.0.split_once('.').map(|(_, parent)| Self(parent.to_owned()))
    }
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

impl FromStr for DnsName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text.len() <= 253 && !text.is_empty() && text.split('.').all(is_label) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(Invalid::new(
                "name",
                text,
                "a DNS name: labels of 1 to 63 letters, digits and inner hyphens, joined by dots, at most 253 in all",
            ))
        }
    }
}

impl fmt::Display for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name with placeholders, such as `vps-{vmid}.example.net`.
///
/// Placeholders are `{vmid}`, `{reference}`, `{cluster}` and `{node}`. They are resolved when the number is reserved, and
/// again if the machine has to take another number. What a reference or node brings in is folded to what a DNS
/// label allows (`_`, `.`, `/` and blanks become hyphens).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NamePattern(String);

/// What the placeholders of a [`NamePattern`] stand for.
#[derive(Debug, Clone, Copy)]
pub struct NameParts<'a> {
    /// `{vmid}`
    pub vmid: Vmid,
    /// `{reference}`
    pub reference: &'a ExternalRef,
    /// `{cluster}`
    pub cluster: &'a ClusterName,
    /// `{node}`
    pub node: &'a NodeName,
}

impl NamePattern {
    /// The pattern as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name that the pattern gives with these parts.
    ///
    /// # Errors
    /// [`Invalid`] where the result is no DNS name, for instance because a reference made a label too long.
    pub fn resolve(&self, parts: NameParts<'_>) -> Result<DnsName, Invalid> {
        self.name(&self.fill(|placeholder| parts.fill(placeholder, &parts.vmid.to_string()))?)
    }

    /// The name with `{vmid}` left open, for a store whose database fills in the number that it reserves; the number of
    /// these parts is not used.
    ///
    /// # Errors
    /// [`Invalid`] for a placeholder that is none.
    pub fn resolve_but_vmid(&self, parts: NameParts<'_>) -> Result<String, Invalid> {
        self.fill(|placeholder| parts.fill(placeholder, "{vmid}"))
    }

    fn fill(&self, value: impl Fn(&str) -> Option<String>) -> Result<String, Invalid> {
        let mut name = String::new();
        let mut rest = self.0.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            let (placeholder, after) = after
                .split_once('}')
                .ok_or_else(|| Invalid::new("name", &self.0, "every '{' closed by a '}'"))?;
            name.push_str(before);
            name.push_str(&value(placeholder).ok_or_else(|| {
                Invalid::new(
                    "name",
                    &self.0,
                    "only the placeholders {vmid}, {reference}, {cluster} and {node}",
                )
            })?);
            rest = after;
        }
        name.push_str(rest);
        Ok(name)
    }

    fn name(&self, name: &str) -> Result<DnsName, Invalid> {
        name.parse().map_err(|e: Invalid| {
            Invalid::new("name", &self.0, format!("{} (it gives {name:?})", e.expected))
        })
    }
}

impl NameParts<'_> {
    fn fill(&self, placeholder: &str, vmid: &str) -> Option<String> {
        match placeholder {
            "vmid" => Some(vmid.to_owned()),
            "reference" => Some(label(self.reference.as_str())),
            "cluster" => Some(label(self.cluster.as_str())),
            "node" => Some(label(self.node.as_str())),
            _ => None,
        }
    }
}

/// Folds any text to what a DNS label allows.
fn label(text: &str) -> String {
    let folded: String = text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    folded.trim_matches('-').to_ascii_lowercase()
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for NamePattern {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let pattern = Self(text.to_owned());
        // Tried with the longest number and short words: what fails now would always fail.
        let filled = pattern.fill(|placeholder| match placeholder {
            "vmid" => Some(Vmid::MAX.to_string()),
            "reference" | "cluster" | "node" => Some("a".to_owned()),
            _ => None,
        })?;
        pattern.name(&filled)?;
        Ok(pattern)
    }
}

crate::text::kept_as_text!(DnsName, NamePattern);
