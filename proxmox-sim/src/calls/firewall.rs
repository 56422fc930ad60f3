//! `firewall`: options, aliases and references. Neither the machine nor its lock is looked at.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Answered, Call, Outcome, data, done, firewall_rules, ipset, list};
use crate::reply::Refusal;
use crate::world::{Firewall, World, normalise_cidr};

pub(super) fn dispatch(world: &mut World, call: &Call, method: &str, path: &str) -> Answered {
    if method != "GET" && !world.quorate {
        let text = format!("cfs-lock 'firewall-vm-{}' error: no quorum!", call.vmid());
        return Ok(Outcome::Refused(Duration::from_secs(9), Refusal::Die(text)));
    }
    let outcome = answer(world, call, method, path)?;
    if method != "GET" {
        tidy(world, call.vmid());
    }
    Ok(outcome)
}

fn answer(world: &mut World, call: &Call, method: &str, path: &str) -> Answered {
    match (method, path) {
        ("GET", "/options") => options(world, call),
        ("PUT", "/options") => set_options(world, call),
        ("GET", "/refs") => refs(world, call),
        ("GET", "/aliases") => aliases(world, call),
        ("POST", "/aliases") => add_alias(world, call),
        ("GET", "/aliases/{name}") => alias(world, call),
        ("PUT", "/aliases/{name}") => update_alias(world, call),
        ("DELETE", "/aliases/{name}") => remove_alias(world, call),
        (_, path) if path.starts_with("/rules") => firewall_rules::dispatch(world, call, method, path),
        (_, path) => ipset::dispatch(world, call, method, path),
    }
}

/// The firewall of a machine, made when there is none.
pub(super) fn of<'a>(world: &'a mut World, call: &Call) -> &'a mut Firewall {
    world.firewalls.entry(call.vmid()).or_default()
}

/// A copy to read from, empty when there is no file.
pub(super) fn read(world: &World, call: &Call) -> Firewall {
    world.firewalls.get(&call.vmid()).cloned().unwrap_or_default()
}

/// A file without content does not exist.
fn tidy(world: &mut World, vmid: u32) {
    if world.firewalls.get(&vmid).is_some_and(Firewall::is_empty) {
        world.firewalls.remove(&vmid);
    }
}

fn options(world: &World, call: &Call) -> Answered {
    data(options_row(&read(world, call)))
}

/// Options of the whole cluster.
pub(super) fn cluster_options(world: &World) -> Answered {
    let options = Firewall { options: world.cluster_firewall.clone(), ..Firewall::default() };
    data(options_row(&options))
}

pub(super) fn set_cluster_options(world: &mut World, call: &Call) -> Answered {
    for name in call.arguments.list("delete") {
        world.cluster_firewall.remove(&name);
    }
    for (name, value) in call.arguments.iter().filter(|(name, _)| !matches!(*name, "digest" | "delete")) {
        world.cluster_firewall.insert(name.to_owned(), value.to_owned());
    }
    done()
}

fn options_row(firewall: &Firewall) -> Value {
    let mut row = json!({"digest": firewall.options_digest()});
    for (key, value) in &firewall.options {
        row[key] = value.parse::<i64>().map_or_else(|_| json!(value), |n| json!(n));
    }
    row
}

/// Options of a machine's firewall.
const OPTIONS: [&str; 10] = [
    "enable",
    "macfilter",
    "dhcp",
    "ndp",
    "radv",
    "ipfilter",
    "policy_in",
    "policy_out",
    "log_level_in",
    "log_level_out",
];

fn set_options(world: &mut World, call: &Call) -> Answered {
    let firewall = of(world, call);
    Firewall::need_digest(call.text("digest"), &firewall.options_digest())?;
    let delete = call.arguments.list("delete");
    if let Some(name) = delete.iter().find(|name| !OPTIONS.contains(&name.as_str())) {
        return Err(Refusal::parameter("delete", format!("no such option '{name}'")));
    }
    for name in delete {
        firewall.options.remove(&name);
    }
    for (name, value) in call.arguments.iter() {
        if !matches!(name, "node" | "vmid" | "digest" | "delete") {
            firewall.options.insert(name.to_owned(), value.to_owned());
        }
    }
    done()
}

fn refs(world: &World, call: &Call) -> Answered {
    let firewall = read(world, call);
    let kind = call.text("type");
    let mut rows: Vec<Value> = Vec::new();
    if kind.is_none_or(|kind| kind == "ipset") {
        rows.extend(firewall.ipsets.iter().map(|(name, set)| {
            let reference = format!("+guest/{name}");
            reference_row("ipset", name, &reference, set.comment.as_deref())
        }));
    }
    if kind.is_none_or(|kind| kind == "alias") {
        rows.extend(firewall.aliases.values().map(|(name, _, comment)| {
            reference_row("alias", name, &format!("guest/{name}"), comment.as_deref())
        }));
    }
    list(rows)
}

fn reference_row(kind: &str, name: &str, reference: &str, comment: Option<&str>) -> Value {
    let mut row = json!({"type": kind, "name": name, "ref": reference, "scope": "guest"});
    if let Some(comment) = comment {
        row["comment"] = json!(comment);
    }
    row
}

fn alias_row(entry: &(String, String, Option<String>)) -> Value {
    let (name, cidr, comment) = entry;
    let mut row = json!({"name": name, "cidr": cidr, "ipversion": if cidr.contains(':') { 6 } else { 4 }});
    if let Some(comment) = comment {
        row["comment"] = json!(comment);
    }
    row
}

fn aliases(world: &World, call: &Call) -> Answered {
    let firewall = read(world, call);
    let digest = firewall.aliases_digest();
    let rows = firewall.aliases.values().map(|entry| {
        let mut row = alias_row(entry);
        row["digest"] = json!(digest);
        row
    });
    list(rows.collect())
}

fn key(call: &Call) -> String {
    call.arguments.require("name").to_ascii_lowercase()
}

fn no_such_alias() -> Refusal {
    Refusal::parameter("name", "no such alias")
}

fn alias(world: &World, call: &Call) -> Answered {
    let firewall = read(world, call);
    data(alias_row(firewall.aliases.get(&key(call)).ok_or_else(no_such_alias)?))
}

fn add_alias(world: &mut World, call: &Call) -> Answered {
    let (key, name) = (key(call), call.arguments.require("name").to_owned());
    let cidr = address(call)?;
    let firewall = of(world, call);
    if firewall.aliases.contains_key(&key) {
        return Err(Refusal::parameter("name", format!("alias '{name}' already exists")));
    }
    firewall.aliases.insert(key, (name, cidr, call.owned("comment")));
    done()
}

fn update_alias(world: &mut World, call: &Call) -> Answered {
    let key = key(call);
    let cidr = address(call)?;
    let firewall = of(world, call);
    Firewall::need_digest(call.text("digest"), &firewall.aliases_digest())?;
    let (name, ..) = firewall.aliases.remove(&key).ok_or_else(no_such_alias)?;
    let name = call.owned("rename").unwrap_or(name);
    firewall.aliases.insert(name.to_ascii_lowercase(), (name, cidr, call.owned("comment")));
    done()
}

fn remove_alias(world: &mut World, call: &Call) -> Answered {
    let firewall = of(world, call);
    Firewall::need_digest(call.text("digest"), &firewall.aliases_digest())?;
    firewall.aliases.remove(&key(call));
    done()
}

fn address(call: &Call) -> Result<String, Refusal> {
    let text = call.arguments.require("cidr");
    normalise_cidr(text)
        .ok_or_else(|| Refusal::parameter("cidr", format!("invalid format - invalid IP/Network '{text}'\n")))
}
