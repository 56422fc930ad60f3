use serde_json::{Map, Value};
use std::net::IpAddr;

/// Firewalls that let a machine send from this address.
pub(crate) fn by_firewalls(state: &Value, address: IpAddr) -> impl Iterator<Item = String> {
    let address = address.to_string();
    entries(&state["firewalls"]).filter_map(move |(vmid, firewall)| {
        let mut members = entries(&firewall["ipsets"]).filter_map(|(_, set)| set.as_array()).flatten();
        members.any(|member| *member == *address).then(|| format!("the firewall of {vmid} lets it out"))
    })
}

/// Machines whose guest has this address, or is told it at its next start.
pub(crate) fn by_machines(state: &Value, address: IpAddr) -> impl Iterator<Item = String> {
    let told = format!("={address}/");
    entries(&state["vms"]).filter_map(move |(vmid, machine)| {
        let tells = |options: &Value| {
            let mut networks = entries(options).filter(|(name, _)| name.starts_with("ipconfig"));
            networks.any(|(_, value)| value.as_str().is_some_and(|value| value.contains(&told)))
        };
        if tells(&machine["config"]) || tells(&machine["pending"]) {
            Some(format!("cloud-init tells it to {vmid}"))
        } else if machine["status"] == "running" && tells(&machine["medium"]) {
            Some(format!("the guest of {vmid} has it"))
        } else {
            None
        }
    })
}

fn entries(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    object.as_object().into_iter().flat_map(Map::iter)
}
