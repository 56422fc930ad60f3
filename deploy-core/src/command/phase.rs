//! Where a machine is in its life, as far as commands are concerned.

use crate::{Operation, Step, VmRecord};
use std::fmt;

/// Where a machine is in its life: what decides which commands it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// It is being made, for the first time or anew.
    Deploying,
    /// A machine that somebody else made is becoming ours.
    Adopting,
    /// A command is being carried out.
    Busy,
    /// It rests in its customer's hands.
    Ready,
    /// It rests, and is kept from its customer.
    Suspended,
    /// Only its record and its addresses are there.
    Removed,
    /// An operator has taken it out of the workers' hands.
    Held,
    /// It is being taken away.
    Terminating,
    /// Nothing is left of it.
    Terminated,
}

impl Phase {
    /// Every phase.
    pub const ALL: &'static [Self] = &[
        Self::Deploying,
        Self::Adopting,
        Self::Busy,
        Self::Ready,
        Self::Suspended,
        Self::Removed,
        Self::Held,
        Self::Terminating,
        Self::Terminated,
    ];

    /// The record's.
    pub fn of(record: &VmRecord) -> Self {
        Self::held_or_not(record, record.life.held)
    }

    /// The record's, were it held or not.
    pub(super) fn held_or_not(record: &VmRecord, held: bool) -> Self {
        match record.step {
            Step::Terminated => Self::Terminated,
            _ if record.operation == Operation::Terminate => Self::Terminating,
            _ if held => Self::Held,
            Step::Ready => Self::Ready,
            Step::Suspended => Self::Suspended,
            Step::Removed => Self::Removed,
            _ if record.operation == Operation::Adopt => Self::Adopting,
            _ if record.operation.deploys() => Self::Deploying,
            _ => Self::Busy,
        }
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deploying => "deploying",
            Self::Adopting => "adopting",
            Self::Busy => "busy",
            Self::Ready => "ready",
            Self::Suspended => "suspended",
            Self::Removed => "removed",
            Self::Held => "held",
            Self::Terminating => "terminating",
            Self::Terminated => "terminated",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
