//! The network that a pool's addresses lie in.

use crate::{PoolRange, interval::Interval};
use deploy_core::{Family, Invalid};
use ipnet::IpNet;
use std::net::IpAddr;

/// The network of a pool: every address of the pool lies in it, and the guest is told its prefix length.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Network(IpNet);

impl Network {
    /// The network that `ranges` lie in: of the given length, or of the length that its networks show.
    pub(crate) fn find(ranges: &[PoolRange], prefix_len: Option<u8>) -> Result<Self, Invalid> {
        let Some(first) = ranges.first() else {
            return Err(Invalid::new("ranges", "none", "at least one network, range or address to give"));
        };
        let prefix_len = match prefix_len {
            Some(given) => given,
            None => shown(ranges)?,
        };
        let longest = match first.family() {
            Family::V4 => 32,
            Family::V6 => 128,
        };
        let expected =
            || format!("a prefix length from 1 to {longest}, as the pool's addresses are {}", first.family());
        if prefix_len == 0 {
            return Err(Invalid::new("prefix_len", prefix_len, expected()));
        }
        IpNet::new(first.addresses().first, prefix_len)
            .map(|net| Self(net.trunc()))
            .map_err(|_| Invalid::new("prefix_len", prefix_len, expected()))
    }

    pub(crate) fn prefix_len(self) -> u8 {
        self.0.prefix_len()
    }

    pub(crate) fn family(self) -> Family {
        Family::of(self.0.addr())
    }

    pub(crate) fn all(self) -> Interval {
        Interval::of(PoolRange::Network(self.0).addresses())
    }

    /// The addresses that belong to no host.
    ///
    /// IPv4: network and broadcast address, but for point-to-point networks (RFC 3021). IPv6: the subnet-router anycast
    /// address (RFC 4291, 2.6.1), but for `/127` (RFC 6164) and `/128`.
    pub(crate) fn reserved(self) -> Vec<Interval> {
        let Interval { first, last } = self.all();
        match self.family() {
            Family::V4 if self.prefix_len() <= 30 => vec![Interval::one(first), Interval::one(last)],
            Family::V6 if self.prefix_len() <= 126 => vec![Interval::one(first)],
            Family::V4 | Family::V6 => Vec::new(),
        }
    }

    /// Whether a guest with an address of this network can use `gateway`.
    ///
    /// Beside the network's own hosts that is, for IPv6, a link-local address: routers commonly are `fe80::1`.
    pub(crate) fn check_gateway(self, gateway: IpAddr) -> Result<(), Invalid> {
        let link_local = matches!(gateway, IpAddr::V6(v6) if v6.is_unicast_link_local());
        let number = Interval::one(crate::interval::number(gateway));
        let host = self.all().contains(number) && !self.reserved().contains(&number);
        if Family::of(gateway) == self.family() && (host || link_local) {
            Ok(())
        } else {
            Err(Invalid::new("gateway", gateway, format!("a host address inside {}", self.0)))
        }
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The prefix length that the networks among `ranges` agree on.
fn shown(ranges: &[PoolRange]) -> Result<u8, Invalid> {
    let mut lengths = ranges.iter().filter_map(|range| match range {
        PoolRange::Network(net) => Some(net.prefix_len()),
        PoolRange::Span(_) => None,
    });
    let missing =
        |why: &str| Invalid::new("prefix_len", "none", format!("the length of the network's prefix, {why}"));
    let first =
        lengths.next().ok_or_else(|| missing("as no range is written as a network (203.0.113.0/24)"))?;
    if lengths.all(|length| length == first) {
        Ok(first)
    } else {
        Err(missing("as the ranges are networks of different lengths"))
    }
}
