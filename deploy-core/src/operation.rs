//! Operations: lists of steps that end at a rest.

use crate::{Invalid, Step};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// What is being done to a machine. Each operation is one line of a table: its steps, in order, the last of which is a
/// rest. A new operation is a variant, a name and such a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Operation {
    /// From an order to a ready machine.
    Create,
    /// From any state to nothing left.
    Terminate,
}

impl Operation {
    /// Every operation.
    pub const ALL: &'static [Self] = &[Self::Create, Self::Terminate];

    /// The operation's steps, in order.
    pub const fn steps(self) -> &'static [Step] {
        match self {
            Self::Create => &[
                Step::Creation,
                Step::SetIp,
                Step::Clone,
                Step::Migrated,
                Step::SetCpuRam,
                Step::SetSystemDiskSize,
                Step::SetSystemDiskBandwidth,
                Step::SetCreatedAdditionalDisk,
                Step::SetAdditionalDiskSize,
                Step::SetAdditionalDiskBandwidth,
                Step::SetNetwork,
                Step::SetFirewall,
                Step::SetCloudinit,
                Step::Starting,
                Step::Ready,
            ],
            Self::Terminate => {
                &[Step::Stopping, Step::DeletingBackups, Step::Removing, Step::ReleasingIp, Step::Terminated]
            }
        }
    }

    /// The first step.
    pub const fn first(self) -> Step {
        self.steps()[0]
    }

    /// The step after `step`; `None` at the last, and for a step that is not of this operation.
    pub fn after(self, step: Step) -> Option<Step> {
        let steps = self.steps();
        let at = steps.iter().position(|s| *s == step)?;
        steps.get(at + 1).copied()
    }

    /// The operation's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Terminate => "terminate",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Operation {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::ALL
            .iter()
            .copied()
            .find(|operation| operation.as_str() == text)
            .ok_or_else(|| Invalid::new("operation", text, "the name of an operation, such as \"create\""))
    }
}
