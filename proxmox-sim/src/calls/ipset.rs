//! Sets of addresses.

use serde_json::{Value, json};

use super::{Answered, Call, data, done, firewall, list};
use crate::reply::Refusal;
use crate::world::{Firewall, IpSet, IpSetEntry, World, normalise_cidr};

pub(super) fn dispatch(world: &mut World, call: &Call, method: &str, path: &str) -> Answered {
    match (method, path) {
        ("GET", "/ipset") => sets(world, call),
        ("POST", "/ipset") => create(world, call),
        ("GET", "/ipset/{name}") => entries(world, call),
        ("POST", "/ipset/{name}") => add(world, call),
        ("DELETE", "/ipset/{name}") => remove_set(world, call),
        ("GET", "/ipset/{name}/{cidr}") => entry(world, call),
        ("PUT", "/ipset/{name}/{cidr}") => update(world, call),
        ("DELETE", "/ipset/{name}/{cidr}") => remove(world, call),
        (method, path) => Err(Refusal::NotImplemented(format!("Method '{method} {path}' not implemented"))),
    }
}

fn name(call: &Call) -> &str {
    call.arguments.require("name")
}

fn sets(world: &World, call: &Call) -> Answered {
    let firewall = firewall::read(world, call);
    let digest = firewall.ipset_names_digest();
    let rows = firewall.ipsets.iter().map(|(name, set)| {
        let mut row = json!({"name": name, "digest": digest});
        if let Some(comment) = &set.comment {
            row["comment"] = json!(comment);
        }
        row
    });
    list(rows.collect())
}

fn create(world: &mut World, call: &Call) -> Answered {
    let name = name(call).to_owned();
    let comment = call.owned("comment");
    let firewall = firewall::of(world, call);
    if let Some(old) = call.text("rename") {
        Firewall::need_digest(call.text("digest"), &firewall.ipset_names_digest())?;
        let mut set = firewall.ipset(old)?.clone();
        firewall.ipsets.remove(old);
        set.comment = comment.or(set.comment);
        firewall.ipsets.insert(name, set);
        return done();
    }
    if firewall.ipsets.contains_key(&name) {
        return Err(Refusal::parameter("name", format!("IPSet '{name}' already exists")));
    }
    firewall.ipsets.insert(name, IpSet { comment, entries: Vec::new() });
    done()
}

fn row(entry: &IpSetEntry, digest: &str) -> Value {
    let mut row = json!({"cidr": entry.cidr, "digest": digest});
    if entry.nomatch {
        row["nomatch"] = json!(1);
    }
    if let Some(comment) = &entry.comment {
        row["comment"] = json!(comment);
    }
    row
}

fn entries(world: &World, call: &Call) -> Answered {
    let firewall = firewall::read(world, call);
    let set = firewall.ipset(name(call))?;
    let digest = set.digest();
    list(set.entries.iter().map(|entry| row(entry, &digest)).collect())
}

/// The address in stored form. An alias must exist.
fn address(firewall: &Firewall, call: &Call) -> Result<String, Refusal> {
    let text = call.arguments.require("cidr");
    if let Some(cidr) = normalise_cidr(text) {
        if cidr.ends_with("/0") {
            let text = "a zero prefix is not allowed in ipset entries";
            return Err(Refusal::parameter("cidr", text));
        }
        return Ok(cidr);
    }
    let alias = text.trim_start_matches("guest/").to_ascii_lowercase();
    if firewall.aliases.contains_key(&alias) {
        return Ok(text.to_owned());
    }
    Err(Refusal::Die(format!("no such alias '{text}'")))
}

fn add(world: &mut World, call: &Call) -> Answered {
    let firewall = firewall::of(world, call);
    firewall.ipset(name(call))?;
    let cidr = address(firewall, call)?;
    let set = firewall.ipset_mut(name(call))?;
    if set.entries.iter().any(|entry| entry.cidr == cidr) {
        return Err(Refusal::parameter("cidr", format!("address '{cidr}' already exists")));
    }
    let entry = IpSetEntry { cidr, nomatch: call.flag("nomatch"), comment: call.owned("comment") };
    set.entries.insert(0, entry);
    // The file is written in the order of the addresses' text, and read back in it.
    set.entries.sort_by(|a, b| a.cidr.cmp(&b.cidr));
    done()
}

fn entry(world: &World, call: &Call) -> Answered {
    let firewall = firewall::read(world, call);
    let set = firewall.ipset(name(call))?;
    let cidr = call.arguments.require("cidr");
    let found = set.entries.iter().find(|entry| entry.cidr == cidr);
    match found {
        Some(entry) => data(row(entry, &set.digest())),
        None => Err(Refusal::parameter("cidr", "no such IP/Network")),
    }
}

/// What is not sent is cleared.
fn update(world: &mut World, call: &Call) -> Answered {
    let set = firewall::of(world, call).ipset_mut(name(call))?;
    Firewall::need_digest(call.text("digest"), &set.digest())?;
    let cidr = call.arguments.require("cidr");
    let Some(entry) = set.entries.iter_mut().find(|entry| entry.cidr == cidr) else {
        return Err(Refusal::parameter("cidr", "no such IP/Network"));
    };
    entry.nomatch = call.flag("nomatch");
    entry.comment = call.owned("comment");
    done()
}

/// Removing what is not there is fine.
fn remove(world: &mut World, call: &Call) -> Answered {
    let set = firewall::of(world, call).ipset_mut(name(call))?;
    Firewall::need_digest(call.text("digest"), &set.digest())?;
    let cidr = call.arguments.require("cidr");
    set.entries.retain(|entry| entry.cidr != cidr);
    done()
}

fn remove_set(world: &mut World, call: &Call) -> Answered {
    let firewall = firewall::of(world, call);
    let set = firewall.ipset(name(call))?;
    if !set.entries.is_empty() && !call.flag("force") {
        return Err(Refusal::Die(format!("IPSet '{}' is not empty", name(call))));
    }
    firewall.ipsets.remove(name(call));
    done()
}
