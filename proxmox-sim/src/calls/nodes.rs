//! `/nodes` and what is not about machines, storages or tasks below it.

use serde_json::{Value, json};

use super::{Answered, Call, data, list};
use crate::world::{Node, World};

pub(super) fn all(world: &World, call: &Call) -> Answered {
    list(world.nodes.iter().map(|(name, node)| row(world, call, name, node, false)).collect())
}

/// A node. Its load is for those who may audit it; its fingerprint only in the list of nodes.
pub(super) fn row(world: &World, call: &Call, name: &str, node: &Node, resource: bool) -> Value {
    let status = if world.sees(node) { "online" } else { "offline" };
    let mut row =
        json!({"type": "node", "id": format!("node/{name}"), "node": name, "status": status, "level": ""});
    if resource {
        row["cgroup-mode"] = json!(2);
    } else {
        row["ssl_fingerprint"] = json!(fingerprint(node.id));
    }
    let audit = call.caller.may(&format!("/nodes/{name}"), "Sys.Audit");
    if audit && (world.sees(node) || resource) {
        row["maxcpu"] = json!(world.node_cpus);
        row["maxmem"] = json!(64_u64 << 30);
        row["maxdisk"] = json!(128_u64 << 30);
    }
    if audit && world.sees(node) {
        row["mem"] = json!(8_u64 << 30);
        row["disk"] = json!(9_u64 << 30);
        row["cpu"] = json!(0.05);
        row["uptime"] = json!(world.now.as_secs() + 3600);
    }
    row
}

/// Thirty-two pairs of digits, different for every node.
fn fingerprint(id: u32) -> String {
    let pair = |n: u32| format!("{:02X}", (n * 37 + id * 101) % 256);
    (0..32).map(pair).collect::<Vec<_>>().join(":")
}

pub(super) fn status(world: &World) -> Answered {
    let (full, repository) = (world.version.full(), world.version.repository());
    let mut row = json!({
        "pveversion": format!("pve-manager/{full}/{repository}"),
        "uptime": world.now.as_secs() + 3600,
        "cpu": 0.05, "wait": 0, "loadavg": ["0.20", "0.15", "0.10"], "idle": 0,
        "memory": {"total": 64_u64 << 30, "used": 8_u64 << 30, "free": 56_u64 << 30},
        "rootfs": {"total": 128_u64 << 30, "used": 9_u64 << 30, "free": 119_u64 << 30, "avail": 113_u64 << 30},
        "swap": {"total": 0, "used": 0, "free": 0},
        "cpuinfo": {"cpus": world.node_cpus, "cores": world.node_cpus, "sockets": 1, "model": "Simulated CPU",
            "mhz": "3000.000", "hvm": "1", "user_hz": 100, "flags": "fpu tsc msr"},
        "kversion": "Linux 6.14.0-1-pve", "ksm": {"shared": 0},
        "current-kernel": {"sysname": "Linux", "release": "6.14.0-1-pve", "version": "#1", "machine": "x86_64"},
        "boot-info": {"mode": "legacy-bios"},
    });
    if world.version == crate::Version::V9_2 {
        row["memory"]["available"] = json!(55_u64 << 30);
    }
    data(row)
}

pub(super) fn network(world: &World, call: &Call) -> Answered {
    let node = world.node(call.node())?;
    let kind = call.text("type");
    let bridges =
        kind.is_none_or(|k| matches!(k, "bridge" | "any_bridge" | "any_local_bridge" | "include_sdn"));
    let mut rows = Vec::new();
    if bridges {
        rows.extend(node.bridges.iter().enumerate().map(|(n, bridge)| {
            let mut row = json!({"iface": bridge, "type": "bridge", "autostart": 1, "priority": n + 4,
                "method": "manual", "method6": "manual", "families": ["inet"], "bridge_stp": "off",
                "bridge_fd": "0", "bridge_ports": format!("eno{}", n + 1)});
            if n == 0 {
                // The first one has the node's own address.
                let address = format!("192.0.2.{}", 9 + node.id);
                row["method"] = json!("static");
                row["cidr"] = json!(format!("{address}/24"));
                row["address"] = json!(address);
                row["netmask"] = json!("24");
                row["gateway"] = json!("192.0.2.1");
            }
            row
        }));
    }
    if kind.is_none_or(|k| k == "eth") {
        rows.extend((0..node.bridges.len()).map(|n| {
            json!({"iface": format!("eno{}", n + 1), "type": "eth", "priority": 3,
                "method": "manual", "method6": "manual", "families": ["inet"]})
        }));
    }
    list(rows)
}
