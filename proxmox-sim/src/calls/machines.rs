//! `GET /nodes/{node}/qemu`.

use serde_json::json;

use super::{Answered, Call};
use crate::world::World;

pub(super) fn list(world: &World, call: &Call) -> Answered {
    let here = world.machines.values().filter(|machine| {
        machine.node == call.node() && call.caller.may(&format!("/vms/{}", machine.vmid), "VM.Audit")
    });
    let rows = here.map(|machine| {
        let running = machine.running.as_ref();
        let uptime = running.map_or(0, |r| world.now.saturating_sub(r.since).as_secs());
        let mut row = json!({
            "vmid": machine.vmid, "name": machine.name(), "cpus": machine.cpus(), "maxmem": machine.memory_bytes(),
            "maxdisk": machine.disk_bytes(), "status": if running.is_some() { "running" } else { "stopped" },
            "uptime": uptime, "cpu": 0, "mem": 0, "disk": 0, "netin": 0, "netout": 0, "diskread": 0, "diskwrite": 0,
        });
        if let Some(running) = running {
            row["pid"] = json!(running.pid);
        }
        for key in ["lock", "tags"] {
            if let Some(value) = machine.config.get(key) {
                row[key] = json!(value);
            }
        }
        if machine.is_template() {
            row["template"] = json!(1);
        }
        row
    });
    super::list(rows.collect())
}
