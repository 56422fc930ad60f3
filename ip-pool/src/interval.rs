//! Addresses as numbers, and intervals of them.

use deploy_core::{AddressRange, Family};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The numbers from `first` to `last`, both included: an interval that can hold every IPv6 address, which a half-open one
/// of the same width cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Interval {
    pub(crate) first: u128,
    pub(crate) last: u128,
}

impl Interval {
    pub(crate) fn one(number: u128) -> Self {
        Self { first: number, last: number }
    }

    pub(crate) fn of(range: AddressRange) -> Self {
        Self { first: number(range.first), last: number(range.last) }
    }

    pub(crate) fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    pub(crate) fn contains(self, other: Self) -> bool {
        self.first <= other.first && other.last <= self.last
    }

    pub(crate) fn range(self, family: Family) -> AddressRange {
        AddressRange { first: address(self.first, family), last: address(self.last, family) }
    }
}

/// The number of an address.
pub(crate) fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn address(number: u128, family: Family) -> IpAddr {
    match family {
        // An interval of IPv4 addresses is made from IPv4 addresses, so its numbers always fit.
        Family::V4 => Ipv4Addr::from_bits(u32::try_from(number).unwrap_or(u32::MAX)).into(),
        Family::V6 => Ipv6Addr::from_bits(number).into(),
    }
}

/// Sorts intervals and joins those that overlap or touch.
pub(crate) fn joined(mut intervals: Vec<Interval>) -> Vec<Interval> {
    intervals.sort_unstable();
    let mut out: Vec<Interval> = Vec::with_capacity(intervals.len());
    for next in intervals {
        match out.last_mut() {
            Some(last) if next.first <= last.last.saturating_add(1) => last.last = last.last.max(next.last),
            _ => out.push(next),
        }
    }
    out
}

/// What of `whole` is not in `holes`: disjoint and ascending. One sweep over both, after sorting.
pub(crate) fn without(whole: Vec<Interval>, holes: Vec<Interval>) -> Vec<Interval> {
    let holes = joined(holes);
    let mut out = Vec::new();
    for Interval { first, last } in joined(whole) {
        let mut from = Some(first);
        let begin = holes.partition_point(|hole| hole.last < first);
        for hole in holes[begin..].iter().take_while(|hole| hole.first <= last) {
            let Some(start) = from else { break };
            if start < hole.first {
                out.push(Interval { first: start, last: hole.first - 1 });
            }
            from = hole.last.checked_add(1);
        }
        if let Some(start) = from.filter(|start| *start <= last) {
            out.push(Interval { first: start, last });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};
    use std::collections::BTreeSet;

    fn intervals() -> impl Strategy<Value = Vec<Interval>> {
        vec((0_u128..120, 0_u128..20).prop_map(|(first, more)| Interval { first, last: first + more }), 0..8)
    }

    fn members(intervals: &[Interval]) -> BTreeSet<u128> {
        intervals.iter().flat_map(|i| i.first..=i.last).collect()
    }

    proptest! {
        #[test]
        fn subtraction_is_that_of_sets(whole in intervals(), holes in intervals()) {
            let left = without(whole.clone(), holes.clone());
            prop_assert_eq!(members(&left), &members(&whole) - &members(&holes));
            prop_assert!(left.windows(2).all(|pair| pair[0].last + 1 < pair[1].first), "{left:?}");
        }
    }

    #[test]
    fn the_last_number_of_all_does_not_wrap() {
        let all = Interval { first: 0, last: u128::MAX };
        let left = without(vec![all], vec![Interval::one(u128::MAX), Interval::one(0)]);
        assert_eq!(left, [Interval { first: 1, last: u128::MAX - 1 }]);
        assert_eq!(without(vec![all], vec![all]), []);
        assert_eq!(joined(vec![Interval::one(u128::MAX), all]), [all]);
    }
}
