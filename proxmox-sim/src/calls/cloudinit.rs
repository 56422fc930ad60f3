//! `cloudinit`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;

use serde_json::{Value, json};
use sha1::{Digest, Sha1};

use super::{Answered, Call, Outcome, data, list};
use crate::access::hex;
use crate::schema::{Schema, parse_properties};
use crate::works::{Regenerate, medium_of};
use crate::world::{World, net_of, option_value};

/// User data that the medium and the configuration may differ in. The addresses are never listed.
pub(super) fn differences(world: &World, call: &Call) -> Answered {
    let machine = world.machine_on(call.node(), call.vmid())?;
    let wanted = medium_of(&machine.config.current);
    let mut rows = Vec::new();
    for key in ["ciuser", "cipassword", "sshkeys", "nameserver", "searchdomain"] {
        let on_medium = machine.medium.get(key).filter(|_| machine.running.is_some());
        let Some(value) = wanted.get(key).or(on_medium) else {
            continue;
        };
        let mut row = json!({"key": key, "value": option_value(key, value)});
        if let Some(old) = on_medium.filter(|old| *old != value) {
            row = json!({"key": key, "value": option_value(key, old), "pending": option_value(key, value)});
        }
        rows.push(row);
    }
    list(rows)
}

pub(super) fn regenerate(world: &World, call: &Call) -> Answered {
    world.machine_on(call.node(), call.vmid())?;
    let work = Regenerate { node: call.node().to_owned(), vmid: call.vmid() };
    Ok(Outcome::Wait(call.node().to_owned(), Box::new(work)))
}

pub(super) fn dump(world: &World, call: &Call) -> Answered {
    let machine = world.machine_on(call.node(), call.vmid())?;
    let options = machine.config.view();
    let name = machine.name();
    let mut options = options;
    // The newer line hides the password from those who may not set it.
    let may = call.caller.may(&format!("/vms/{}", call.vmid()), "VM.Config.Cloudinit");
    if world.version == crate::Version::V9_2 && !may && options.contains_key("cipassword") {
        options.insert("cipassword".to_owned(), "**********".to_owned());
    }
    let text = match call.arguments.require("type") {
        "user" => user_data(&options, &name),
        "network" => network_data(&options),
        _ => {
            let all = user_data(&options, &name) + &network_data(&options);
            format!("instance-id: {}\n", hex(&Sha1::digest(all)))
        }
    };
    data(Value::String(text))
}

fn user_data(options: &BTreeMap<String, String>, name: &str) -> String {
    let host = name.split('.').next().unwrap_or(name);
    let domain = options.get("searchdomain").filter(|_| !name.contains('.'));
    let full = domain.map_or_else(|| name.to_owned(), |domain| format!("{name}.{domain}"));
    let mut text = format!("#cloud-config\nhostname: {host}\nmanage_etc_hosts: true\nfqdn: {full}\n");
    for (key, label) in [("ciuser", "user"), ("cipassword", "password")] {
        if let Some(value) = options.get(key) {
            let _ = writeln!(text, "{label}: {value}");
        }
    }
    if let Some(keys) = options.get("sshkeys") {
        text.push_str("ssh_authorized_keys:\n");
        let keys = percent_encoding::percent_decode_str(keys).decode_utf8_lossy().into_owned();
        for key in keys.lines().filter(|key| !key.is_empty()) {
            let _ = writeln!(text, "  - {key}");
        }
    }
    text.push_str("chpasswd:\n  expire: False\nusers:\n  - default\n");
    if options.get("ciupgrade").map(String::as_str) != Some("0") {
        text.push_str("package_upgrade: true\n");
    }
    text
}

fn network_data(options: &BTreeMap<String, String>) -> String {
    let mut text = "version: 1\nconfig:\n".to_owned();
    for n in 0..32 {
        let (Some(net), Some(config)) = (net_of(options, n), options.get(&format!("ipconfig{n}"))) else {
            continue;
        };
        let mac = net.get("macaddr").unwrap_or_default().to_ascii_lowercase();
        let _ = writeln!(
            text,
            "    - type: physical\n      name: eth{n}\n      mac_address: '{mac}'\n      subnets:"
        );
        let keys = Schema::get().properties("pve-qm-ipconfig").unwrap_or_default();
        let config = parse_properties(keys, config).unwrap_or_default();
        subnets(&mut text, config.get("ip"), config.get("gw"), false);
        subnets(&mut text, config.get("ip6"), config.get("gw6"), true);
    }
    text.push_str("    - type: nameserver\n      address:\n");
    let servers = options.get("nameserver").map_or("127.0.0.1", String::as_str);
    for server in servers.split([' ', ',']).filter(|server| !server.is_empty()) {
        let _ = writeln!(text, "      - '{server}'");
    }
    let domain = options.get("searchdomain").map_or("example.test", String::as_str);
    let _ = writeln!(text, "      search:\n      - '{domain}'");
    text
}

fn subnets(text: &mut String, address: Option<&str>, gateway: Option<&str>, six: bool) {
    let kind = match address {
        None | Some("manual") => return,
        Some("dhcp") if six => "dhcp6",
        Some("dhcp") => "dhcp4",
        Some("auto") => "ipv6_slaac",
        Some(fixed) => {
            let kind = if six { "static6" } else { "static" };
            let _ = writeln!(text, "      - type: {kind}\n        address: '{}'", shown_address(fixed, six));
            if let (false, Some((_, prefix))) = (six, fixed.split_once('/')) {
                let bits = u32::MAX.checked_shl(32 - prefix.parse::<u32>().unwrap_or(32)).unwrap_or(0);
                let _ = writeln!(text, "        netmask: '{}'", IpAddr::from(bits.to_be_bytes()));
            }
            if let Some(gateway) = gateway {
                let _ = writeln!(text, "        gateway: '{gateway}'");
            }
            return;
        }
    };
    let _ = writeln!(text, "      - type: {kind}");
}

fn shown_address(fixed: &str, six: bool) -> &str {
    if six { fixed } else { fixed.split('/').next().unwrap_or(fixed) }
}
