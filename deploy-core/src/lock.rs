//! PVE's locks.

use serde::{Deserialize, Serialize};
use std::{convert::Infallible, fmt, str::FromStr};

/// What a machine is locked by (PVE: `lock` in its configuration). It outlives the task that set it, also where that was
/// killed; nobody writes down since when it is there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
#[non_exhaustive]
pub enum Lock {
    /// A backup is made.
    Backup,
    /// It is being cloned; it is the copy.
    Clone,
    /// It is being made or restored.
    Create,
    /// It is destroyed, and its disks are gone; what is left is its configuration.
    Destroyed,
    /// It is imported while it runs.
    Import,
    /// It moves to another node.
    Migrate,
    /// It goes back to a snapshot.
    Rollback,
    /// A snapshot is made.
    Snapshot,
    /// A snapshot is deleted.
    SnapshotDelete,
    /// Its memory is saved to disk.
    Suspending,
    /// Its memory is saved to disk; it goes on from there when it is started.
    Suspended,
    /// Another word, of a newer PVE.
    Other(String),
}

impl Lock {
    /// Every kind that has a name here.
    const NAMED: [(&'static str, Self); 11] = [
        ("backup", Self::Backup),
        ("clone", Self::Clone),
        ("create", Self::Create),
        ("destroyed", Self::Destroyed),
        ("import", Self::Import),
        ("migrate", Self::Migrate),
        ("rollback", Self::Rollback),
        ("snapshot", Self::Snapshot),
        ("snapshot-delete", Self::SnapshotDelete),
        ("suspending", Self::Suspending),
        ("suspended", Self::Suspended),
    ];

    /// PVE's word for it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Other(word) => word,
            named => Self::NAMED.iter().find(|(_, lock)| lock == named).map_or("", |(word, _)| word),
        }
    }
}

impl From<String> for Lock {
    fn from(word: String) -> Self {
        let named = Self::NAMED.into_iter().find(|(name, _)| *name == word);
        named.map_or(Self::Other(word), |(_, lock)| lock)
    }
}

impl From<Lock> for String {
    fn from(lock: Lock) -> Self {
        lock.as_str().to_owned()
    }
}

impl FromStr for Lock {
    type Err = Infallible;

    fn from_str(word: &str) -> Result<Self, Infallible> {
        Ok(Self::from(word.to_owned()))
    }
}

impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
