//! `migrate`.

use serde_json::json;

use super::{Answered, Call, data};
use crate::Version;
use crate::reply::Refusal;
use crate::works::{HaWish, Migrate};
use crate::world::{World, split_volid};

pub(super) fn preconditions(world: &World, call: &Call) -> Answered {
    let machine = world.machine_on(call.node(), call.vmid())?;
    machine.config.need_unlocked()?;
    let disks = machine.drives().filter_map(|(slot, drive)| {
        let volid = drive.volume()?;
        let storage = world.storage(split_volid(volid).0).ok().filter(|storage| !storage.shared)?;
        let mut row = json!({
            "drivename": slot, "volid": volid, "size": world.volume(call.node(), volid).map_or(0, |v| v.size),
            "cdrom": u8::from(drive.is_cdrom()),
            "is_attached": 1, "is_unused": 0, "is_vmstate": 0, "is_tpmstate": 0, "replicate": 1,
            "shared": u8::from(storage.shared),
        });
        if world.version == Version::V9_2 {
            row["is_cloudinit"] = json!(u8::from(drive.is_cloud_init()));
        }
        Some(row)
    });
    let others: Vec<&String> = world.nodes.keys().filter(|name| *name != call.node()).collect();
    let not_allowed: serde_json::Map<_, _> = others.iter().map(|name| ((*name).clone(), json!({}))).collect();
    let mut row = json!({
        "running": u8::from(machine.running.is_some()), "allowed_nodes": others, "not_allowed_nodes": not_allowed,
        "local_disks": disks.collect::<Vec<_>>(), "local_resources": [], "mapped-resources": [],
        "mapped-resource-info": {},
    });
    if world.version == Version::V9_2 {
        row["has-dbus-vmstate"] = json!(1);
    }
    data(row)
}

pub(super) fn migrate(world: &World, call: &Call) -> Answered {
    call.need_root_for(&["force", "migration_type", "migration_network"])?;
    let target = call.arguments.require("target");
    if target == call.node() {
        return Err(Refusal::parameter("target", "target is local node."));
    }
    world.need_quorum()?;
    let machine = world.machine_on(call.node(), call.vmid())?;
    world.node(target)?;
    machine.config.need_unlocked()?;
    if machine.running.is_some() && !call.flag("online") {
        return Err(Refusal::Die("can't migrate running VM without --online".to_owned()));
    }
    let mut work = Migrate::new(call.node(), call.vmid(), target);
    work.with_local_disks = call.flag("with-local-disks");
    if let Some(storage) = call.text("targetstorage").filter(|text| *text != "1") {
        let name = storage.rsplit(':').next().unwrap_or(storage);
        world.storage(name)?;
        call.caller.need(&format!("/storage/{name}"), &["Datastore.AllocateSpace"])?;
        work.target_storage = Some(name.to_owned());
    }
    let kind = if world.ha.contains_key(&call.vmid()) { "hamigrate" } else { "qmigrate" };
    if kind == "hamigrate" && !world.ha_manager {
        let whereto = format!(" to node {target}");
        return call.task(kind, HaWish { vmid: call.vmid(), what: "migration", state: None, whereto });
    }
    call.task(kind, work)
}
