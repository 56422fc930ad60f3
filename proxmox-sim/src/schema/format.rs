//! Named formats of single values.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Checks a value; the error is the whole text of the parameter error.
pub(super) fn check(format: &str, value: &str) -> Result<(), String> {
    let looks = match format {
        "pve-vmid" => (!vmid(value)).then(|| "value does not look like a valid VM ID".to_owned()),
        "pve-node" => (!label(value)).then(|| "value does not look like a valid node name".to_owned()),
        "dns-name" => {
            (!value.split('.').all(label)).then(|| "value does not look like a valid DNS name".to_owned())
        }
        "pve-storage-id" => {
            (!storage(value)).then(|| format!("storage ID '{value}' contains illegal characters"))
        }
        "pve-configid" => (!config_id(value)).then(|| format!("invalid configuration ID '{value}'")),
        "pve-bridge-id" => (!value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)))
            .then(|| format!("invalid bridge ID '{value}'")),
        "mac-addr" => {
            (!mac(value)).then(|| "value does not look like a valid unicast MAC address".to_owned())
        }
        "urlencoded" => (!urlencoded(value)).then(|| format!("invalid urlencoded string: {value}")),
        "ipv4" => value
            .parse::<Ipv4Addr>()
            .is_err()
            .then(|| "value does not look like a valid IPv4 address".to_owned()),
        "ipv6" => value
            .parse::<Ipv6Addr>()
            .is_err()
            .then(|| "value does not look like a valid IPv6 address".to_owned()),
        "pve-ipv4-config" => (!matches!(value, "dhcp" | "manual") && !cidr(value, Some(false)))
            .then(|| "value does not look like a valid ipv4 network configuration".to_owned()),
        "pve-ipv6-config" => (!matches!(value, "auto" | "dhcp" | "manual") && !cidr(value, Some(true)))
            .then(|| "value does not look like a valid ipv6 network configuration".to_owned()),
        "pve-volume-id-or-qm-path" => {
            (!drive_source(value)).then(|| format!("unable to parse volume ID '{value}'\n"))
        }
        "pve-volume-id" => (!volume_id(value)).then(|| format!("unable to parse volume ID '{value}'")),
        "disk-size" => {
            (!disk_size(value)).then(|| format!("value does not look like a valid disk size: {value}"))
        }
        "address-list" => split_list(value)
            .iter()
            .find(|a| !host(a))
            .map(|address| format!("value does not look like a valid address: {address}")),
        "pve-tag-list" => {
            (!split_list(value).iter().all(|t| tag(t))).then(|| "invalid characters in tag".to_owned())
        }
        "pve-vmid-list" => split_list(value)
            .iter()
            .find(|v| !vmid(v))
            .map(|_| "value does not look like a valid VM ID".to_owned()),
        "pve-configid-list" => split_list(value)
            .iter()
            .find(|v| !config_id(v))
            .map(|v| format!("invalid configuration ID '{v}'")),
        "pve-poolid" => (value.split('/').count() > 3 || !value.split('/').all(pool))
            .then(|| "value does not look like a valid pool name".to_owned()),
        "pve-fw-addr-spec" => firewall_address(value),
        "pve-startup-order" => (!startup(value)).then(|| "unable to parse startup options".to_owned()),
        "pve-vm-cpu-conf" => cpu(value),
        "pve-iface" => (!interface(value)).then(|| format!("invalid network interface name '{value}'")),
        _ => None,
    };
    // Nested texts end with a newline of their own, as the server's do.
    looks.map_or(Ok(()), |text| {
        let end = if text.ends_with('\n') { "" } else { "\n" };
        Err(format!("invalid format - {text}{end}"))
    })
}

/// Splits a list on comma, semicolon and white space.
pub(crate) fn split_list(value: &str) -> Vec<String> {
    value
        .split(|c: char| matches!(c, ',' | ';' | '\0') || c.is_whitespace())
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect()
}

/// `order=1,up=30,down=60`, or the order alone.
fn startup(value: &str) -> bool {
    value.split(',').all(|part| {
        let number = ["order=", "up=", "down="].iter().find_map(|key| part.strip_prefix(key)).unwrap_or(part);
        !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
    })
}

/// Types of processors without their versions; the list of the server is longer by those.
const PROCESSORS: &str = "486 Broadwell Cascadelake-Server ClearwaterForest Conroe Cooperlake EPYC EPYC-Genoa \
    EPYC-Milan EPYC-Rome EPYC-Turin GraniteRapids Haswell Icelake-Client Icelake-Server IvyBridge KnightsMill \
    Nehalem Opteron_G1 Opteron_G2 Opteron_G3 Opteron_G4 Opteron_G5 Penryn SandyBridge SapphireRapids \
    SierraForest Skylake-Client Skylake-Server Westmere athlon core2duo coreduo host kvm32 kvm64 max pentium \
    pentium2 pentium3 phenom qemu32 qemu64 x86-64-v2 x86-64-v2-AES x86-64-v3 x86-64-v4";

fn cpu(value: &str) -> Option<String> {
    let name = value.split(',').find_map(|part| match part.split_once('=') {
        None => Some(part),
        Some(("cputype", name)) => Some(name),
        Some(_) => None,
    })?;
    let plain = ["-IBRS", "-noTSX", "-IBPB", "-noTSX-IBRS"].iter().find_map(|end| name.strip_suffix(end));
    let version = name.rsplit_once("-v").filter(|(_, n)| n.parse::<u8>().is_ok()).map(|(name, _)| name);
    let known = |name: &str| PROCESSORS.split_whitespace().any(|known| known == name);
    let fine = name.starts_with("custom-")
        || [Some(name), plain, version]
            .into_iter()
            .flatten()
            .any(|name| known(name.trim_end_matches("-noTSX")));
    (!fine).then(|| format!("Built-in cputype '{name}' is not defined (missing 'custom-' prefix?)"))
}

fn vmid(value: &str) -> bool {
    value.parse::<u32>().is_ok_and(|n| (100..=999_999_999).contains(&n)) && !value.starts_with(['0', '+'])
}

fn label(value: &str) -> bool {
    !value.is_empty()
        && !value.starts_with('-')
        && !value.ends_with('-')
        && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// `net0`, `eth0.12`.
fn interface(value: &str) -> bool {
    let (name, number) = value.split_once([':', '.']).map_or((value, None), |(n, rest)| (n, Some(rest)));
    (2..=21).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && number.is_none_or(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

fn storage(value: &str) -> bool {
    value.len() >= 2
        && value.starts_with(|c: char| c.is_ascii_alphabetic())
        && value.ends_with(|c: char| c.is_ascii_alphanumeric())
        && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

fn config_id(value: &str) -> bool {
    value.len() >= 2
        && value.starts_with(|c: char| c.is_ascii_alphabetic())
        && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

fn mac(value: &str) -> bool {
    let parts: Vec<Option<u8>> =
        value.split(':').map(|part| u8::from_str_radix(part, 16).ok().filter(|_| part.len() == 2)).collect();
    parts.len() == 6 && parts.iter().all(Option::is_some) && parts[0].is_some_and(|b| b & 1 == 0)
}

fn urlencoded(value: &str) -> bool {
    value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-%_.!~*'()".contains(&b))
}

fn cidr(value: &str, six: Option<bool>) -> bool {
    let Some((address, prefix)) = value.split_once('/') else {
        return false;
    };
    let (Ok(address), Ok(prefix)) = (address.parse::<IpAddr>(), prefix.parse::<u8>()) else {
        return false;
    };
    let max = if address.is_ipv6() { 128 } else { 32 };
    six.is_none_or(|six| six == address.is_ipv6()) && (8..=max).contains(&prefix)
}

fn volume_id(value: &str) -> bool {
    value.split_once(':').is_some_and(|(store, name)| storage(store) && !name.is_empty())
}

fn drive_source(value: &str) -> bool {
    matches!(value, "none" | "cdrom" | "cloudinit") || value.starts_with('/') || volume_id(value)
}

fn disk_size(value: &str) -> bool {
    let number = value.trim_end_matches("iB").trim_end_matches(['K', 'M', 'G', 'T']);
    number.parse::<f64>().is_ok_and(|n| n >= 0.0)
}

fn host(value: &str) -> bool {
    value.parse::<IpAddr>().is_ok() || value.split('.').all(label)
}

fn tag(value: &str) -> bool {
    value.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-+.".contains(&b))
}

fn pool(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

fn what_is_wrong(address: &str) -> String {
    let quad = address.split('.').find(|quad| quad.parse::<u32>().is_ok_and(|n| n > 255));
    quad.map_or_else(|| address.to_owned(), |quad| format!("Invalid quad in IP address {address} - {quad}"))
}

/// Addresses of a firewall rule: what starts with a digit must be an address.
fn firewall_address(value: &str) -> Option<String> {
    let (mut four, mut six) = (false, false);
    for item in split_list(value) {
        if item.starts_with('+') || item.starts_with(|c: char| c.is_ascii_alphabetic() && !item.contains(':'))
        {
            continue;
        }
        for end in item.split('-') {
            let address = end.split('/').next().unwrap_or(end);
            match address.parse::<IpAddr>() {
                Ok(address) if address.is_ipv6() => six = true,
                Ok(_) => four = true,
                Err(_) => return Some(format!("invalid IP address: {}", what_is_wrong(address))),
            }
        }
    }
    (four && six).then(|| "detected mixed ipv4/ipv6 addresses in address list".to_owned())
}
