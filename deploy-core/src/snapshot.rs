//! Snapshots, and when what is made for a while expires.

use crate::Invalid;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The name of a snapshot (PVE: `pve-configid`): a letter, then letters, digits, `-` and `_`, 2 to 40 characters; not `current`
/// nor `pending`, which PVE needs itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SnapshotName(String);

impl SnapshotName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SnapshotName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let is_word = (2..=40).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
        if is_word && !matches!(text, "current" | "pending") {
            Ok(Self(text.to_owned()))
        } else {
            let expected = "a snapshot name: a letter, then letters, digits, '-' or '_', 2 to 40 characters, \
                            not \"current\" or \"pending\"";
            Err(Invalid::new("snapshot", text, expected))
        }
    }
}

impl fmt::Display for SnapshotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A snapshot of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its name.
    pub name: SnapshotName,
    /// Its description.
    pub description: String,
    /// When it was taken, by the hypervisor's clock.
    pub taken_at: Option<Timestamp>,
    /// The snapshot before it.
    pub parent: Option<SnapshotName>,
    /// Whether it holds the memory.
    pub memory: bool,
    /// PVE's word (`prepare`, `delete`) for one that is being made or deleted, or was when its worker died: then it stays so.
    pub incomplete: Option<String>,
}

impl Snapshot {
    /// When it goes by itself, where it says so.
    pub fn expires_at(&self) -> Option<Timestamp> {
        ExpiryMark::find(&self.description).map(|mark| mark.0)
    }
}

const PREFIX: &str = "pvd-expires:";

/// A word in a description or in notes that says until when something is kept: `pvd-expires:2026-01-31T12:00:00Z`, with a time
/// of RFC 3339. What has none is kept until somebody deletes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExpiryMark(pub Timestamp);

impl ExpiryMark {
    /// The mark in a text. Of several the last time counts, and one that cannot be read is none: a doubt must keep, not lose.
    pub fn find(text: &str) -> Option<Self> {
        text.split_whitespace().filter_map(|word| word.strip_prefix(PREFIX)?.parse().ok()).max().map(Self)
    }

    /// `text` with this mark at its end, other marks dropped.
    #[must_use]
    pub fn put_into(self, text: &str) -> String {
        let kept = text.split(' ').filter(|word| Self::find(word).is_none());
        let mut marked = kept.collect::<Vec<_>>().join(" ").trim_end().to_owned();
        if !marked.is_empty() {
            marked.push(' ');
        }
        marked + &self.to_string()
    }
}

impl fmt::Display for ExpiryMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.0)
    }
}

crate::text::kept_as_text!(SnapshotName);
