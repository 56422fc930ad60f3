//! The tables of a file, as serde reads them.

use deploy_core::{BridgeName, PoolName, VlanId, Vmid};
use ip_pool::PoolRange;
use serde::Deserialize;
use std::net::IpAddr;
use toml::Spanned;

/// The numbers that machines get.
#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vmids {
    /// The first.
    pub first: Vmid,
    /// The last, which is one of them.
    pub last: Vmid,
}

/// An address pool.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    pub(super) name: Spanned<PoolName>,
    pub(super) bridge: BridgeName,
    pub(super) vlan: Option<VlanId>,
    pub(super) ranges: Vec<PoolRange>,
    #[serde(default)]
    pub(super) exclusions: Vec<PoolRange>,
    pub(super) prefix_len: Option<u8>,
    pub(super) gateway: Option<IpAddr>,
    #[serde(default)]
    pub(super) resolvers: Vec<IpAddr>,
    pub(super) rest_minutes: Option<u32>,
}
