//! Rules of a firewall.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Answered, Call, data, done, firewall, firewall_macros, list};
use crate::reply::Refusal;
use crate::world::{Firewall, World};

type Rule = BTreeMap<String, String>;

pub(super) fn dispatch(world: &mut World, call: &Call, method: &str, path: &str) -> Answered {
    match (method, path) {
        ("GET", "/rules") => rules(world, call),
        ("POST", "/rules") => create(world, call),
        ("GET", "/rules/{pos}") => rule(world, call),
        ("PUT", "/rules/{pos}") => update(world, call),
        ("DELETE", "/rules/{pos}") => remove(world, call),
        (method, path) => Err(Refusal::NotImplemented(format!("Method '{method} {path}' not implemented"))),
    }
}

fn row(rule: &Rule, digest: &str) -> Value {
    let mut row = json!({"digest": digest});
    for (key, value) in rule {
        row[key] = if key == "enable" { json!(value.parse::<i64>().unwrap_or(0)) } else { json!(value) };
    }
    let addresses = [rule.get("source"), rule.get("dest")];
    let first = addresses.into_iter().flatten().find(|a| a.starts_with(|c: char| c.is_ascii_hexdigit()));
    if let Some(address) = first {
        row["ipversion"] = json!(if address.contains(':') { 6 } else { 4 });
    }
    row
}

/// In a list the position is a number, alone it is text.
fn rules(world: &World, call: &Call) -> Answered {
    let firewall = firewall::read(world, call);
    let digest = firewall.rules_digest();
    let rows = firewall.rules.iter().enumerate().map(|(pos, rule)| {
        let mut row = row(rule, &digest);
        row["pos"] = json!(pos);
        if let Some((key, name)) = dangling(&firewall, rule) {
            row["errors"] = json!({key: format!("no such ipset '{name}'")});
        }
        row
    });
    list(rows.collect())
}

fn position(firewall: &Firewall, call: &Call) -> Result<usize, Refusal> {
    let pos = call.arguments.number("pos").and_then(|pos| usize::try_from(pos).ok()).unwrap_or(usize::MAX);
    if pos < firewall.rules.len() {
        return Ok(pos);
    }
    Err(Refusal::Die(format!("no rule at position {}", call.arguments.require("pos"))))
}

fn rule(world: &World, call: &Call) -> Answered {
    let firewall = firewall::read(world, call);
    let pos = position(&firewall, call)?;
    let mut row = row(&firewall.rules[pos], &firewall.rules_digest());
    row["pos"] = json!(pos.to_string());
    data(row)
}

fn sent(call: &Call) -> Rule {
    let own = |name: &str| !matches!(name, "node" | "vmid" | "digest" | "pos" | "moveto" | "delete");
    call.arguments.iter().filter(|(name, _)| own(name)).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

/// New rules come first, whatever position was asked for, and are off unless told otherwise.
fn create(world: &mut World, call: &Call) -> Answered {
    let mut rule = sent(call);
    rule.entry("enable".to_owned()).or_insert_with(|| "0".to_owned());
    let firewall = firewall::of(world, call);
    check(firewall, &rule)?;
    firewall.rules.insert(0, rule);
    done()
}

/// An address set that a rule names and that is not there.
fn dangling<'a>(firewall: &Firewall, rule: &'a Rule) -> Option<(&'static str, &'a str)> {
    ["source", "dest"].into_iter().find_map(|key| {
        let name = rule.get(key)?.strip_prefix('+')?.trim_start_matches("guest/");
        (!name.starts_with("dc/") && !firewall.ipsets.contains_key(name)).then_some((key, name))
    })
}

fn check(firewall: &Firewall, rule: &Rule) -> Result<(), Refusal> {
    let get = |key: &str| rule.get(key).map(String::as_str);
    let action = get("action").unwrap_or_default();
    if get("type") != Some("group") && !matches!(action, "ACCEPT" | "DROP" | "REJECT") {
        return Err(Refusal::parameter("action", format!("unknown action '{action}'")));
    }
    if get("type") == Some("forward") {
        return Err(Refusal::parameter("type", "forward rules are not allowed for guests"));
    }
    for port in ["dport", "sport"] {
        if get(port).is_some() && get("proto").is_none() && get("macro").is_none() {
            let text = format!("missing property - '{port}' requires this property");
            return Err(Refusal::parameter("proto", text));
        }
    }
    if let Some(name) = get("macro").filter(|name| !firewall_macros::known(name)) {
        return Err(Refusal::parameter("macro", format!("unknown macro '{name}'")));
    }
    if let Some((key, name)) = dangling(firewall, rule) {
        return Err(Refusal::parameter(key, format!("no such ipset '{name}'")));
    }
    let six = |key: &str| get(key).map(|value| value.contains(':'));
    let mixed = matches!((six("source"), six("dest")), (Some(a), Some(b)) if a != b);
    let four_only =
        get("proto") == Some("icmp") && (six("source") == Some(true) || six("dest") == Some(true));
    if mixed || four_only {
        return Err(Refusal::parameter("source", "detected mixed ipv4/ipv6 addresses in rule"));
    }
    Ok(())
}

fn update(world: &mut World, call: &Call) -> Answered {
    let firewall = firewall::of(world, call);
    Firewall::need_digest(call.text("digest"), &firewall.rules_digest())?;
    let pos = position(firewall, call)?;
    if let Some(target) = call.arguments.number("moveto").and_then(|n| usize::try_from(n).ok()) {
        let rule = firewall.rules.remove(pos);
        // The place is counted before the rule is taken out.
        let target = if target > pos { target - 1 } else { target };
        firewall.rules.insert(target.min(firewall.rules.len()), rule);
        return done();
    }
    let mut rule = firewall.rules[pos].clone();
    for name in call.arguments.list("delete") {
        rule.remove(&name);
    }
    rule.extend(sent(call));
    check(firewall, &rule)?;
    firewall.rules[pos] = rule;
    done()
}

fn remove(world: &mut World, call: &Call) -> Answered {
    let firewall = firewall::of(world, call);
    Firewall::need_digest(call.text("digest"), &firewall.rules_digest())?;
    let pos = position(firewall, call)?;
    firewall.rules.remove(pos);
    done()
}
