//! Resource pools.

use serde_json::{Value, json};

use super::{Answered, Call, cluster, data, done};
use crate::reply::Refusal;
use crate::world::World;

/// The members as the list of resources has them.
fn members(world: &World, pool: &str) -> Vec<Value> {
    let ids = world.pools.get(pool).map(Vec::as_slice).unwrap_or_default();
    ids.iter().filter_map(|vmid| cluster::member(world, *vmid)).collect()
}

pub(super) fn list(world: &World, call: &Call) -> Answered {
    if let Some(pool) = call.text("poolid") {
        need(world, pool)?;
        return data(json!([{"poolid": pool, "members": members(world, pool)}]));
    }
    let seen = world.pools.keys().filter(|pool| call.caller.may(&format!("/pool/{pool}"), "Pool.Audit"));
    super::list(seen.map(|pool| json!({"poolid": pool})).collect())
}

fn need(world: &World, pool: &str) -> Result<(), Refusal> {
    if world.pools.contains_key(pool) {
        return Ok(());
    }
    Err(Refusal::Die(format!("pool '{pool}' does not exist")))
}

pub(super) fn get(world: &World, call: &Call) -> Answered {
    let pool = call.arguments.require("poolid");
    need(world, pool)?;
    data(json!({"members": members(world, pool)}))
}

pub(super) fn add(world: &mut World, call: &Call) -> Answered {
    let pool = call.arguments.require("poolid");
    call.caller.need(&format!("/pool/{pool}"), &["Pool.Allocate"])?;
    if world.pools.contains_key(pool) {
        return Err(Refusal::Die(format!("create pool failed: pool '{pool}' already exists")));
    }
    world.pools.insert(pool.to_owned(), Vec::new());
    done()
}

pub(super) fn update(world: &mut World, call: &Call) -> Answered {
    let pool = call.arguments.require("poolid").to_owned();
    call.caller.need(&format!("/pool/{pool}"), &["Pool.Allocate"])?;
    let fail = |text: String| Err(Refusal::Die(format!("update pools failed: {text}")));
    if !world.pools.contains_key(&pool) {
        return fail(format!("pool '{pool}' does not exist"));
    }
    let vms: Vec<u32> = call.arguments.list("vms").iter().filter_map(|v| v.parse().ok()).collect();
    for vmid in vms {
        let current = world.pool_of(vmid).map(str::to_owned);
        match (call.flag("delete"), current) {
            (true, Some(at)) if at == pool => {}
            (true, _) => return fail(format!("VM {vmid} is not a pool member")),
            (false, Some(at)) if at == pool => return fail(format!("VM {vmid} is already a pool member")),
            (false, Some(at)) if !call.flag("allow-move") => {
                return fail(format!("VM {vmid} belongs already to pool '{at}' and 'allow-move' is not set"));
            }
            (false, _) => {}
        }
        for members in world.pools.values_mut() {
            members.retain(|member| *member != vmid);
        }
        if let Some(members) = world.pools.get_mut(&pool).filter(|_| !call.flag("delete")) {
            members.push(vmid);
        }
    }
    done()
}

pub(super) fn remove(world: &mut World, call: &Call) -> Answered {
    let pool = call.arguments.require("poolid");
    call.caller.need(&format!("/pool/{pool}"), &["Pool.Allocate"])?;
    match world.pools.get(pool) {
        None => Err(Refusal::Die(format!("delete pool failed: pool '{pool}' does not exist"))),
        Some(members) if !members.is_empty() => {
            let first = members[0];
            let text = format!("delete pool failed: pool '{pool}' is not empty (contains VM {first})");
            Err(Refusal::Die(text))
        }
        Some(_) => {
            world.pools.remove(pool);
            done()
        }
    }
}
