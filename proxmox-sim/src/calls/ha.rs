//! High-availability resources: what the manager is told. Where none runs that is all.

use serde_json::{Value, json};

use super::{Answered, Call, data, done};
use crate::reply::Refusal;
use crate::world::{HaResource, World};

fn row(vmid: u32, resource: &HaResource) -> Value {
    let mut row =
        json!({"sid": format!("vm:{vmid}"), "type": "vm", "state": resource.state, "digest": "0".repeat(40)});
    if let Some(comment) = &resource.comment {
        row["comment"] = json!(comment);
    }
    row
}

fn vmid_of(sid: &str) -> u32 {
    sid.rsplit(':').next().and_then(|vmid| vmid.parse().ok()).unwrap_or_default()
}

pub(super) fn list(world: &World) -> Answered {
    super::list(world.ha.iter().map(|(vmid, resource)| row(*vmid, resource)).collect())
}

pub(super) fn get(world: &World, call: &Call) -> Answered {
    let sid = call.arguments.require("sid");
    match world.ha.get(&vmid_of(sid)) {
        Some(resource) => data(row(vmid_of(sid), resource)),
        None => Err(Refusal::Die(format!("no such resource '{sid}'"))),
    }
}

pub(super) fn add(world: &mut World, call: &Call) -> Answered {
    let vmid = vmid_of(call.arguments.require("sid"));
    if world.ha.contains_key(&vmid) {
        return Err(Refusal::Die(format!("create resource failed: resource ID 'vm:{vmid}' already defined")));
    }
    if !world.machines.contains_key(&vmid) {
        return Err(Refusal::Die(format!("create resource failed: unable to find 'vm:{vmid}'")));
    }
    if call.text("group").is_some() && world.version == crate::Version::V9_2 {
        return Err(Refusal::Die("create resource failed: invalid parameter 'group'".to_owned()));
    }
    let state = call.text("state").unwrap_or("started").replace("enabled", "started");
    world.ha.insert(vmid, HaResource { state, comment: call.owned("comment") });
    done()
}

pub(super) fn update(world: &mut World, call: &Call) -> Answered {
    let sid = call.arguments.require("sid");
    let resource = world.ha.get_mut(&vmid_of(sid)).ok_or_else(|| format!("no such resource '{sid}'"))?;
    if let Some(state) = call.text("state") {
        resource.state = state.replace("enabled", "started");
    }
    if let Some(comment) = call.owned("comment") {
        resource.comment = Some(comment);
    }
    done()
}

/// Asks the manager to move a machine. The wish is taken, and that is all.
pub(super) fn migrate(world: &World, call: &Call) -> Answered {
    let (vmid, node) = (vmid_of(call.arguments.require("sid")), call.arguments.require("node"));
    if !world.ha.contains_key(&vmid) {
        return Err(Refusal::Die(format!("no such resource 'vm:{vmid}'")));
    }
    world.node(node)?;
    done()
}

pub(super) fn remove(world: &mut World, call: &Call) -> Answered {
    let vmid = vmid_of(call.arguments.require("sid"));
    match world.ha.remove(&vmid) {
        Some(_) => done(),
        None => Err(Refusal::Die(format!("cannot delete service 'vm:{vmid}', not HA managed!"))),
    }
}
