//! Judges the texts of firewall rules, which are in PVE's grammar (PVE: Firewall, "Firewall Rules").

use super::FirewallRule;
use crate::Invalid;
use std::net::IpAddr;

/// The protocols that have ports.
const WITH_PORTS: [&str; 5] = ["tcp", "udp", "sctp", "dccp", "udplite"];

/// Judges a rule: addresses, ports, protocol and macro, and that they fit together.
///
/// # Errors
/// [`Invalid`], naming the field, the value and what would be right.
pub(super) fn check(rule: &FirewallRule) -> Result<(), Invalid> {
    let judge = |field: &str, text: &Option<String>, fits: fn(&str) -> bool, expected: &str| {
        let wrong = text.as_deref().filter(|text| !fits(text));
        wrong.map_or(Ok(()), |text| Err(Invalid::new(field, text, expected)))
    };
    judge("macro", &rule.macro_name, is_word, "the name of a macro such as \"SSH\"")?;
    judge("protocol", &rule.protocol, is_word, "a protocol such as \"tcp\", \"udp\" or \"icmp\"")?;
    judge("source", &rule.source, are_addresses, ADDRESSES)?;
    judge("dest", &rule.dest, are_addresses, ADDRESSES)?;
    judge("source_port", &rule.source_port, are_ports, PORTS)?;
    judge("dest_port", &rule.dest_port, are_ports, PORTS)?;
    if let (Some(name), Some(protocol)) = (&rule.macro_name, &rule.protocol) {
        let both = format!("{name} and {protocol}");
        return Err(Invalid::new("macro", both, "a macro or a protocol; a macro brings its own"));
    }
    let ports = rule.dest_port.as_ref().or(rule.source_port.as_ref());
    match (ports, rule.protocol.as_deref()) {
        (Some(ports), None) if rule.macro_name.is_none() => Err(Invalid::new(
            "protocol",
            "none",
            format!("a protocol for the ports {ports}, such as \"tcp\""),
        )),
        (Some(_), Some(protocol)) if !WITH_PORTS.contains(&protocol) => Err(Invalid::new(
            "protocol",
            protocol,
            format!("a protocol with ports: {}", WITH_PORTS.join(", ")),
        )),
        _ => Ok(()),
    }
}

const ADDRESSES: &str = "addresses, networks or ranges joined by commas (\"198.51.100.0/24,203.0.113.5-203.0.113.9\"), \
                         an IP set (\"+name\") or an alias";
const PORTS: &str = "ports from 1 to 65535, ranges (\"8000:8010\") or service names, joined by commas";

fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 64
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.+".contains(c))
}

fn are_addresses(text: &str) -> bool {
    text.split(',').map(str::trim).all(|part| {
        let name = part.trim_start_matches(['+', '!']);
        if !part.starts_with('+') && part.starts_with(|c: char| c.is_ascii_digit()) || part.contains(':') {
            is_address(part)
        } else {
            is_word(name.rsplit('/').next().unwrap_or(name)) && name.len() <= 128
        }
    })
}

fn is_address(part: &str) -> bool {
    if let Some((first, last)) = part.split_once('-') {
        let (Ok(first), Ok(last)) = (first.trim().parse::<IpAddr>(), last.trim().parse::<IpAddr>()) else {
            return false;
        };
        return first.is_ipv4() == last.is_ipv4() && first <= last;
    }
    part.parse::<IpAddr>().is_ok() || part.parse::<ipnet::IpNet>().is_ok()
}

fn are_ports(text: &str) -> bool {
    let port = |text: &str| match text.parse::<u16>() {
        Ok(number) => number > 0,
        Err(_) => text.starts_with(|c: char| c.is_ascii_alphabetic()) && is_word(text),
    };
    text.split(',').map(str::trim).all(|part| match part.split_once(':') {
        Some((first, last)) => match (first.parse::<u16>(), last.parse::<u16>()) {
            (Ok(first), Ok(last)) => first > 0 && first <= last,
            _ => false,
        },
        None => port(part),
    })
}
