//! A picture of everything, for assertions.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::world::{Firewall, Machine, World};

pub(super) fn dump(world: &World) -> Value {
    let machines: serde_json::Map<_, _> =
        world.machines.iter().map(|(vmid, machine)| (vmid.to_string(), machine_of(world, machine))).collect();
    let firewalls: serde_json::Map<_, _> =
        world.firewalls.iter().map(|(vmid, firewall)| (vmid.to_string(), firewall_of(firewall))).collect();
    let named: BTreeSet<(String, String)> = world
        .machines
        .values()
        .flat_map(|machine| machine.volumes().into_iter().map(|volid| (volid, machine.node.clone())))
        .collect();
    let mut volumes = Vec::new();
    for storage in world.storages.values() {
        for ((node, name), volume) in storage.volumes.iter() {
            let volid = format!("{}:{name}", storage.name);
            let owner = world.machines.get(&volume.owner);
            let at = owner.filter(|owner| storage.shared || owner.node == *node);
            let referenced = at.is_some_and(|owner| named.contains(&(volid.clone(), owner.node.clone())));
            volumes.push(json!({
                "volid": volid, "node": node, "size": volume.size, "format": volume.format, "owner": volume.owner,
                "content": volume.content, "parent": volume.parent, "referenced": referenced,
            }));
        }
    }
    json!({
        "now": world.now.as_secs_f64(), "quorate": world.quorate,
        "nodes": world.nodes.iter().map(|(name, node)| (name.clone(), json!({"online": node.online, "frozen": node.frozen, "bridges": node.bridges}))).collect::<serde_json::Map<_, _>>(),
        "full": world.storages.values().filter(|s| s.full).map(|s| s.name.clone()).collect::<Vec<_>>(),
        "vms": machines, "volumes": volumes, "firewalls": firewalls, "pools": world.pools,
        "ha": world.ha.iter().map(|(vmid, r)| (format!("vm:{vmid}"), json!(r.state))).collect::<serde_json::Map<_, _>>(),
    })
}

fn machine_of(world: &World, machine: &Machine) -> Value {
    let running = machine.running.as_ref();
    json!({
        "node": machine.node, "config": machine.config.current, "pending": machine.config.pending,
        "deleted": machine.config.deleted.keys().collect::<Vec<_>>(), "digest": machine.config.digest(),
        "status": if running.is_some() { "running" } else { "stopped" },
        "agent": world.need_agent(machine).is_ok(), "medium": machine.medium,
        "stranger": world.is_strangers(machine),
        "snapshots": machine.snapshots.iter().map(|s| s.name.clone()).collect::<Vec<_>>(),
    })
}

fn firewall_of(firewall: &Firewall) -> Value {
    let ipsets: serde_json::Map<_, _> = firewall
        .ipsets
        .iter()
        .map(|(name, set)| {
            (name.clone(), json!(set.entries.iter().map(|e| e.cidr.clone()).collect::<Vec<_>>()))
        })
        .collect();
    json!({"options": firewall.options, "ipsets": ipsets, "rules": firewall.rules})
}
