//! `status/*`.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Answered, Call, data, figures};
use crate::reply::Refusal;
use crate::works::{HaWish, Power, PowerAction};
use crate::world::World;

pub(super) fn current(world: &World, call: &Call) -> Answered {
    let machine = world.machine_on(call.node(), call.vmid())?;
    let mut row = figures::of(world, machine, true);
    row["ha"] = ha(world, machine.vmid);
    if machine.agent_enabled() {
        row["agent"] = json!(1);
    }
    data(row)
}

fn ha(world: &World, vmid: u32) -> Value {
    match world.ha.get(&vmid) {
        None => json!({"managed": 0}),
        Some(resource) if world.ha_manager => json!({"managed": 1, "state": resource.state}),
        // The manager's own view, which is empty as long as no manager runs.
        Some(_) if world.version < crate::Version::V9_2 => {
            json!({"managed": 1, "group": null, "state": null})
        }
        Some(_) => json!({"managed": 1, "state": null}),
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
        "/status/suspend" if call.flag("todisk") => ("qmsuspend", PowerAction::SuspendToDisk),
        "/status/suspend" => ("qmpause", PowerAction::Suspend),
        _ => ("qmresume", PowerAction::Resume),
    };
    let asked = action;
    let action = refine(world, call, action)?;
    let mut work = Power::new(call.node(), vmid, action);
    work.skip_lock = call.flag("skiplock");
    work.overrules = call.flag("overrule-shutdown");
    // What it is told to ignore is everybody's.
    let managed = world.ha.get(&vmid).is_some_and(|resource| resource.state != "ignored");
    let kind = match (managed, asked) {
        (true, PowerAction::Start) => "hastart",
        (true, PowerAction::Stop | PowerAction::Shutdown(..)) => "hastop",
        _ => kind,
    };
    if matches!(kind, "hastart" | "hastop") {
        let (what, state) = if kind == "hastart" { ("start", "started") } else { ("stop", "stopped") };
        return call.task(kind, HaWish { vmid, what, state: Some(state), whereto: String::new() });
    }
    call.task(kind, work)
}

/// What is refused before a task, and what an action comes to in the state that the machine is in.
fn refine(world: &World, call: &Call, action: PowerAction) -> Result<PowerAction, Refusal> {
    let vmid = call.vmid();
    match action {
        PowerAction::Start | PowerAction::Stop => Ok(action),
        PowerAction::Shutdown(_, force) => {
            let running = world.machines.get(&vmid).and_then(|machine| machine.running.as_ref());
            match (running.is_some_and(|running| running.paused), force) {
                (false, _) => Ok(action),
                (true, true) => Ok(PowerAction::Stop),
                // It would be answered when the machine goes on, whenever that is.
                (true, false) => Err(Refusal::Die("VM is paused - cannot shutdown".to_owned())),
            }
        }
        PowerAction::Reboot(_)
        | PowerAction::Reset
        | PowerAction::Suspend
        | PowerAction::SuspendToDisk
        | PowerAction::Resume => {
            let machine = world.machine_on(call.node(), vmid)?;
            if machine.running.is_none() {
                let sleeps = machine.config.lock() == Some("suspended") && action == PowerAction::Resume;
                let awake = Refusal::Die(format!("VM {vmid} not running"));
                return if sleeps { Ok(PowerAction::Start) } else { Err(awake) };
            }
            action.need_unlocked(machine)?;
            Ok(action)
        }
    }
}
