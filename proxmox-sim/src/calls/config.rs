//! Reading and changing the configuration.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{Answered, Call, Outcome, config_values, data, list};
use crate::Version;
use crate::reply::Refusal;
use crate::schema::Schema;
use crate::works::Configure;
use crate::world::{World, option_value};

/// Options as the API shows them.
pub(super) fn shown(options: &BTreeMap<String, String>) -> Map<String, Value> {
    let row = |(key, value): (&String, &String)| (key.clone(), option_value(key, value));
    options.iter().map(row).collect()
}

/// Options as the file has them, the password in its stored form.
pub(super) fn raw(options: &BTreeMap<String, String>) -> Map<String, Value> {
    let mut row = shown(options);
    if let Some(password) = options.get("cipassword") {
        row.insert("cipassword".to_owned(), json!(password));
    }
    row
}

pub(super) fn get(world: &World, call: &Call) -> Answered {
    let machine = world.machine_on(call.node(), call.vmid())?;
    if let Some(name) = call.text("snapshot") {
        let snapshot = machine.snapshots.iter().find(|s| s.name == name);
        let snapshot = snapshot.ok_or_else(|| format!("snapshot '{name}' does not exist"))?;
        return data(Value::Object(shown(&snapshot.config)));
    }
    let mut row =
        if call.flag("current") { shown(&machine.config.current) } else { shown(&machine.config.view()) };
    if let Some(parent) = &machine.parent {
        row.insert("parent".to_owned(), json!(parent));
    }
    row.insert("digest".to_owned(), json!(machine.config.digest()));
    data(Value::Object(row))
}

pub(super) fn pending(world: &World, call: &Call) -> Answered {
    let config = &world.machine_on(call.node(), call.vmid())?.config;
    let mut rows = vec![json!({"key": "digest", "value": config.digest()})];
    for (key, value) in &config.current {
        let mut row = json!({"key": key, "value": option_value(key, value)});
        if let Some(pending) = config.pending.get(key) {
            row["pending"] = option_value(key, pending);
        }
        if let Some(force) = config.deleted.get(key) {
            row["delete"] = json!(if *force { 2 } else { 1 });
        }
        rows.push(row);
    }
    let new = config.pending.iter().filter(|(key, _)| !config.current.contains_key(*key));
    rows.extend(new.map(|(key, value)| json!({"key": key, "pending": option_value(key, value)})));
    list(rows)
}

pub(super) fn change(world: &mut World, call: &Call) -> Answered {
    call.need_root_for(&["skiplock"])?;
    let machine = world.machine_on(call.node(), call.vmid())?.clone();
    let delete = call.arguments.list("delete");
    let revert = call.arguments.list("revert");
    for (parameter, names) in [("delete", &delete), ("revert", &revert)] {
        if let Some(unknown) = names.iter().find(|name| !known(name)) {
            return Err(Refusal::parameter(parameter, format!("unknown option '{unknown}'")));
        }
    }
    for (parameter, names) in [("delete", &delete), ("revert", &revert)] {
        if let Some(name) = names.iter().find(|name| call.text(name).is_some()) {
            let text = format!("you can't use '-{name}' and -{parameter} {name}' at the same time");
            return Err(Refusal::parameter("delete", text));
        }
    }
    if delete.is_empty() && revert.is_empty() && config_values::given(call).next().is_none() {
        return Err(Refusal::Die("no options specified".to_owned()));
    }
    let privileges = delete.iter().chain(&revert);
    for name in privileges {
        config_values::need_privilege(call, name)?;
    }
    if machine.config.flag("protection")
        && let Some(slot) = delete.iter().find(|name| crate::world::is_drive(name))
    {
        return Err(Refusal::Die(format!("can't remove drive '{slot}' - protection mode enabled")));
    }
    machine.config.need_digest(call.text("digest"))?;
    // The older line finds the lock only once it has the file lock.
    if world.version == Version::V9_2 && !call.flag("skiplock") && !delete.iter().any(|name| name == "lock") {
        machine.config.need_unlocked()?;
    }
    let prepared = config_values::prepare(world, call, &machine)?;
    let mut work = Configure::new(call.node(), call.vmid());
    work.digest = call.owned("digest");
    work.skip_lock = call.flag("skiplock");
    work.summary = summary(call);
    work.set = prepared.set;
    work.refused = prepared.refused;
    work.delete = delete;
    work.revert = revert;
    work.force = call.flag("force");
    finish(world, call, work)
}

fn finish(world: &World, call: &Call, work: Configure) -> Answered {
    let node = call.node().to_owned();
    let work = Box::new(work);
    if call.endpoint.method == "PUT" {
        return Ok(Outcome::Wait(node, work));
    }
    let (kind, id) = ("qmconfig", call.vmid().to_string());
    let patience = call.arguments.number("background_delay").map(Duration::from_secs);
    // The older line takes the lock within the call, the newer one within the task.
    match world.version {
        Version::V7_4 | Version::V8_4 => Ok(Outcome::Entered { kind, id, node, work, patience }),
        Version::V9_2 => Ok(Outcome::Task { kind, id, node, work, patience }),
    }
}

pub(super) fn unlink(world: &World, call: &Call) -> Answered {
    let machine = world.machine_on(call.node(), call.vmid())?;
    machine.config.need_unlocked()?;
    let mut work = Configure::new(call.node(), call.vmid());
    work.delete = call.arguments.list("idlist");
    work.force = call.flag("force");
    Ok(Outcome::Wait(call.node().to_owned(), Box::new(work)))
}

fn known(name: &str) -> bool {
    Schema::get().option(name).is_some() || matches!(name, "parent" | "vmstate" | "runningmachine")
}

/// What is written into the log: the values as sent, the password hidden.
fn summary(call: &Call) -> String {
    let mut words = Vec::new();
    for (name, value) in config_values::given(call) {
        let value = if name == "cipassword" { "<hidden>" } else { value };
        words.push(format!("-{name} {value}"));
    }
    for name in ["delete", "revert"] {
        if let Some(names) = call.text(name) {
            words.push(format!("-{name} {names}"));
        }
    }
    words.join(" ")
}
