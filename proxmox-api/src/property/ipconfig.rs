use std::convert::Infallible;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{Ipv4Net, Ipv6Net};

use super::{PropertyError, PropertyString};

/// The addresses that cloud-init gives to a network card: the value of `ipconfigN`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpConfig {
    /// IPv4.
    pub ip: Option<Ipv4Setting>,
    /// The IPv4 gateway; PVE wants an address beside it.
    pub gw: Option<Ipv4Addr>,
    /// IPv6.
    pub ip6: Option<Ipv6Setting>,
    /// The IPv6 gateway.
    pub gw6: Option<Ipv6Addr>,
    /// All other options.
    pub others: PropertyString,
}

/// How a card gets its IPv4 address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ipv4Setting {
    /// This address, with the prefix of its network.
    Static(Ipv4Net),
    /// From a DHCP server.
    Dhcp,
    /// Not at all; what else PVE may come to allow is kept as it is.
    Other(String),
}

/// How a card gets its IPv6 address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ipv6Setting {
    /// This address, with the prefix of its network.
    Static(Ipv6Net),
    /// From a DHCP server.
    Dhcp,
    /// From router advertisements.
    Auto,
    /// Not at all; what else PVE may come to allow is kept as it is.
    Other(String),
}

impl IpConfig {
    /// No addresses.
    pub fn new() -> Self {
        Self { ip: None, gw: None, ip6: None, gw6: None, others: PropertyString::new("") }
    }
}

impl Default for IpConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl FromStr for Ipv4Setting {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match (text, text.parse()) {
            ("dhcp", _) => Self::Dhcp,
            (_, Ok(net)) => Self::Static(net),
            _ => Self::Other(text.to_owned()),
        })
    }
}

impl FromStr for Ipv6Setting {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match (text, text.parse()) {
            ("dhcp", _) => Self::Dhcp,
            ("auto", _) => Self::Auto,
            (_, Ok(net)) => Self::Static(net),
            _ => Self::Other(text.to_owned()),
        })
    }
}

impl fmt::Display for Ipv4Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Static(net) => write!(f, "{net}"),
            Self::Dhcp => f.write_str("dhcp"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

impl fmt::Display for Ipv6Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Static(net) => write!(f, "{net}"),
            Self::Dhcp => f.write_str("dhcp"),
            Self::Auto => f.write_str("auto"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

impl FromStr for IpConfig {
    type Err = PropertyError;

    fn from_str(text: &str) -> Result<Self, PropertyError> {
        let mut rest = PropertyString::parse(text, "")?;
        Ok(Self {
            ip: rest.take("ip")?,
            gw: rest.take("gw")?,
            ip6: rest.take("ip6")?,
            gw6: rest.take("gw6")?,
            others: rest,
        })
    }
}

impl fmt::Display for IpConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = [
            ("ip", self.ip.as_ref().map(ToString::to_string)),
            ("gw", self.gw.map(|gw| gw.to_string())),
            ("ip6", self.ip6.as_ref().map(ToString::to_string)),
            ("gw6", self.gw6.map(|gw| gw.to_string())),
        ];
        // In the order in which people read it: PVE keeps this text as it is given.
        let known = known.iter().filter_map(|(key, value)| Some((*key, value.as_deref()?)));
        for (index, (key, value)) in known.chain(self.others.iter()).enumerate() {
            write!(f, "{}{key}={value}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_keep_their_host_part() {
        let text = "ip=203.0.113.10/24,gw=203.0.113.1,ip6=2001:db8:1::10/64,gw6=2001:db8:1::1";
        let config: IpConfig = text.parse().unwrap();
        assert_eq!(config.to_string(), text);
        let ip = config.ip.unwrap();
        assert!(matches!(&ip, Ipv4Setting::Static(net) if net.addr() == Ipv4Addr::new(203, 0, 113, 10)));
        let dynamic: IpConfig = "ip=dhcp,ip6=auto".parse().unwrap();
        assert_eq!((dynamic.ip, dynamic.ip6), (Some(Ipv4Setting::Dhcp), Some(Ipv6Setting::Auto)));
        assert!("ip=dhcp,gw=x".parse::<IpConfig>().is_err());
        assert!("203.0.113.10/24".parse::<IpConfig>().is_err());
    }

    proptest! {
        #[test]
        fn parses_what_it_prints(
            ip: Option<(u32, u8)>,
            ip6: Option<(u128, u8)>,
            gw: Option<u32>,
            gw6: Option<u128>,
        ) {
            let config = IpConfig {
                ip: ip.and_then(|(ip, len)| Ipv4Net::new(ip.into(), len % 33).ok()).map(Ipv4Setting::Static),
                gw: gw.map(Into::into),
                ip6: ip6.and_then(|(ip, len)| Ipv6Net::new(ip.into(), len % 129).ok()).map(Ipv6Setting::Static),
                gw6: gw6.map(Into::into),
                ..IpConfig::new()
            };
            prop_assert_eq!(config.to_string().parse(), Ok(config));
        }

        #[test]
        fn any_text_is_survived(text in "(ip|ip6|gw|gw6|x)=[a-f0-9:./]{0,12}(,(ip|ip6)=(dhcp|auto|manual))?|.{0,30}") {
            if let Ok(config) = text.parse::<IpConfig>() {
                prop_assert_eq!(config.to_string().parse(), Ok(config));
            }
        }
    }
}
