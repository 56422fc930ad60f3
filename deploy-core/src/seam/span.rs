//! Arithmetic on ranges of addresses, for stores that keep free ones as intervals.

use crate::{AddressRange, Family, Invalid};
use std::net::{IpAddr, Ipv6Addr};

/// Addresses as 128-bit numbers from `first` to `last`, both included; never empty. IPv4 is in its mapped form (RFC 4291,
/// 2.5.5.2), so that an address and its number stand for one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// The lowest number.
    pub first: u128,
    /// The highest number; not below the first.
    pub last: u128,
}

impl Span {
    /// The number of an address.
    pub fn number(address: IpAddr) -> u128 {
        match address {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
            IpAddr::V6(v6) => v6.to_bits(),
        }
    }

    /// The address of a number.
    pub fn address(number: u128) -> IpAddr {
        let v6 = Ipv6Addr::from_bits(number);
        v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4)
    }

    /// Ranges as spans, if they are what [`put_pool`](crate::AddressStore::put_pool) says: of one family, disjoint, ascending.
    ///
    /// # Errors
    /// [`Invalid`] names the first range that is not.
    pub fn of_ranges(family: Family, ranges: &[AddressRange]) -> Result<Vec<Self>, Invalid> {
        let mut spans: Vec<Self> = Vec::with_capacity(ranges.len());
        for range in ranges {
            let invalid = |expected: &str| {
                Err(Invalid::new("usable", format!("{}-{}", range.first, range.last), expected))
            };
            let of_family = |address| Family::of(address) == family && !is_mapped(address);
            if !of_family(range.first) || !of_family(range.last) {
                return invalid(&format!("{family} addresses, as the pool's are"));
            }
            let span = Self { first: Self::number(range.first), last: Self::number(range.last) };
            if span.first > span.last {
                return invalid("a first address that is not above the last");
            }
            if spans.last().is_some_and(|before| before.last >= span.first) {
                return invalid("ranges in ascending order that do not overlap");
            }
            spans.push(span);
        }
        Ok(spans)
    }

    /// What is left of `spans` without `taken`; both ascending.
    pub fn without(spans: &[Self], taken: &[u128]) -> Vec<Self> {
        let mut left = Vec::with_capacity(spans.len());
        for span in spans {
            let from = taken.partition_point(|number| *number < span.first);
            let inside = taken[from..].iter().copied().take_while(|number| *number <= span.last);
            let mut first = Some(span.first);
            for number in inside {
                if let Some(first) = first
                    && first < number
                {
                    left.push(Self { first, last: number - 1 });
                }
                first = number.checked_add(1);
            }
            if let Some(first) = first
                && first <= span.last
            {
                left.push(Self { first, last: span.last });
            }
        }
        left
    }

    /// The lowest number in both.
    pub fn meets(self, other: Self) -> Option<u128> {
        let first = self.first.max(other.first);
        (first <= self.last.min(other.last)).then_some(first)
    }

    /// How many numbers.
    pub fn size(self) -> u128 {
        (self.last - self.first).saturating_add(1)
    }
}

/// An IPv4 address in IPv6 clothes (RFC 4291, 2.5.5.2) is no address that a machine could be given.
fn is_mapped(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(v6) => v6.to_ipv4_mapped().is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(first: u128, last: u128) -> Span {
        Span { first, last }
    }

    #[test]
    fn what_is_taken_splits_a_span() {
        let spans = [span(10, 14), span(20, 20), span(u128::MAX - 1, u128::MAX)];
        assert_eq!(
            Span::without(&spans, &[9, 10, 12, 14, 20, 21, u128::MAX]),
            [span(11, 11), span(13, 13), span(u128::MAX - 1, u128::MAX - 1)]
        );
        assert_eq!(Span::without(&spans, &[]), spans);
    }

    #[test]
    fn ranges_that_overlap_or_turn_back_are_refused() {
        let range = |first: &str, last: &str| AddressRange {
            first: first.parse().unwrap(),
            last: last.parse().unwrap(),
        };
        let refused = |ranges: &[AddressRange]| Span::of_ranges(Family::V4, ranges).unwrap_err().expected;
        assert!(refused(&[range("192.0.2.9", "192.0.2.1")]).contains("not above"));
        assert!(
            refused(&[range("192.0.2.1", "192.0.2.9"), range("192.0.2.9", "192.0.2.9")])
                .contains("ascending")
        );
        assert!(refused(&[range("2001:db8::1", "2001:db8::2")]).contains("IPv4"));
        assert!(Span::of_ranges(Family::V6, &[range("::ffff:192.0.2.1", "::ffff:192.0.2.1")]).is_err());
    }

    #[test]
    fn addresses_keep_their_order_and_their_family() {
        for text in ["0.0.0.0", "192.0.2.1", "255.255.255.255", "::", "2001:db8::1", "ffff::"] {
            let parsed: IpAddr = text.parse().unwrap();
            assert_eq!(Span::address(Span::number(parsed)), parsed);
        }
        assert!(Span::number("10.0.0.255".parse().unwrap()) < Span::number("10.0.1.0".parse().unwrap()));
    }
}
