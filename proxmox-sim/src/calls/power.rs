//! `status/*`.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Answered, Call, Outcome, data};
use crate::Version;
use crate::reply::Refusal;
use crate::works::{Power, PowerAction};
use crate::world::World;

pub(super) fn current(world: &World, call: &Call) -> Answered {
    let machine = world.machine_on(call.node(), call.vmid())?;
    let running = machine.running.as_ref();
    let status = if running.is_some() { "running" } else { "stopped" };
    let qmp = if running.is_some_and(|r| r.paused) { "paused" } else { status };
    let mut row = json!({
        "vmid": machine.vmid, "name": machine.name(), "status": status, "qmpstatus": qmp,
        "cpus": machine.cpus(), "maxmem": machine.memory_bytes(), "maxdisk": machine.disk_bytes(),
        "uptime": running.map_or(0, |r| world.now.saturating_sub(r.since).as_secs()),
        "ha": ha(world, machine.vmid),
        "cpu": 0, "mem": 0, "disk": 0, "netin": 0, "netout": 0,
    });
    if world.version == Version::V9_2 {
        row["memhost"] = json!(0);
    }
    for key in ["lock", "tags"] {
        if let Some(value) = machine.config.get(key) {
            row[key] = json!(value);
        }
    }
    if machine.is_template() {
        row["template"] = json!(1);
    }
    if machine.config.get("serial0").is_some() {
        row["serial"] = json!(1);
    }
    if machine.agent_enabled() {
        row["agent"] = json!(1);
    }
    if let Some(running) = running {
        row["pid"] = json!(running.pid);
        row["diskread"] = json!(0);
        row["diskwrite"] = json!(0);
        row["running-machine"] = json!("pc-i440fx-10.0");
        row["running-qemu"] = json!("10.0.2");
    }
    data(row)
}

fn ha(world: &World, vmid: u32) -> Value {
    match world.ha.get(&vmid) {
        None => json!({"managed": 0}),
        Some(resource) => json!({"managed": 1, "state": resource.state}),
    }
}

pub(super) fn change(world: &World, call: &Call, path: &str) -> Answered {
    call.need_root_for(&["skiplock"])?;
    let vmid = call.vmid();
    let seconds = |default: u64| Duration::from_secs(call.arguments.number("timeout").unwrap_or(default));
    let (kind, action) = match path {
        "/status/start" => {
            world.need_quorum()?;
            ("qmstart", PowerAction::Start)
        }
        "/status/stop" => ("qmstop", PowerAction::Stop),
        "/status/shutdown" => ("qmshutdown", PowerAction::Shutdown(seconds(60), call.flag("forceStop"))),
        "/status/reboot" => ("qmreboot", PowerAction::Reboot(seconds(60))),
        "/status/reset" => ("qmreset", PowerAction::Reset),
        "/status/suspend" => ("qmpause", PowerAction::Suspend),
        _ => ("qmresume", PowerAction::Resume),
    };
    if matches!(
        action,
        PowerAction::Reboot(_) | PowerAction::Reset | PowerAction::Suspend | PowerAction::Resume
    ) {
        let machine = world.machine_on(call.node(), vmid)?;
        if machine.running.is_none() {
            return Err(Refusal::Die(format!("VM {vmid} not running")));
        }
        machine.config.need_unlocked()?;
    }
    let mut work = Power::new(call.node(), vmid, action);
    work.skip_lock = call.flag("skiplock");
    let kind = match (world.ha.contains_key(&vmid), action) {
        (true, PowerAction::Start) => "hastart",
        (true, PowerAction::Stop | PowerAction::Shutdown(..)) => "hastop",
        _ => kind,
    };
    Ok(Outcome::Task {
        kind,
        id: vmid.to_string(),
        node: call.node().to_owned(),
        work: Box::new(work),
        patience: None,
    })
}
