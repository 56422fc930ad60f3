//! A range as people write it.

use deploy_core::{AddressRange, Family, Invalid};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::{fmt, net::IpAddr, str::FromStr};

const EXPECTED: &str =
    "a network such as \"203.0.113.0/24\", a range such as \"203.0.113.10-203.0.113.50\", or one address";

/// Addresses as people write them: `203.0.113.0/24`, `203.0.113.10-203.0.113.50` or `203.0.113.7`.
///
/// Parsed and printed in that form, also by serde.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum PoolRange {
    /// A whole network; tells a pool its prefix length where that is not given apart.
    Network(IpNet),
    /// From the first address to the last, both included.
    Span(AddressRange),
}

impl PoolRange {
    /// The addresses from `first` to `last`, both included.
    ///
    /// # Errors
    /// [`Invalid`] for two families, and where `last` is below `first`.
    pub fn span(first: IpAddr, last: IpAddr) -> Result<Self, Invalid> {
        let text = format!("{first}-{last}");
        if Family::of(first) != Family::of(last) {
            return Err(Invalid::new("ranges", text, "first and last address of one family"));
        }
        if last < first {
            return Err(Invalid::new(
                "ranges",
                text,
                format!("the last address not below the first: \"{last}-{first}\""),
            ));
        }
        Ok(Self::Span(AddressRange { first, last }))
    }

    /// The family of its addresses.
    pub fn family(self) -> Family {
        Family::of(self.addresses().first)
    }

    /// Whether it is made of IPv4 addresses that are written as IPv6 (RFC 4291, 2.5.5.2): no guest can have those.
    pub(crate) fn is_mapped(self) -> bool {
        let AddressRange { first, last } = self.addresses();
        [first, last].iter().any(|address| matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some()))
    }

    /// All its addresses, those of the network and of broadcast included.
    pub fn addresses(self) -> AddressRange {
        match self {
            Self::Network(net) => AddressRange { first: net.network(), last: net.broadcast() },
            Self::Span(range) => range,
        }
    }
}

impl From<AddressRange> for PoolRange {
    fn from(range: AddressRange) -> Self {
        Self::Span(range)
    }
}

impl From<IpNet> for PoolRange {
    fn from(net: IpNet) -> Self {
        Self::Network(net.trunc())
    }
}

impl FromStr for PoolRange {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let invalid = || Invalid::new("ranges", text, EXPECTED);
        let trimmed = text.trim();
        if let Some((first, last)) = trimmed.split_once('-') {
            let address = |part: &str| part.trim().parse::<IpAddr>().map_err(|_| invalid());
            return Self::span(address(first)?, address(last)?);
        }
        if trimmed.contains('/') {
            let net: IpNet = trimmed.parse().map_err(|_| invalid())?;
            if net != net.trunc() {
                // An address with its network's length is written in many forms, but it is one address, not a network.
                let expected =
                    format!("the network \"{}\", or the address \"{}\" alone", net.trunc(), net.addr());
                return Err(Invalid::new("ranges", text, expected));
            }
            return Ok(Self::Network(net));
        }
        let address = trimmed.parse().map_err(|_| invalid())?;
        Self::span(address, address)
    }
}

impl TryFrom<String> for PoolRange {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<PoolRange> for String {
    fn from(range: PoolRange) -> String {
        range.to_string()
    }
}

impl fmt::Display for PoolRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(net) => net.fmt(f),
            Self::Span(AddressRange { first, last }) if first == last => first.fmt(f),
            Self::Span(AddressRange { first, last }) => write!(f, "{first}-{last}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_and_written() {
        for text in [
            "203.0.113.0/24",
            "203.0.113.10-203.0.113.50",
            "203.0.113.7",
            "2001:db8::/64",
            "2001:db8::1-2001:db8::f",
        ] {
            assert_eq!(text.parse::<PoolRange>().unwrap().to_string(), text);
        }
        assert_eq!(
            " 203.0.113.1 - 203.0.113.2 ".parse::<PoolRange>().unwrap().to_string(),
            "203.0.113.1-203.0.113.2"
        );
    }

    #[test]
    fn what_is_no_range_says_what_would_be() {
        let refusal = |text: &str| text.parse::<PoolRange>().unwrap_err().to_string();
        assert!(
            refusal("203.0.113.50-203.0.113.10")
                .ends_with("not below the first: \"203.0.113.10-203.0.113.50\"")
        );
        assert!(refusal("203.0.113.1-2001:db8::1").ends_with("of one family"));
        assert!(
            refusal("203.0.113.7/24")
                .ends_with("the network \"203.0.113.0/24\", or the address \"203.0.113.7\" alone")
        );
        for text in ["", "-", "203.0.113", "203.0.113.0/33", "203.0.113.1-", "203.0.113.10-50", "example.org"]
        {
            assert!(refusal(text).ends_with(EXPECTED), "{text}: {}", refusal(text));
        }
    }
}
