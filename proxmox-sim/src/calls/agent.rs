//! `agent/*`.

use std::time::Duration;

use serde_json::json;

use super::{Answered, Call, Outcome, data};
use crate::reply::Refusal;
use crate::world::World;

pub(super) fn command(world: &World, call: &Call, command: &str) -> Answered {
    let machine = world.machine_on(call.node(), call.vmid())?;
    if let Err(text) = world.need_agent(machine) {
        // A guest that does not answer is waited for.
        let asked = text == "QEMU guest agent is not running";
        let time = Duration::from_millis(if asked { 100 } else { 0 });
        return Ok(Outcome::Refused(time, Refusal::Die(text)));
    }
    let result = match command {
        "network-get-interfaces" => machine.guest_interfaces(),
        "get-host-name" => json!({"host-name": machine.name().split('.').next().unwrap_or_default()}),
        "get-osinfo" => json!({"id": "debian", "name": "Debian GNU/Linux", "version-id": "13"}),
        "info" => json!({"version": "10.0.2", "supported_commands": []}),
        "get-fsinfo" => {
            json!([{"name": "sda1", "mountpoint": "/", "type": "ext4", "total-bytes": machine.disk_bytes()}])
        }
        _ => json!({}),
    };
    data(json!({ "result": result }))
}
