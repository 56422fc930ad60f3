//! Pool definitions that contradict themselves, and what they are told; and a few that look odd and are right.
#![allow(clippy::unwrap_used)] // in tests also outside of test functions

use deploy_core::Invalid;
use ip_pool::{PoolDefinition, PoolPlan, PoolRange};
use jiff::SignedDuration;

fn pool(ranges: &[&str]) -> PoolDefinition {
    let ranges = ranges.iter().map(|text| text.parse::<PoolRange>().unwrap());
    PoolDefinition::new("p".parse().unwrap(), "prod".parse().unwrap(), "vmbr0".parse().unwrap(), ranges)
}

fn without(mut pool: PoolDefinition, exclusions: &[&str]) -> PoolDefinition {
    pool.exclusions = exclusions.iter().map(|text| text.parse().unwrap()).collect();
    pool
}

fn gateway(mut pool: PoolDefinition, gateway: &str) -> PoolDefinition {
    pool.gateway = Some(gateway.parse().unwrap());
    pool
}

fn prefix(mut pool: PoolDefinition, length: u8) -> PoolDefinition {
    pool.prefix_len = Some(length);
    pool
}

/// Whether planning fails in `field` with a text that ends in `expected`.
#[track_caller]
fn refused(pool: &PoolDefinition, field: &str, expected: &str) {
    let Invalid { field: at, expected: words, .. } = pool.plan().unwrap_err();
    assert_eq!((at.as_str(), words.as_str()), (field, expected));
}

fn texts(plan: &PoolPlan) -> Vec<String> {
    plan.usable.iter().map(|range| PoolRange::from(*range).to_string()).collect()
}

#[test]
fn the_prefix_length_comes_from_the_network_or_is_given() {
    let plan = pool(&["203.0.113.0/24"]).plan().unwrap();
    assert_eq!((plan.pool.prefix_len, plan.size()), (24, 254));
    let plan = prefix(pool(&["203.0.113.64/26"]), 24).plan().unwrap();
    // Part of a larger network: its first and last address are ordinary ones there.
    assert_eq!((plan.pool.prefix_len, plan.size()), (24, 64));
    refused(
        &pool(&["203.0.113.10-203.0.113.20"]),
        "prefix_len",
        "the length of the network's prefix, as no range is written as a network (203.0.113.0/24)",
    );
    refused(
        &pool(&["203.0.113.0/26", "203.0.113.64/27"]),
        "prefix_len",
        "the length of the network's prefix, as the ranges are networks of different lengths",
    );
    let of_v4 = "a prefix length from 1 to 32, as the pool's addresses are IPv4";
    refused(&prefix(pool(&["203.0.113.0/24"]), 33), "prefix_len", of_v4);
    refused(&prefix(pool(&["203.0.113.0/24"]), 0), "prefix_len", of_v4);
    refused(
        &prefix(pool(&["2001:db8::/64"]), 129),
        "prefix_len",
        "a prefix length from 1 to 128, as the pool's addresses are IPv6",
    );
}

#[test]
fn ranges_lie_in_one_network_and_apart_from_one_another() {
    refused(&pool(&[]), "ranges", "at least one network, range or address to give");
    refused(
        &prefix(pool(&["203.0.113.10-203.0.113.20", "203.0.114.1"]), 24),
        "ranges[1]",
        "addresses inside 203.0.113.0/24, the network of the first range; for another network make another pool",
    );
    refused(
        &prefix(pool(&["203.0.113.0/24"]), 25),
        "ranges[0]",
        "addresses inside 203.0.113.0/25, the network of the first range; for another network make another pool",
    );
    refused(
        &prefix(pool(&["203.0.113.10-203.0.113.20", "203.0.113.20-203.0.113.30"]), 24),
        "ranges[1]",
        "a range that does not overlap 203.0.113.10-203.0.113.20",
    );
    // Their lengths differ as well, but with another prefix length they would overlap all the same.
    refused(
        &pool(&["203.0.113.0/24", "203.0.113.128/25"]),
        "ranges[1]",
        "a range that does not overlap 203.0.113.0/24",
    );
    refused(
        &pool(&["203.0.113.0/24", "2001:db8::1"]),
        "ranges[1]",
        "IPv4 addresses, as those of the first range",
    );
}

#[test]
fn an_ipv4_address_in_disguise_is_none_of_ipv6() {
    refused(&pool(&["::ffff:203.0.113.0/120"]), "ranges[0]", "IPv4 addresses as such, not mapped into IPv6");
}

#[test]
fn a_gateway_is_a_host_of_the_network() {
    let inside = "a host address inside 203.0.113.0/24";
    for wrong in ["203.0.114.1", "203.0.113.0", "203.0.113.255", "2001:db8::1"] {
        refused(&gateway(pool(&["203.0.113.0/24"]), wrong), "gateway", inside);
    }
    refused(
        &gateway(pool(&["2001:db8::/64"]), "2001:db8:0:1::1"),
        "gateway",
        "a host address inside 2001:db8::/64",
    );
    refused(
        &gateway(pool(&["2001:db8::/64"]), "2001:db8::"),
        "gateway",
        "a host address inside 2001:db8::/64",
    );
    let link_local = gateway(pool(&["2001:db8::/64"]), "fe80::1").plan().unwrap();
    assert_eq!(link_local.size(), (1 << 64) - 1);
}

#[test]
fn exclusions_leave_out_something_that_was_in() {
    let plan = without(
        pool(&["203.0.113.0/28"]),
        &["203.0.113.0-203.0.113.3", "203.0.113.2-203.0.113.4", "203.0.113.9"],
    );
    assert_eq!(texts(&plan.plan().unwrap()), ["203.0.113.5-203.0.113.8", "203.0.113.10-203.0.113.14"]);
    refused(
        &without(pool(&["203.0.113.0/28"]), &["203.0.113.16"]),
        "exclusions[0]",
        "addresses of one of the ranges; these are in none, so leave them out",
    );
    refused(
        &without(pool(&["203.0.113.0/28"]), &["2001:db8::1"]),
        "exclusions[0]",
        "IPv4 addresses, as those of the ranges",
    );
}

#[test]
fn something_must_be_left() {
    let expected = "at least one address that is left over: exclusions, gateway, network and broadcast address are never given";
    refused(&gateway(pool(&["203.0.113.1/32"]), "203.0.113.1"), "ranges", expected);
    refused(&without(pool(&["203.0.113.0/30"]), &["203.0.113.0/30"]), "ranges", expected);
    refused(&prefix(pool(&["203.0.113.255"]), 24), "ranges", expected);
}

#[test]
fn other_limits() {
    let mut crowded = pool(&["203.0.113.0/24"]);
    crowded.resolvers =
        vec!["192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap(), "2001:db8::1".parse().unwrap()];
    refused(&crowded, "resolvers", "at most two resolvers");
    crowded.resolvers.pop();
    crowded.rest = SignedDuration::from_secs(-1);
    refused(&crowded, "rest", "a time of zero or more");
}

#[test]
fn point_to_point_networks_have_no_reserved_addresses() {
    let size = |range: &str| pool(&[range]).plan().unwrap().size();
    assert_eq!((size("203.0.113.0/31"), size("203.0.113.0/32"), size("203.0.113.0/30")), (2, 1, 2));
    assert_eq!((size("2001:db8::/127"), size("2001:db8::/128"), size("2001:db8::/126")), (2, 1, 3));
}

#[test]
fn the_size_of_a_network_does_not_matter() {
    let ten = gateway(pool(&["10.0.0.0/8"]), "10.0.0.1").plan().unwrap();
    assert_eq!((texts(&ten), ten.size()), (vec!["10.0.0.2-10.255.255.254".to_owned()], (1 << 24) - 3));
    let half = pool(&["8000::/1"]).plan().unwrap();
    assert_eq!(half.size(), (1 << 127) - 1);
}
