//! What a pool may give, checked against a naive set of addresses.
#![allow(clippy::unwrap_used)] // in tests also outside of test functions

use deploy_core::Family;
use ip_pool::{PoolDefinition, PoolRange};
use proptest::{collection::vec, option, prelude::*};
use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// A small network and what is said about it, as offsets from its first address.
#[derive(Debug, Clone)]
struct Case {
    family: Family,
    bits: u8,
    ranges: Vec<(u32, u32)>,
    exclusions: Vec<(u32, u32)>,
    gateway: Option<u32>,
}

impl Case {
    fn address(&self, offset: u32) -> IpAddr {
        match self.family {
            Family::V4 => Ipv4Addr::from_bits(0xcb00_7100 + offset).into(),
            Family::V6 => Ipv6Addr::from_bits((0x2001_0db8 << 96) + u128::from(offset)).into(),
        }
    }

    fn definition(&self) -> PoolDefinition {
        let spans = |pairs: &[(u32, u32)]| -> Vec<PoolRange> {
            pairs.iter().map(|(a, b)| PoolRange::span(self.address(*a), self.address(*b)).unwrap()).collect()
        };
        let width = if self.family == Family::V4 { 32 } else { 128 };
        PoolDefinition {
            prefix_len: Some(width - self.bits),
            gateway: self.gateway.map(|offset| self.address(offset)),
            exclusions: spans(&self.exclusions),
            ..PoolDefinition::new(
                "p".parse().unwrap(),
                "c".parse().unwrap(),
                "vmbr0".parse().unwrap(),
                spans(&self.ranges),
            )
        }
    }

    /// What must be left, one address at a time.
    fn naive(&self) -> BTreeSet<IpAddr> {
        let within = |pairs: &[(u32, u32)], offset| pairs.iter().any(|(a, b)| (*a..=*b).contains(&offset));
        let size = 1_u32 << self.bits;
        let reserved = |offset| match self.family {
            Family::V4 => self.bits >= 2 && (offset == 0 || offset == size - 1),
            Family::V6 => self.bits >= 2 && offset == 0,
        };
        (0..size)
            .filter(|o| within(&self.ranges, *o) && !within(&self.exclusions, *o))
            .filter(|o| Some(*o) != self.gateway && !reserved(*o))
            .map(|o| self.address(o))
            .collect()
    }
}

fn cases() -> impl Strategy<Value = Case> {
    (prop::bool::ANY, 0_u8..=8).prop_flat_map(|(v4, bits)| {
        let size = 1_u32 << bits;
        let span = (0..size, 0..size).prop_map(|(a, b)| (a.min(b), a.max(b)));
        (vec(span.clone(), 1..5), vec(span, 0..4), option::of(0..size)).prop_map(
            move |(ranges, exclusions, gateway)| Case {
                family: if v4 { Family::V4 } else { Family::V6 },
                bits,
                ranges: apart(ranges),
                exclusions,
                gateway,
            },
        )
    })
}

/// Keeps each range that overlaps no earlier one.
fn apart(ranges: Vec<(u32, u32)>) -> Vec<(u32, u32)> {
    ranges.into_iter().fold(Vec::new(), |mut kept, (a, b)| {
        if kept.iter().all(|(c, d)| b < *c || *d < a) {
            kept.push((a, b));
        }
        kept
    })
}

fn listed(first: IpAddr, last: IpAddr) -> Vec<IpAddr> {
    let mut all = vec![first];
    while all.last() != Some(&last) {
        all.push(match all.last().unwrap() {
            IpAddr::V4(v4) => Ipv4Addr::from_bits(v4.to_bits() + 1).into(),
            IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() + 1).into(),
        });
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn exactly_what_is_left_is_usable(case in cases()) {
        let naive = case.naive();
        match case.definition().plan() {
            Ok(plan) => {
                let usable: Vec<IpAddr> = plan.usable.iter().flat_map(|r| listed(r.first, r.last)).collect();
                // Ascending without a repetition: disjoint, and in order.
                prop_assert!(usable.windows(2).all(|pair| pair[0] < pair[1]), "{usable:?}");
                prop_assert_eq!(plan.size(), usable.len() as u128);
                prop_assert_eq!(usable.into_iter().collect::<BTreeSet<_>>(), naive);
            }
            Err(invalid) => match invalid.field.as_str() {
                "gateway" => prop_assert!(case.bits >= 2),
                "ranges" => prop_assert!(naive.is_empty(), "{invalid}"),
                field => prop_assert!(field.starts_with("exclusions["), "{invalid}"),
            },
        }
    }

    #[test]
    fn no_text_makes_a_range_panic(text in "[0-9a-f:./ -]{0,40}") {
        if let Ok(range) = text.parse::<PoolRange>() {
            prop_assert_eq!(range.to_string().parse::<PoolRange>().unwrap(), range);
        }
    }
}
