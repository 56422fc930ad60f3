//! `/access`: logging in, accounts and rights.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Answered, Call, data, done, list};
use crate::access::{AclEntry, NewToken, roles};
use crate::reply::Refusal;
use crate::world::World;

pub(super) fn ticket(world: &World, call: &Call) -> Answered {
    let mut user = call.arguments.require("username").to_owned();
    if let Some(realm) = call.text("realm").filter(|_| !user.contains('@')) {
        user = format!("{user}@{realm}");
    }
    let password = call.arguments.require("password");
    let (ticket, csrf) = world.accounts.login(&user, password, world.unix())?;
    let all = roles::all(world.version);
    let caller = world.accounts.rights_of(&user, &world.pools);
    let mut held: BTreeSet<&str> = BTreeSet::new();
    for path in ["/", "/nodes", "/access/groups", "/vms", "/storage", "/sdn", "/mapping"] {
        held.extend(all.iter().filter(|name| caller.may(path, name)));
    }
    data(json!({
        "ticket": ticket, "CSRFPreventionToken": csrf, "username": user,
        "clustername": world.name, "cap": roles::capabilities(&held),
    }))
}

pub(super) fn domains() -> Answered {
    let mut rows =
        vec![json!({"realm": "pam", "type": "pam", "comment": "Linux PAM standard authentication"})];
    rows.push(json!({"realm": "pve", "type": "pve", "comment": "Proxmox VE authentication server"}));
    list(rows)
}

/// The caller's rights: on one path, or on all that are named somewhere.
pub(super) fn permissions(world: &World, call: &Call) -> Answered {
    let all = roles::all(world.version);
    let mut paths: BTreeSet<String> = BTreeSet::new();
    if let Some(path) = call.text("path") {
        paths.insert(path.to_owned());
    } else {
        const ALWAYS: [&str; 8] =
            ["/", "/access", "/access/groups", "/nodes", "/pool", "/sdn", "/storage", "/vms"];
        paths.extend(ALWAYS.map(str::to_owned));
        // Of a pool its members are listed, and the pool itself only where somebody has a role on it.
        paths.extend(world.accounts.paths().flat_map(ancestors));
        paths.extend(world.pools.values().flatten().map(|vmid| format!("/vms/{vmid}")));
    }
    let mut rows = serde_json::Map::new();
    for path in paths {
        let held = call.caller.privileges(&path, &all);
        if !held.is_empty() {
            let held: serde_json::Map<_, _> = held.into_iter().map(|name| (name, json!(1))).collect();
            rows.insert(path, Value::Object(held));
        }
    }
    data(Value::Object(rows))
}

/// A path and all that are above it.
fn ancestors(path: &str) -> Vec<String> {
    let ends = path.match_indices('/').map(|(at, _)| at).skip(1).chain([path.len()]);
    ends.map(|end| path[..end].to_owned()).collect()
}

pub(super) fn add_user(world: &mut World, call: &Call) -> Answered {
    let user = call.arguments.require("userid");
    call.caller.need("/access/groups", &["User.Modify"])?;
    if world.accounts.has_user(user) {
        return Err(Refusal::Die(format!("create user failed: user '{user}' already exists")));
    }
    world.accounts.add_user(user, call.text("password"));
    done()
}

/// Makes a token. Its secret is shown this once.
pub(super) fn add_token(world: &mut World, call: &Call) -> Answered {
    let (user, name) = (call.arguments.require("userid"), call.arguments.require("tokenid"));
    if call.caller.name != user {
        call.caller.need("/access/groups", &["User.Modify"])?;
    }
    if !world.accounts.has_user(user) {
        return Err(Refusal::Die(format!("no such user ('{user}')")));
    }
    let id = format!("{user}!{name}");
    if world.accounts.has_token(&id) {
        return Err(Refusal::parameter("tokenid", "Token already exists."));
    }
    let secret = world.random.uuid();
    let separate = call.text("privsep") != Some("0");
    let expire = call.arguments.number("expire").unwrap_or(0);
    world.accounts.add_token(NewToken { id: &id, secret: &secret, separate, expire });
    let mut info = json!({"privsep": if separate { "1" } else { "0" }});
    for key in ["expire", "comment"] {
        if let Some(value) = call.text(key) {
            info[key] = json!(value);
        }
    }
    data(json!({"full-tokenid": id, "value": secret, "info": info}))
}

pub(super) fn acl(world: &World, call: &Call) -> Answered {
    let seen = call.caller.may("/access", "Sys.Audit") || call.caller.may("/access", "Permissions.Modify");
    let mut entries: Vec<&AclEntry> = world.accounts.acl.iter().filter(|_| seen).collect();
    entries.sort_by(|a, b| (&a.path, &a.who).cmp(&(&b.path, &b.who)));
    let row = |entry: &&AclEntry| {
        json!({"path": entry.path, "ugid": entry.who, "roleid": entry.role,
            "type": if entry.who.contains('!') { "token" } else { "user" },
            "propagate": u8::from(entry.propagate)})
    };
    list(entries.iter().map(row).collect())
}

pub(super) fn set_acl(world: &mut World, call: &Call) -> Answered {
    let path = call.arguments.require("path");
    call.caller.need(path, &["Permissions.Modify"])?;
    let roles_given = call.arguments.list("roles");
    for role in &roles_given {
        if roles::role(role, world.version).is_none() {
            return Err(Refusal::Die(format!("role '{role}' does not exist")));
        }
    }
    let propagate = call.text("propagate") != Some("0");
    for who in call.arguments.list("users").into_iter().chain(call.arguments.list("tokens")) {
        let known =
            if who.contains('!') { world.accounts.has_token(&who) } else { world.accounts.has_user(&who) };
        if !known {
            let kind = if who.contains('!') { "token" } else { "user" };
            return Err(Refusal::Die(format!("{kind} '{who}' does not exist")));
        }
        for role in &roles_given {
            let entry = AclEntry { path: path.to_owned(), who: who.clone(), role: role.clone(), propagate };
            let same = |e: &AclEntry| e.path == entry.path && e.who == entry.who && e.role == entry.role;
            world.accounts.acl.retain(|e| !same(e));
            if !call.flag("delete") {
                world.accounts.acl.push(entry);
            }
        }
    }
    done()
}
