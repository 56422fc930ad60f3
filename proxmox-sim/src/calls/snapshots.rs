//! `snapshot`.

use serde_json::{Value, json};

use super::{Answered, Call, config, data};
use crate::works::{SnapshotAction, SnapshotWork};
use crate::world::{Snapshot, World};

pub(super) fn list(world: &World, call: &Call) -> Answered {
    let machine = world.machine_on(call.node(), call.vmid())?;
    let mut rows: Vec<Value> = machine.snapshots.iter().map(row).collect();
    let mut current = json!({
        "name": "current", "description": "You are here!", "running": u8::from(machine.running.is_some()),
        "digest": machine.config.digest(),
    });
    if let Some(parent) = &machine.parent {
        current["parent"] = json!(parent);
    }
    rows.push(current);
    super::list(rows)
}

fn row(snapshot: &Snapshot) -> Value {
    let mut row = json!({
        "name": snapshot.name, "description": snapshot.description, "snaptime": snapshot.time, "vmstate": 0,
    });
    if let Some(parent) = &snapshot.parent {
        row["parent"] = json!(parent);
    }
    if let Some(state) = snapshot.state {
        row["snapstate"] = json!(state);
    }
    row
}

fn work(call: &Call, action: SnapshotAction) -> SnapshotWork {
    SnapshotWork {
        node: call.node().to_owned(),
        vmid: call.vmid(),
        action,
        name: call.arguments.require("snapname").to_owned(),
        description: call.owned("description").unwrap_or_default(),
        begun: false,
    }
}

pub(super) fn create(world: &World, call: &Call) -> Answered {
    world.machine_on(call.node(), call.vmid())?;
    let name = call.arguments.require("snapname");
    if matches!(name, "current" | "pending") {
        return Err(crate::reply::Refusal::Die(format!(
            "unable to use snapshot name '{name}' (reserved name)"
        )));
    }
    call.task("qmsnapshot", work(call, SnapshotAction::Create))
}

pub(super) fn delete(call: &Call) -> Answered {
    call.task("qmdelsnapshot", work(call, SnapshotAction::Delete))
}

pub(super) fn rollback(call: &Call) -> Answered {
    call.task("qmrollback", work(call, SnapshotAction::Rollback))
}

pub(super) fn config(world: &World, call: &Call) -> Answered {
    let machine = world.machine_on(call.node(), call.vmid())?;
    let name = call.arguments.require("snapname");
    let snapshot = machine.snapshots.iter().find(|s| s.name == name);
    let snapshot = snapshot.ok_or_else(|| format!("snapshot '{name}' does not exist"))?;
    // Nothing is masked here.
    let mut row = config::raw(&snapshot.config);
    if snapshot.description.is_empty() {
        row.remove("description");
    } else {
        row.insert("description".to_owned(), json!(snapshot.description));
    }
    row.insert("snaptime".to_owned(), json!(snapshot.time));
    let more = [("parent", snapshot.parent.as_deref()), ("snapstate", snapshot.state)];
    row.extend(more.into_iter().filter_map(|(key, value)| Some((key.to_owned(), json!(value?)))));
    data(Value::Object(row))
}
