//! Arithmetic on ranges of addresses, as 128-bit numbers: IPv4 in its mapped form.

use deploy_core::{AddressRange, Family, Invalid};
use std::net::{IpAddr, Ipv6Addr};

/// Numbers from `first` to `last`, both included; never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    pub(crate) first: u128,
    pub(crate) last: u128,
}

/// The number of an address.
pub(crate) fn number(address: IpAddr) -> u128 {
    u128::from_be_bytes(crate::column::address_key(address))
}

/// The address of a number.
pub(crate) fn address(number: u128) -> IpAddr {
    crate::column::address_of(number.to_be_bytes())
}

impl Span {
    /// The lowest number in both.
    pub(crate) fn meets(self, other: Self) -> Option<u128> {
        let first = self.first.max(other.first);
        (first <= self.last.min(other.last)).then_some(first)
    }

    /// How many numbers.
    pub(crate) fn size(self) -> u128 {
        (self.last - self.first).saturating_add(1)
    }
}

/// Ranges as spans, if they are what the contract says: of one family, disjoint, ascending.
pub(crate) fn spans(family: Family, ranges: &[AddressRange]) -> Result<Vec<Span>, Invalid> {
    let mut spans: Vec<Span> = Vec::with_capacity(ranges.len());
    for range in ranges {
        let invalid =
            |expected: &str| Err(Invalid::new("usable", format!("{}-{}", range.first, range.last), expected));
        let of_family = |address| Family::of(address) == family && !is_mapped(address);
        if !of_family(range.first) || !of_family(range.last) {
            return invalid(&format!("{family} addresses, as the pool's are"));
        }
        let span = Span { first: number(range.first), last: number(range.last) };
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

/// An IPv4 address in IPv6 clothes (RFC 4291, 2.5.5.2) is no address that a machine could be given.
fn is_mapped(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(v6) => Ipv6Addr::to_ipv4_mapped(&v6).is_some(),
    }
}

/// What is left of `spans` without `taken`; both ascending.
pub(crate) fn without(spans: &[Span], taken: &[u128]) -> Vec<Span> {
    let mut left = Vec::with_capacity(spans.len());
    for span in spans {
        let from = taken.partition_point(|number| *number < span.first);
        let inside = taken[from..].iter().copied().take_while(|number| *number <= span.last);
        let mut first = Some(span.first);
        for number in inside {
            if let Some(first) = first
                && first < number
            {
                left.push(Span { first, last: number - 1 });
            }
            first = number.checked_add(1);
        }
        if let Some(first) = first
            && first <= span.last
        {
            left.push(Span { first, last: span.last });
        }
    }
    left
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
            without(&spans, &[9, 10, 12, 14, 20, 21, u128::MAX]),
            [span(11, 11), span(13, 13), span(u128::MAX - 1, u128::MAX - 1)]
        );
        assert_eq!(without(&spans, &[]), spans);
    }

    #[test]
    fn ranges_that_overlap_or_turn_back_are_refused() {
        let range = |first: &str, last: &str| AddressRange {
            first: first.parse().unwrap(),
            last: last.parse().unwrap(),
        };
        let refused = |ranges: &[AddressRange]| spans(Family::V4, ranges).unwrap_err().expected;
        assert!(refused(&[range("192.0.2.9", "192.0.2.1")]).contains("not above"));
        assert!(
            refused(&[range("192.0.2.1", "192.0.2.9"), range("192.0.2.9", "192.0.2.9")])
                .contains("ascending")
        );
        assert!(refused(&[range("2001:db8::1", "2001:db8::2")]).contains("IPv4"));
        assert!(spans(Family::V6, &[range("::ffff:192.0.2.1", "::ffff:192.0.2.1")]).is_err());
    }

    #[test]
    fn addresses_keep_their_order_and_their_family() {
        for text in ["0.0.0.0", "192.0.2.1", "255.255.255.255", "::", "2001:db8::1", "ffff::"] {
            let parsed: IpAddr = text.parse().unwrap();
            assert_eq!(address(number(parsed)), parsed);
        }
        assert!(number("10.0.0.255".parse().unwrap()) < number("10.0.1.0".parse().unwrap()));
    }
}
