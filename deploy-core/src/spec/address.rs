//! Which addresses a NIC gets.

use crate::{Invalid, PoolName};
use serde::{Deserialize, Serialize};
use std::{fmt, net::IpAddr};

/// IPv4 or IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // the names say it
pub enum Family {
    V4,
    V6,
}

impl Family {
    /// The family of an address.
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// How a NIC comes to its addresses.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Addressing {
    /// It gets none from us; the guest is not told anything.
    #[default]
    Unmanaged,
    /// The guest asks by DHCP for IPv4 and listens to router advertisements for IPv6.
    Dhcp,
    /// From our pools, all or nothing.
    Pools(FromPools),
}

/// What is taken from the pools.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FromPools {
    /// IPv4 addresses.
    #[serde(default)]
    pub v4: Option<Draw>,
    /// IPv6 addresses.
    #[serde(default)]
    pub v6: Option<Draw>,
}

/// So many addresses of one family.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draw {
    /// How many; the first is the one the guest's default route belongs to.
    pub count: u8,
    /// The pools to take from, tried in this order; none named means every pool of the machine's cluster that belongs to
    /// the NIC's bridge and VLAN.
    #[serde(default)]
    pub pools: Vec<PoolName>,
}

impl Addressing {
    pub(super) fn check(&self) -> Result<(), Invalid> {
        let Self::Pools(FromPools { v4, v6 }) = self else { return Ok(()) };
        if v4.is_none() && v6.is_none() {
            return Err(Invalid::new("pools", "none", "IPv4 or IPv6 addresses to take"));
        }
        for (family, draw) in [("v4", v4), ("v6", v6)] {
            if let Some(draw) = draw
                && !(1..=64).contains(&draw.count)
            {
                return Err(Invalid::new(format!("{family}.count"), draw.count, "a count from 1 to 64"));
            }
        }
        Ok(())
    }
}
