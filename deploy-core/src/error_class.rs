//! Kinds of errors, by what they mean for the next try.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What an error means for the next try. It picks a delay and whether a human is told; there is no class that ends the
/// retrying.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// Nobody was reached; nothing happened.
    Unreachable,
    /// Something else is under way there: a lock, another task, no quorum. Waiting, not failure.
    Busy,
    /// Nobody knows whether it happened. Look before anything else.
    Unknown,
    /// It failed, for a reason that time may mend.
    Failed,
    /// A pool, a storage or a range of numbers is full.
    Exhausted,
    /// The order or the configuration is refused. A human must change something.
    Refused,
    /// The credentials or their rights are not enough. A human must change something.
    Unauthorized,
}

impl ErrorClass {
    /// Whether a human is told at the first failure.
    pub fn needs_attention(self) -> bool {
        match self {
            Self::Refused | Self::Unauthorized | Self::Exhausted => true,
            Self::Unreachable | Self::Busy | Self::Unknown | Self::Failed => false,
        }
    }

    /// The class's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Busy => "busy",
            Self::Unknown => "unknown",
            Self::Failed => "failed",
            Self::Exhausted => "exhausted",
            Self::Refused => "refused",
            Self::Unauthorized => "unauthorized",
        }
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
