//! Notices: what is told to the outside, exactly one logical event each, through the transactional outbox.

use crate::{Attention, EmailAddress, ExternalRef, VmKey};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{fmt, net::IpAddr};

/// The number of a notice: the same at every attempt to deliver it, so that a receiver can drop repetitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NoticeId(pub i64);

/// What is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "notice", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Notice {
    /// The machine is ready.
    Ready,
    /// It cannot go on until a human changes something.
    NeedsAttention(Attention),
    /// It vanished behind our back, or was replaced by somebody else's.
    Vanished {
        /// What was seen, in words.
        message: String,
        /// Whether it is deployed anew ([`WhenVanished`](crate::WhenVanished)); then another `Ready` follows.
        redeployed: bool,
    },
    /// Volumes were found that carry its number and belong to nobody. They are left to a human, for a number proves nothing.
    LeftBehind {
        /// Which, and the commands that free them, in words.
        message: String,
    },
    /// Its customer is kept from it: it is stopped and stays so until it is unsuspended.
    Suspended,
    /// Its customer has it back.
    Unsuspended,
    /// Its disks are again as a backup had them.
    BackupRestored {
        /// The volume of the backup, as the hypervisor calls it.
        backup: String,
    },
    /// Nothing is left of it.
    Terminated {
        /// The addresses it had.
        addresses: Vec<IpAddr>,
    },
}

impl Notice {
    /// What it is about.
    pub const fn kind(&self) -> NoticeKind {
        match self {
            Self::Ready => NoticeKind::Ready,
            Self::NeedsAttention(_) => NoticeKind::NeedsAttention,
            Self::Vanished { .. } => NoticeKind::Vanished,
            Self::LeftBehind { .. } => NoticeKind::LeftBehind,
            Self::Suspended => NoticeKind::Suspended,
            Self::Unsuspended => NoticeKind::Unsuspended,
            Self::BackupRestored { .. } => NoticeKind::BackupRestored,
            Self::Terminated { .. } => NoticeKind::Terminated,
        }
    }
}

/// A notice that waits to be delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedNotice {
    /// Its number.
    pub id: NoticeId,
    /// The machine.
    pub key: VmKey,
    /// The embedder's reference.
    pub external_ref: ExternalRef,
    /// Whom the order names.
    pub contact: Option<EmailAddress>,
    /// Since when it waits.
    pub at: Timestamp,
    /// What is told.
    pub notice: Notice,
}

/// What a notice is about, without its particulars: by this it is sorted to whom it concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NoticeKind {
    /// [`Notice::Ready`].
    Ready,
    /// [`Notice::NeedsAttention`].
    NeedsAttention,
    /// [`Notice::Vanished`].
    Vanished,
    /// [`Notice::LeftBehind`].
    LeftBehind,
    /// [`Notice::Suspended`].
    Suspended,
    /// [`Notice::Unsuspended`].
    Unsuspended,
    /// [`Notice::BackupRestored`].
    BackupRestored,
    /// [`Notice::Terminated`].
    Terminated,
}

impl NoticeKind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Ready,
        Self::NeedsAttention,
        Self::Vanished,
        Self::LeftBehind,
        Self::Suspended,
        Self::Unsuspended,
        Self::BackupRestored,
        Self::Terminated,
    ];

    /// Its name, the one that the notice itself has where it is written down.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::NeedsAttention => "needs_attention",
            Self::Vanished => "vanished",
            Self::LeftBehind => "left_behind",
            Self::Suspended => "suspended",
            Self::Unsuspended => "unsuspended",
            Self::BackupRestored => "backup_restored",
            Self::Terminated => "terminated",
        }
    }

    /// Whether it concerns whoever runs the clusters rather than whoever bought the machine: it speaks of what only they can
    /// mend, in words that name nodes and storages.
    pub const fn is_for_operators(self) -> bool {
        match self {
            Self::NeedsAttention | Self::Vanished | Self::LeftBehind => true,
            Self::Ready | Self::Suspended | Self::Unsuspended | Self::BackupRestored | Self::Terminated => {
                false
            }
        }
    }
}

impl fmt::Display for NoticeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
