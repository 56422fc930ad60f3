//! The guest inside a running machine, as its agent shows it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::{Value, json};

use super::World;
use super::machine::Machine;
use crate::schema::{Properties, Schema, parse_properties};

impl World {
    /// Whether the agent answers; the error is the server's text.
    pub(crate) fn need_agent(&self, machine: &Machine) -> Result<(), String> {
        if !machine.agent_enabled() {
            return Err("No QEMU guest agent configured".to_owned());
        }
        let Some(running) = &machine.running else {
            return Err(format!("VM {} is not running", machine.vmid));
        };
        if running.paused || running.agent_from.is_none_or(|from| from > self.now) {
            return Err("QEMU guest agent is not running".to_owned());
        }
        Ok(())
    }
}

impl Machine {
    /// Interfaces of the guest: what cloud-init configured, by MAC address.
    pub(crate) fn guest_interfaces(&self) -> Value {
        let mut interfaces = vec![json!({
            "name": "lo",
            "hardware-address": "00:00:00:00:00:00",
            "ip-addresses": [
                {"ip-address": "127.0.0.1", "ip-address-type": "ipv4", "prefix": 8},
                {"ip-address": "::1", "ip-address-type": "ipv6", "prefix": 128},
            ],
        })];
        for n in 0..32 {
            let Some(net) = net_of(&self.config.current, n) else {
                continue;
            };
            let mac = net.get("macaddr").unwrap_or_default().to_ascii_lowercase();
            interfaces.push(json!({
                "name": format!("eth{n}"),
                "hardware-address": mac,
                "ip-addresses": addresses(&self.medium, self.vmid, n),
            }));
        }
        Value::Array(interfaces)
    }
}

/// A network device, parsed.
pub(crate) fn net_of(options: &BTreeMap<String, String>, n: u32) -> Option<Properties> {
    let text = options.get(&format!("net{n}"))?;
    parse_properties(Schema::get().properties("net")?, text).ok()
}

fn addresses(medium: &BTreeMap<String, String>, vmid: u32, n: u32) -> Vec<Value> {
    let Some(text) = medium.get(&format!("ipconfig{n}")) else {
        return Vec::new();
    };
    let keys = Schema::get().properties("pve-qm-ipconfig").unwrap_or_default();
    let config = parse_properties(keys, text).unwrap_or_default();
    let mut addresses = Vec::new();
    let leased = format!("192.0.2.{}/24", vmid % 250 + 1 + n % 4);
    let learned = format!("2001:db8:ffff:{n:x}::{vmid:x}/64");
    for (key, dynamic) in [("ip", leased), ("ip6", learned)] {
        let value = match config.get(key) {
            None | Some("manual") => continue,
            Some("dhcp" | "auto") => dynamic,
            Some(fixed) => fixed.to_owned(),
        };
        if let Some((address, prefix)) = value.split_once('/')
            && let (Ok(address), Ok(prefix)) = (address.parse::<IpAddr>(), prefix.parse::<u8>())
        {
            let kind = if address.is_ipv6() { "ipv6" } else { "ipv4" };
            addresses
                .push(json!({"ip-address": address.to_string(), "ip-address-type": kind, "prefix": prefix}));
        }
    }
    addresses
}
