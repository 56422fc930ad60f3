//! Which line of Proxmox VE is imitated.

use serde::{Deserialize, Serialize};

/// The release whose texts and parameters are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub enum Version {
    /// 7.4-16. Only what a client sees differently is its own: the text of an error stands in the
    /// reason phrase alone, disks grow within the call, parameters that came later are unknown, and
    /// bridges are open to all. Everything else is as in 8.4.
    #[serde(rename = "7.4")]
    V7_4,
    /// 8.4.1.
    #[serde(rename = "8.4")]
    V8_4,
    /// 9.2.11.
    #[default]
    #[serde(rename = "9.2")]
    V9_2,
}

impl Version {
    /// `release` of `GET /version`.
    pub fn release(self) -> &'static str {
        match self {
            Self::V7_4 => "7.4",
            Self::V8_4 => "8.4",
            Self::V9_2 => "9.2",
        }
    }

    /// `repoid` of `GET /version`.
    pub fn repository(self) -> &'static str {
        match self {
            Self::V7_4 => "0f39f621",
            Self::V8_4 => "825b122a3d29aa85",
            Self::V9_2 => "14a22df35955d97d",
        }
    }

    /// The line it belongs to.
    pub(crate) fn major(self) -> u8 {
        match self {
            Self::V7_4 => 7,
            Self::V8_4 => 8,
            Self::V9_2 => 9,
        }
    }

    /// `version` of `GET /version`.
    pub fn full(self) -> &'static str {
        match self {
            Self::V7_4 => "7.4-16",
            Self::V8_4 => "8.4.1",
            Self::V9_2 => "9.2.11",
        }
    }
}

impl std::str::FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "7.4" => Ok(Self::V7_4),
            "8.4" => Ok(Self::V8_4),
            "9.2" => Ok(Self::V9_2),
            other => Err(format!("unknown version '{other}', use 7.4, 8.4 or 9.2")),
        }
    }
}
