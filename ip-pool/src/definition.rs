//! A pool as its owner defines it.

use crate::{
    PoolPlan, PoolRange,
    interval::{self, Interval},
    network::Network,
};
use deploy_core::{AddressRange, BridgeName, ClusterName, Family, Invalid, Pool, PoolName, VlanId};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// A pool as its owner defines it; [`PoolDefinition::plan`] judges it.
///
/// All its addresses are of one family and lie in one network: what a guest is told (prefix length, gateway) is the
/// same for each of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolDefinition {
    /// Its name; unique in the store.
    pub name: PoolName,
    /// The cluster it belongs to.
    pub cluster: ClusterName,
    /// The bridge its network is on.
    pub bridge: BridgeName,
    /// The VLAN its network is on; `None` is untagged.
    #[serde(default)]
    pub vlan: Option<VlanId>,
    /// The addresses to give.
    pub ranges: Vec<PoolRange>,
    /// What is left out of them: each must lie, at least in part, in a range.
    #[serde(default)]
    pub exclusions: Vec<PoolRange>,
    /// The length of the network's prefix; `None` takes it from the ranges that are written as networks.
    #[serde(default)]
    pub prefix_len: Option<u8>,
    /// The default route, inside the network or, for IPv6, link-local. Never given to a machine.
    #[serde(default)]
    pub gateway: Option<IpAddr>,
    /// Resolvers that guests are told, at most two, of either family.
    #[serde(default)]
    pub resolvers: Vec<IpAddr>,
    /// How long an address rests after it was given back, before another machine may get it.
    #[serde(default = "PoolDefinition::default_rest")]
    pub rest: SignedDuration,
}

impl PoolDefinition {
    /// A pool of these ranges: untagged, without gateway, resolvers or exclusions, resting for an hour.
    pub fn new(
        name: PoolName,
        cluster: ClusterName,
        bridge: BridgeName,
        ranges: impl IntoIterator<Item = PoolRange>,
    ) -> Self {
        Self {
            name,
            cluster,
            bridge,
            vlan: None,
            ranges: ranges.into_iter().collect(),
            exclusions: Vec::new(),
            prefix_len: None,
            gateway: None,
            resolvers: Vec::new(),
            rest: Self::default_rest(),
        }
    }

    /// An hour: longer than neighbours' ARP and NDP caches and than most DNS records live.
    fn default_rest() -> SignedDuration {
        SignedDuration::from_hours(1)
    }

    /// Judges the definition, and computes which addresses may be given: the ranges without the exclusions, the gateway
    /// and the addresses of the network that belong to no host.
    ///
    /// # Errors
    /// [`Invalid`], which names the field (`ranges[1]`), the value and what would be right.
    pub fn plan(&self) -> Result<PoolPlan, Invalid> {
        // First of all: networks of two lengths are in doubt about the prefix as well, but that is not their mistake.
        self.check_overlaps()?;
        let network = Network::find(&self.ranges, self.prefix_len)?;
        self.check_ranges(network)?;
        self.check_exclusions(network.family())?;
        if let Some(gateway) = self.gateway {
            network.check_gateway(gateway)?;
        }
        if self.resolvers.len() > 2 {
            return Err(Invalid::new("resolvers", self.resolvers.len(), "at most two resolvers"));
        }
        if self.rest.is_negative() {
            return Err(Invalid::new("rest", self.rest, "a time of zero or more"));
        }
        let usable = self.usable(network);
        if usable.is_empty() {
            let ranges: Vec<_> = self.ranges.iter().map(PoolRange::to_string).collect();
            return Err(Invalid::new(
                "ranges",
                ranges.join(", "),
                "at least one address that is left over: exclusions, gateway, network and broadcast address are never given",
            ));
        }
        Ok(PoolPlan { pool: self.pool(network), usable })
    }

    fn check_ranges(&self, network: Network) -> Result<(), Invalid> {
        for (at, range) in self.ranges.iter().enumerate() {
            let invalid = |expected: String| Err(Invalid::new(format!("ranges[{at}]"), range, expected));
            if range.family() != network.family() {
                return invalid(format!("{} addresses, as those of the first range", network.family()));
            }
            if range.is_mapped() {
                return invalid("IPv4 addresses as such, not mapped into IPv6".to_owned());
            }
            if !network.all().contains(Interval::of(range.addresses())) {
                return invalid(format!(
                    "addresses inside {network}, the network of the first range; for another network make another pool"
                ));
            }
        }
        Ok(())
    }

    fn check_overlaps(&self) -> Result<(), Invalid> {
        for (at, range) in self.ranges.iter().enumerate() {
            let mine = Interval::of(range.addresses());
            let overlaps = |other: &&PoolRange| {
                other.family() == range.family() && mine.overlaps(Interval::of(other.addresses()))
            };
            if let Some(other) = self.ranges[..at].iter().find(overlaps) {
                let expected = format!("a range that does not overlap {other}");
                return Err(Invalid::new(format!("ranges[{at}]"), range, expected));
            }
        }
        Ok(())
    }

    fn check_exclusions(&self, family: Family) -> Result<(), Invalid> {
        for (at, exclusion) in self.exclusions.iter().enumerate() {
            let invalid =
                |expected: String| Err(Invalid::new(format!("exclusions[{at}]"), exclusion, expected));
            if exclusion.family() != family {
                return invalid(format!("{family} addresses, as those of the ranges"));
            }
            let hole = Interval::of(exclusion.addresses());
            if !self.ranges.iter().any(|range| hole.overlaps(Interval::of(range.addresses()))) {
                return invalid(
                    "addresses of one of the ranges; these are in none, so leave them out".to_owned(),
                );
            }
        }
        Ok(())
    }

    fn usable(&self, network: Network) -> Vec<AddressRange> {
        let whole = intervals(&self.ranges).collect();
        let holes = intervals(&self.exclusions)
            .chain(network.reserved())
            .chain(self.gateway.map(|gateway| Interval::one(interval::number(gateway))))
            .collect();
        interval::without(whole, holes).into_iter().map(|left| left.range(network.family())).collect()
    }

    fn pool(&self, network: Network) -> Pool {
        Pool {
            name: self.name.clone(),
            cluster: self.cluster.clone(),
            bridge: self.bridge.clone(),
            vlan: self.vlan,
            family: network.family(),
            prefix_len: network.prefix_len(),
            gateway: self.gateway,
            resolvers: self.resolvers.clone(),
            ranges: self.ranges.iter().map(|range| range.addresses()).collect(),
            exclusions: self.exclusions.iter().map(|range| range.addresses()).collect(),
            rest: self.rest,
        }
    }
}

fn intervals(ranges: &[PoolRange]) -> impl Iterator<Item = Interval> {
    ranges.iter().map(|range| Interval::of(range.addresses()))
}
