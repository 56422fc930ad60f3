//! The owner mark: how a machine says whose it is.

use crate::{SmbiosUuid, VmKey};
use serde::{Deserialize, Serialize};
use std::fmt;

const PREFIX: &str = "pve-deploy: ";

/// The line in a machine's description that names the deployment it belongs to.
///
/// The clone call carries it, so that a machine whose creation was never answered is recognised. From the moment the
/// SMBIOS UUID is recorded that decides instead: people edit notes, and clones of ours copy the mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OwnerMark(pub VmKey);

impl OwnerMark {
    /// The mark in a description, if a line of it is one.
    pub fn find(description: &str) -> Option<Self> {
        description.lines().find_map(|line| line.trim().strip_prefix(PREFIX)?.trim().parse().ok()).map(Self)
    }

    /// `description` with this mark as its first line, whatever else it says kept, other marks dropped.
    pub fn put_into(self, description: &str) -> String {
        let kept = description.lines().filter(|line| Self::find(line).is_none());
        std::iter::once(self.to_string())
            .chain(kept.map(str::to_owned))
            .collect::<Vec<_>>()
            .join("\n")
            .trim_end()
            .to_owned()
    }
}

impl fmt::Display for OwnerMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.0)
    }
}

/// Whose a machine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// Ours.
    Ours,
    /// Ours by its UUID, but somebody edited the mark away: it is put back.
    OursUnmarked,
    /// Busy and not marked yet: a clone in its first phase shows nothing of itself. Waited for, not judged.
    TooEarly,
    /// Somebody else's. Never touched.
    Stranger,
}

/// What a machine shows of its identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// The mark in its description.
    pub mark: Option<OwnerMark>,
    /// Its SMBIOS UUID.
    pub smbios: Option<SmbiosUuid>,
    /// Whether its lock says that it is only being made or destroyed, so that it need not show all of itself.
    pub unfinished: bool,
    /// Whether it is nothing but a husk ([`MachineConfig::is_husk`](crate::MachineConfig::is_husk)), without a lock.
    pub husk: bool,
}

impl Shown {
    /// What a machine with this description, UUID and lock shows.
    pub fn of(description: &str, smbios: Option<SmbiosUuid>, lock: Option<&str>) -> Self {
        let unfinished = matches!(lock, Some("clone" | "create" | "import" | "destroyed"));
        Self { mark: OwnerMark::find(description), smbios, unfinished, husk: false }
    }
}

impl Ownership {
    /// Judges a machine that carries our number: `recorded` is the UUID noted after the clone, `ours` our mark.
    pub fn judge(ours: OwnerMark, recorded: Option<SmbiosUuid>, shown: Shown) -> Self {
        match recorded {
            Some(uuid) if shown.smbios == Some(uuid) => {
                if shown.mark == Some(ours) {
                    Self::Ours
                } else {
                    Self::OursUnmarked
                }
            }
            // A restore or a migration under way shows a partial configuration; a restore shows no lock either, at times.
            Some(_) if shown.smbios.is_none() && (shown.unfinished || shown.husk) => Self::TooEarly,
            None if shown.mark == Some(ours) => Self::Ours,
            None if shown.mark.is_none() && shown.unfinished => Self::TooEarly,
            Some(_) | None => Self::Stranger,
        }
    }
}
