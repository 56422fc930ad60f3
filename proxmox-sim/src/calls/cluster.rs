//! `/version` and `/cluster`.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Answered, Call, data, figures, list, nodes, storage};
use crate::Version;
use crate::reply::Refusal;
use crate::world::{Statistic, World};

pub(super) fn version(world: &World) -> Answered {
    let version = world.version;
    data(json!({"version": version.full(), "release": version.release(), "repoid": version.repository()}))
}

pub(super) fn status(world: &World) -> Answered {
    let mut rows = vec![json!({
        "type": "cluster", "id": "cluster", "name": world.name, "nodes": world.nodes.len(),
        "quorate": u8::from(world.quorate), "version": 2,
    })];
    for (name, node) in &world.nodes {
        rows.push(json!({
            "type": "node", "id": format!("node/{name}"), "name": name, "nodeid": node.id,
            "online": u8::from(world.sees(node)), "local": u8::from(node.id == 1), "level": "",
            "ip": format!("127.0.0.{}", 10 + node.id),
        }));
    }
    list(rows)
}

/// What the HA manager knows: without one only the majority.
pub(super) fn ha_status(world: &World) -> Answered {
    let node = world.nodes.iter().find(|(_, node)| node.id == 1).map_or("", |(name, _)| name.as_str());
    let status = if world.quorate { "OK".to_owned() } else { format!("No quorum on node '{node}'!") };
    let mut rows = vec![json!({"id": "quorum", "type": "quorum", "node": node, "status": status,
        "quorate": u8::from(world.quorate)})];
    rows.extend(world.ha.iter().map(|(vmid, resource)| {
        let node = world.machines.get(vmid).map_or("", |machine| machine.node.as_str());
        json!({"id": format!("service:vm:{vmid}"), "sid": format!("vm:{vmid}"), "type": "service",
            "node": node, "state": "queued", "request_state": resource.state,
            "status": format!("vm:{vmid} ({node}, queued)")})
    }));
    list(rows)
}

/// Options of the cluster that are set.
pub(super) fn options() -> Answered {
    data(json!({"keyboard": "en-us"}))
}

/// Machines that no backup job includes: all, as there are no jobs.
pub(super) fn not_backed_up(world: &World) -> Answered {
    let rows = world
        .machines
        .values()
        .map(|machine| json!({"vmid": machine.vmid, "name": machine.name(), "type": "qemu"}));
    list(rows.collect())
}

pub(super) fn nextid(world: &World, call: &Call) -> Answered {
    if let Some(vmid) = call.arguments.number("vmid") {
        let taken = u32::try_from(vmid).is_ok_and(|vmid| world.machines.contains_key(&vmid));
        if taken {
            return Err(Refusal::parameter("vmid", format!("VM {vmid} already exists")));
        }
        return data(json!(vmid.to_string()));
    }
    let free = (100..1_000_000).find(|vmid| !world.machines.contains_key(vmid));
    match free {
        Some(vmid) => data(json!(vmid.to_string())),
        None => Err(Refusal::Die("unable to get any free VMID in range [100, 1000000]".to_owned())),
    }
}

pub(super) fn resources(world: &World, call: &Call) -> Answered {
    let kind = call.text("type");
    let mut rows = Vec::new();
    if kind.is_none_or(|kind| kind == "vm") {
        rows.extend(world.machines.keys().filter_map(|vmid| machine(world, call, *vmid)));
    }
    if kind.is_none_or(|kind| kind == "node") {
        rows.extend(world.nodes.iter().map(|(name, node)| nodes::row(world, call, name, node, true)));
    }
    if kind.is_none_or(|kind| kind == "storage") {
        for node in world.nodes.keys() {
            let may = |name: &str| call.caller.may(&format!("/storage/{name}"), "Datastore.Audit");
            rows.extend(world.storages.values().filter(|s| may(&s.name)).map(|storage| {
                json!({"type": "storage", "id": format!("storage/{node}/{}", storage.name), "node": node,
                    "storage": storage.name, "plugintype": storage::kind(storage), "shared": u8::from(storage.shared), "status": "available",
                    "content": storage.content.join(","), "disk": storage.used(node), "maxdisk": storage.total})
            }));
        }
    }
    if kind.is_none_or(|kind| kind == "sdn") && call.caller.may("/sdn/zones/localnetwork", "SDN.Audit") {
        rows.extend(world.nodes.keys().map(|node| match world.version {
            Version::V7_4 | Version::V8_4 => {
                json!({"type": "sdn", "id": format!("sdn/{node}/localnetwork"), "node": node,
                "sdn": "localnetwork", "status": "ok"})
            }
            Version::V9_2 => json!({"type": "network", "id": format!("network/{node}/zone/localnetwork"),
                "node": node, "network": "localnetwork", "network-type": "zone", "status": "ok"}),
        }));
    }
    if kind.is_none() {
        rows.extend(
            world
                .pools
                .keys()
                .filter(|pool| call.caller.may(&format!("/pool/{pool}"), "Pool.Audit"))
                .map(|pool| json!({"type": "pool", "id": format!("/pool/{pool}"), "pool": pool})),
        );
    }
    list(rows)
}

/// A row of a machine: where it is, its lock, tags and pool are live, everything else is as last
/// broadcast.
fn machine(world: &World, call: &Call, vmid: u32) -> Option<Value> {
    let pool = world.pool_of(vmid);
    let audit = call.caller.may(&format!("/vms/{vmid}"), "VM.Audit")
        || pool.is_some_and(|pool| call.caller.may(&format!("/pool/{pool}"), "VM.Audit"));
    if !audit {
        return None;
    }
    let mut row = member(world, vmid)?;
    if let Some(pool) = pool {
        row["pool"] = json!(pool);
    }
    Some(row)
}

/// The same without its pool, for the pool itself.
pub(super) fn member(world: &World, vmid: u32) -> Option<Value> {
    let machine = world.machines.get(&vmid)?;
    let mut row = match world.statistics.get(vmid, world.now) {
        None => json!({"status": "unknown"}),
        Some(statistic) => figures(world, statistic),
    };
    row["id"] = json!(format!("qemu/{vmid}"));
    row["type"] = json!("qemu");
    row["vmid"] = json!(vmid);
    row["node"] = json!(machine.node);
    for (key, value) in [("lock", machine.config.lock()), ("tags", machine.config.get("tags"))] {
        if let Some(value) = value {
            row[key] = json!(value);
        }
    }
    if let Some(ha) = world.ha.get(&vmid) {
        row["hastate"] = json!(ha.state);
    }
    Some(row)
}

fn figures(world: &World, statistic: &Statistic) -> Value {
    // As it was when it was told, not as it is now.
    let told = world.statistics.told_at(statistic);
    let ran = statistic.since.map_or(Duration::ZERO, |since| told.saturating_sub(since));
    let mut row = json!({
        "name": statistic.name, "status": statistic.status, "template": u8::from(statistic.template),
        "maxcpu": statistic.cpus, "maxmem": statistic.memory, "maxdisk": statistic.disk, "uptime": ran.as_secs(),
        "cpu": 0, "mem": 0, "disk": 0, "diskread": 0, "diskwrite": 0,
    });
    figures::count(world, statistic.nics, ran, &mut row);
    if world.version == Version::V9_2 {
        row["memhost"] = json!(0);
    }
    row
}
