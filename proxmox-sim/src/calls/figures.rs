//! What is measured about a machine: the part that its status, the list of a node and the resources
//! have in common.

use std::time::Duration;

use serde_json::{Value, json};

use crate::Version;
use crate::world::{Machine, World};

/// The row of a machine. The full one is what its own process says too.
pub(super) fn of(world: &World, machine: &Machine, full: bool) -> Value {
    let running = machine.running.as_ref();
    let nine = world.version == Version::V9_2;
    let mut row = json!({
        "vmid": machine.vmid, "name": machine.name(), "status": if running.is_some() { "running" } else { "stopped" },
        "cpus": machine.cpus(), "maxmem": machine.memory_bytes(), "maxdisk": machine.disk_bytes(),
        "uptime": running.map_or(0, |r| world.now.saturating_sub(r.since).as_secs()),
        "cpu": 0, "mem": 0, "disk": 0,
    });
    let ran = running.map_or(Duration::ZERO, |running| world.now.saturating_sub(running.since));
    count(world, machine.nics(), ran, &mut row);
    if nine {
        row["memhost"] = json!(0);
    }
    if !nine || (full && running.is_some()) {
        row["diskread"] = json!(0);
        row["diskwrite"] = json!(0);
    }
    for key in ["lock", "tags"] {
        if let Some(value) = machine.config.get(key) {
            row[key] = json!(value);
        }
    }
    if machine.is_template() {
        row["template"] = json!(1);
    }
    if machine.config.current.keys().any(|key| key.starts_with("serial")) {
        row["serial"] = json!(1);
    }
    let paused = running.is_some_and(|running| running.paused);
    if full {
        let prelaunch = running.is_some_and(|running| running.prelaunch);
        row["qmpstatus"] = match (prelaunch, paused) {
            (true, _) => json!("prelaunch"),
            (false, true) => json!("paused"),
            (false, false) => row["status"].clone(),
        };
    }
    if let Some(running) = running {
        row["pid"] = json!(running.pid);
        if nine {
            for kind in ["cpusome", "cpufull", "iosome", "iofull", "memorysome", "memoryfull"] {
                row[format!("pressure{kind}")] = json!(0);
            }
        }
        if full {
            process(&mut row, machine);
        }
    }
    row
}

/// What a machine with so many NICs has received and sent in that time. The counters are its NICs' on the node, which are made
/// anew with its process: when it starts, and when it moves while it runs.
pub(super) fn count(world: &World, nics: u64, ran: Duration, row: &mut Value) {
    let counted = |each: u64| u128::from(each) * u128::from(nics) * ran.as_millis() / 1000;
    row["netin"] = json!(u64::try_from(counted(world.nic_traffic.received)).unwrap_or(u64::MAX));
    row["netout"] = json!(u64::try_from(counted(world.nic_traffic.sent)).unwrap_or(u64::MAX));
}

/// What only the machine's process can tell.
fn process(row: &mut Value, machine: &Machine) {
    row["running-machine"] = json!("pc-i440fx-10.0");
    row["running-qemu"] = json!("10.0.2");
    row["proxmox-support"] = json!({
        "backup-fleecing": true, "backup-max-workers": true, "pbs-dirty-bitmap": true,
        "pbs-dirty-bitmap-migration": true, "pbs-dirty-bitmap-savevm": true, "pbs-masterkey": true,
        "pbs-library-version": "1.5.1 (UNKNOWN)", "query-bitmap-info": true,
    });
    let drives = machine.drives().map(|(slot, _)| {
        (slot.to_owned(), json!({"rd_bytes": 0, "wr_bytes": 0, "rd_operations": 0, "wr_operations": 0}))
    });
    row["blockstat"] = Value::Object(drives.collect());
}
