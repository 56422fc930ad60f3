//! Notices: what is told to the outside, exactly one logical event each, through the transactional outbox.

use crate::{Attention, EmailAddress, ExternalRef, VmKey};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

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
