//! Making, changing the shape of, and removing machines.

use serde_json::json;

use super::{Answered, Call, Outcome, config_values, data, storage};
use crate::Version;
use crate::reply::Refusal;
use crate::works::{
    CloneMachine, Configure, CreateMachine, Destroy, MakeTemplate, MoveDisk, Resize, Restore,
};
use crate::world::{Drive, Machine, World, split_volid};

pub(super) fn clone(world: &World, call: &Call) -> Answered {
    let newid = call.arguments.vmid("newid");
    let pool = call.owned("pool");
    need_allocate(call, newid, pool.as_deref())?;
    need_pool(world, pool.as_deref())?;
    let template = world.machine_on(call.node(), call.vmid()).is_ok_and(Machine::is_template);
    let full = call.text("full").map_or(!template, |full| full == "1");
    let mut work = CloneMachine::new(call.node(), call.vmid(), newid, full);
    work.name = call.owned("name");
    work.description = call.owned("description");
    work.storage = call.owned("storage");
    work.format = call.owned("format");
    work.target = call.owned("target");
    work.pool = pool;
    work.limit = call.arguments.number("bwlimit");
    if let Some(name) = call.text("snapname") {
        let known = world.find_machine(call.node(), call.vmid())?.snapshots.iter().any(|s| s.name == name);
        if !known {
            return Err(Refusal::Die(format!("snapshot '{name}' does not exist")));
        }
    }
    work.check(world)?;
    let source = world.find_machine(call.node(), call.vmid())?;
    for (_, drive) in source.drives() {
        if let Some(volid) = drive.volume() {
            let storage = work.storage.as_deref().unwrap_or(split_volid(volid).0);
            call.caller.need(&format!("/storage/{storage}"), &["Datastore.AllocateSpace"])?;
        }
    }
    for (_, value) in source.config.current.iter().filter(|(key, _)| key.starts_with("net")) {
        config_values::need_bridge(world, call, value)?;
    }
    call.task("qmclone", work)
}

/// The right to a number, or to the pool that it joins. Where either would do, none is named.
fn need_allocate(call: &Call, vmid: u32, pool: Option<&str>) -> Result<(), Refusal> {
    let may = |path: &str| call.caller.may(path, "VM.Allocate");
    if may(&format!("/vms/{vmid}")) || pool.is_some_and(|pool| may(&format!("/pool/{pool}"))) {
        return Ok(());
    }
    Err(Refusal::Forbidden("Permission check failed".to_owned()))
}

/// A pool that does not exist counts as a missing right.
fn need_pool(world: &World, pool: Option<&str>) -> Result<(), Refusal> {
    match pool {
        Some(pool) if !world.pools.contains_key(pool) => {
            Err(Refusal::Forbidden(format!("Permission check failed (pool '{pool}' does not exist)")))
        }
        _ => Ok(()),
    }
}

pub(super) fn create(world: &mut World, call: &Call) -> Answered {
    let vmid = call.vmid();
    let pool = call.owned("pool");
    world.need_quorum()?;
    need_pool(world, pool.as_deref())?;
    if let Some(archive) = call.text("archive") {
        return restore(world, call, archive);
    }
    need_allocate(call, vmid, pool.as_deref())?;
    if let Some(machine) = world.machines.get(&vmid) {
        let node = &machine.node;
        let text = format!("unable to create VM {vmid} - VM {vmid} already exists on node '{node}'");
        return Err(Refusal::Die(text));
    }
    let mut machine = Machine::new(vmid, call.node());
    machine.config.set("lock", "create");
    let prepared = config_values::prepare(world, call, &machine)?;
    world.machines.insert(vmid, machine);
    let base = vec![
        ("smbios1".to_owned(), format!("uuid={}", world.random.uuid())),
        ("vmgenid".to_owned(), world.random.uuid()),
        ("meta".to_owned(), format!("creation-qemu=10.0.2,ctime={}", world.unix())),
    ];
    let mut configure = Configure::new(call.node(), vmid);
    configure.set = prepared.set;
    configure.refused = prepared.refused;
    configure.sorted = true;
    let mut work = CreateMachine::new(configure, base);
    work.pool = pool;
    work.start = call.flag("start");
    work.boot = call.text("boot").is_none();
    call.task("qmcreate", work)
}

/// Restores a backup. Whoever may back a machine up may also restore over it.
fn restore(world: &World, call: &Call, volid: &str) -> Answered {
    let (vmid, pool, force) = (call.vmid(), call.owned("pool"), call.flag("force"));
    if let Some(storage) = call.text("storage") {
        call.caller.need(&format!("/storage/{storage}"), &["Datastore.AllocateSpace"])?;
    }
    let there = world.machine_on(call.node(), vmid).is_ok();
    if !(force && there && call.caller.may(&format!("/vms/{vmid}"), "VM.Backup")) {
        need_allocate(call, vmid, pool.as_deref())?;
    }
    if let Some((slot, _)) = config_values::given(call).find(|(name, _)| crate::world::is_drive(name)) {
        return Err(Refusal::parameter(slot, "option conflicts with option 'archive'"));
    }
    storage::need_backup(call, volid)?;
    world.online_storage(split_volid(volid).0)?;
    let volume = world.volume(call.node(), volid).ok_or_else(|| format!("no such volume '{volid}'"))?;
    let Some(archive) = volume.archive.as_deref().cloned() else {
        return Err(Refusal::Die(format!("unable to read the configuration of '{volid}'")));
    };
    for disk in &archive.disks {
        let storage = call.text("storage").unwrap_or(&disk.storage);
        call.caller.need(&format!("/storage/{storage}"), &["Datastore.AllocateSpace"])?;
    }
    for (_, value) in archive.options.iter().filter(|(key, _)| key.starts_with("net")) {
        config_values::need_bridge(world, call, value)?;
    }
    let mut work = Restore::new(call.node(), vmid, archive);
    work.force = force;
    work.unique = call.flag("unique");
    work.storage = call.owned("storage");
    work.pool = pool;
    work.start = call.flag("start");
    Ok(Outcome::Entered {
        kind: "qmrestore",
        id: vmid.to_string(),
        node: call.node().to_owned(),
        work: Box::new(work),
        patience: None,
    })
}

pub(super) fn destroy(world: &World, call: &Call) -> Answered {
    call.need_root_for(&["skiplock"])?;
    let mut work = Destroy::new(call.node(), call.vmid());
    work.purge = call.flag("purge");
    work.unreferenced = call.flag("destroy-unreferenced-disks");
    work.skip_lock = call.flag("skiplock");
    work.check(world)?;
    call.task("qmdestroy", work)
}

pub(super) fn resize(world: &World, call: &Call) -> Answered {
    call.need_root_for(&["skiplock"])?;
    let (slot, size) = (call.arguments.require("disk"), call.arguments.require("size"));
    let work = Resize::new(call.node(), call.vmid(), slot, size, call.text("digest"));
    // The oldest line answers when it is done.
    if world.version < Version::V8_4 {
        return Ok(Outcome::Wait(call.node().to_owned(), Box::new(work)));
    }
    call.task("resize", work)
}

pub(super) fn template(world: &World, call: &Call) -> Answered {
    let machine = world.machine_on(call.node(), call.vmid())?;
    machine.config.need_unlocked()?;
    let obstacle = if machine.is_template() {
        "you can't convert a template to a template"
    } else if machine.running.is_some() {
        "you can't convert a VM to template if VM is running"
    } else if !machine.snapshots.is_empty() {
        "unable to create template, because VM contains snapshots"
    } else {
        return call.task("qmtemplate", MakeTemplate::new(call.node(), call.vmid()));
    };
    Err(Refusal::Die(obstacle.to_owned()))
}

pub(super) fn feature(world: &World, call: &Call) -> Answered {
    let machine = world.machine_on(call.node(), call.vmid())?;
    let linked_only = call.text("feature") == Some("clone");
    let has = !linked_only || machine.is_template();
    let shared = machine.volumes().iter().all(|v| world.storage(split_volid(v).0).is_ok_and(|s| s.shared));
    let nodes: Vec<&str> =
        world.nodes.keys().map(String::as_str).filter(|n| shared || *n == call.node()).collect();
    data(json!({"hasFeature": u8::from(has), "nodes": nodes}))
}

pub(super) fn move_disk(world: &World, call: &Call) -> Answered {
    let (slot, vmid) = (call.arguments.require("disk"), call.vmid());
    let machine = world.machine_on(call.node(), vmid)?;
    machine.config.need_unlocked()?;
    machine.config.need_digest(call.text("digest"))?;
    let drive = machine.config.get(slot).and_then(|text| Drive::parse(slot, text));
    let drive = drive.ok_or_else(|| format!("disk '{slot}' does not exist"))?;
    let old = drive.volume().ok_or_else(|| format!("disk '{slot}' has no associated volume"))?;
    let Some(storage) = call.owned("storage") else {
        return Err(Refusal::parameter("storage", "property is missing and it is not optional"));
    };
    world.image_storage(&storage)?;
    call.caller.need(&format!("/storage/{storage}"), &["Datastore.AllocateSpace"])?;
    if split_volid(old).0 == storage && call.text("format").is_none() {
        return Err(Refusal::Die("you can't move to the same storage with same format".to_owned()));
    }
    let work = MoveDisk {
        node: call.node().to_owned(),
        vmid,
        slot: slot.to_owned(),
        storage,
        format: call.owned("format"),
        delete: call.flag("delete"),
        digest: call.owned("digest"),
        begun: false,
    };
    Ok(Outcome::Task {
        kind: "qmmove",
        id: vmid.to_string(),
        node: call.node().to_owned(),
        work: Box::new(work),
        patience: None,
    })
}
