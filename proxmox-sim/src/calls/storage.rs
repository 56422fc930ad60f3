//! Storages and their content.

use serde_json::{Value, json};

use super::{Answered, Call, Outcome, data, done, list};
use crate::reply::Refusal;
use crate::works::DeleteVolume;
use crate::world::{Place, Storage, Volume, World, parse_size, split_volid};

pub(super) fn definitions(world: &World) -> Answered {
    let rows = world.storages.values().map(|storage| {
        json!({"storage": storage.name, "type": kind(storage), "shared": u8::from(storage.shared),
            "content": storage.content.join(","), "digest": "0".repeat(40)})
    });
    list(rows.collect())
}

pub(super) fn kind(storage: &Storage) -> &'static str {
    match storage.kind {
        crate::config::StorageKind::Dir => "dir",
        crate::config::StorageKind::LvmThin => "lvmthin",
    }
}

#[allow(clippy::cast_precision_loss, reason = "a share needs no more digits")]
fn row(storage: &Storage, node: &str) -> Value {
    let used = storage.used(node);
    if storage.offline {
        return json!({
            "storage": storage.name, "type": kind(storage), "shared": u8::from(storage.shared),
            "content": storage.content.join(","), "active": 0, "enabled": 1, "total": 0, "used": 0, "avail": 0,
        });
    }
    json!({
        "storage": storage.name, "type": kind(storage), "shared": u8::from(storage.shared),
        "content": storage.content.join(","), "active": 1, "enabled": 1,
        "total": storage.total, "used": used, "avail": storage.total.saturating_sub(used),
        "used_fraction": used as f64 / storage.total.max(1) as f64,
    })
}

pub(super) fn all(world: &World, call: &Call) -> Answered {
    let wanted = call.arguments.list("content");
    let rows = world.storages.values().filter(|storage| {
        let path = format!("/storage/{}", storage.name);
        (call.caller.may(&path, "Datastore.Audit") || call.caller.may(&path, "Datastore.AllocateSpace"))
            && call.text("storage").is_none_or(|name| storage.name == name)
            && (wanted.is_empty() || storage.content.iter().any(|c| wanted.contains(c)))
    });
    list(rows.map(|storage| row(storage, call.node())).collect())
}

pub(super) fn status(world: &World, call: &Call) -> Answered {
    let unknown = |_| Refusal::parameter("storage", "No such storage.");
    let storage = world.storage(call.arguments.require("storage")).map_err(unknown)?;
    let mut row = row(storage, call.node());
    if let Value::Object(map) = &mut row {
        map.remove("storage");
        map.remove("used_fraction");
    }
    data(row)
}

fn entry(storage: &Storage, name: &str, volume: &Volume) -> Value {
    let parent = volume.parent.as_ref().map(|parent| format!("../{parent}"));
    let mut entry = json!({
        "volid": format!("{}:{name}", storage.name), "content": volume.content, "format": volume.format,
        "size": volume.size, "ctime": volume.created, "vmid": volume.owner,
    });
    if volume.content == "images" {
        entry["parent"] = json!(parent);
        entry["used"] = json!(volume.used());
    } else if volume.owner == 0 {
        if let Value::Object(map) = &mut entry {
            map.remove("vmid");
        }
    } else {
        entry["subtype"] = json!("qemu");
        if volume.protected {
            entry["protected"] = json!(1);
        }
        // Of several lines the first.
        if let Some(notes) = volume.notes.as_ref().and_then(|notes| notes.lines().next()) {
            entry["notes"] = json!(notes);
        }
    }
    entry
}

pub(super) fn content(world: &World, call: &Call) -> Answered {
    let storage = world.online_storage(call.arguments.require("storage"))?;
    let place = storage.place(call.node());
    let (kind, vmid) = (call.text("content"), call.arguments.number("vmid"));
    let base = format!("/storage/{}", storage.name);
    let shown = |((at, _), volume): &(&Place, &Volume)| {
        let owner = format!("/vms/{}", volume.owner);
        // What the caller may not see is left out without a word.
        let seen = if volume.content == "backup" {
            call.caller.may(&base, "Datastore.AllocateSpace") && call.caller.may(&owner, "VM.Backup")
        } else if volume.owner == 0 {
            true
        } else {
            call.caller.may(&base, "Datastore.Audit") && call.caller.may(&owner, "VM.Config.Disk")
        };
        *at == place
            && (seen || call.caller.may(&base, "Datastore.Allocate"))
            && kind.is_none_or(|kind| volume.content == kind)
    };
    let row = |((_, name), volume): (&Place, &Volume)| entry(storage, name, volume);
    match vmid {
        None => list(storage.volumes.iter().filter(shown).map(row).collect()),
        Some(vmid) => {
            let owner = u32::try_from(vmid).unwrap_or_default();
            list(storage.volumes.of(owner).filter(shown).map(row).collect())
        }
    }
}

/// The volume id named in the path, with or without the storage in front.
fn volid(call: &Call) -> String {
    let (storage, volume) = (call.arguments.require("storage"), call.arguments.require("volume"));
    if volume.starts_with(&format!("{storage}:")) { volume.to_owned() } else { format!("{storage}:{volume}") }
}

pub(super) fn volume(world: &World, call: &Call) -> Answered {
    let volid = volid(call);
    let volume = world.volume(call.node(), &volid).ok_or_else(|| format!("no such volume '{volid}'"))?;
    data(
        json!({"format": volume.format, "size": volume.size, "used": volume.used(), "path": format!("/{volid}"),
        "protected": u8::from(volume.protected)}),
    )
}

pub(super) fn annotate(world: &mut World, call: &Call) -> Answered {
    let volid = volid(call);
    let (protected, notes) = (call.text("protected"), call.owned("notes"));
    let known = world.change_volume(call.node(), &volid, |volume| {
        volume.notes = notes.or(volume.notes.take());
        volume.protected = protected.map_or(volume.protected, |value| value == "1");
    });
    if !known {
        return Err(Refusal::Die(format!("no such volume '{volid}'")));
    }
    done()
}

pub(super) fn allocate(world: &mut World, call: &Call) -> Answered {
    let text = call.arguments.require("size");
    let size = if text.ends_with(|c: char| c.is_ascii_digit()) {
        parse_size(&format!("{text}K"))
    } else {
        parse_size(text)
    };
    let storage = call.arguments.require("storage");
    let filename = call.arguments.require("filename");
    let owner = call.vmid();
    let format =
        call.text("format").or_else(|| filename.rsplit_once('.').map(|(_, format)| format)).unwrap_or("raw");
    let file = world.file_of(&format!("{storage}:{owner}/{filename}"));
    let volume = Volume::image(owner, size.unwrap_or_default(), format, world.unix());
    let target = world.storage_mut(storage)?;
    let name = match target.kind {
        crate::config::StorageKind::Dir => format!("{owner}/{filename}"),
        crate::config::StorageKind::LvmThin => filename.to_owned(),
    };
    let place = target.place(call.node());
    let volid = format!("{storage}:{name}");
    if target.volumes.contains(&(place.clone(), name.clone())) {
        return Err(Refusal::Die(format!("disk image '{}' already exists", file.unwrap_or(volid))));
    }
    target.volumes.insert((place, name), volume);
    data(json!(volid))
}

pub(super) fn delete(world: &World, call: &Call) -> Answered {
    let volid = volid(call);
    let storage = call.arguments.require("storage");
    world.storage(storage)?;
    let name = volid.split_once(':').map_or("", |(_, name)| name);
    let owner = owner_of(name);
    let base = format!("/storage/{storage}");
    if name.starts_with("backup/") {
        need_backup(call, &volid)?;
    } else {
        call.caller.need(&base, &["Datastore.Allocate"])?;
    }
    let id = owner.map_or_else(|| storage.to_owned(), |owner| format!("{owner}@{storage}"));
    Ok(Outcome::Task {
        kind: "imgdel",
        id,
        node: call.node().to_owned(),
        work: Box::new(DeleteVolume::new(call.node(), &volid)),
        patience: call.arguments.number("delay").map(std::time::Duration::from_secs),
    })
}

/// The rights to a backup, whether or not the machine is still there.
pub(super) fn need_backup(call: &Call, volid: &str) -> Result<(), Refusal> {
    let (storage, name) = split_volid(volid);
    call.caller.need(&format!("/storage/{storage}"), &["Datastore.AllocateSpace"])?;
    call.caller.need(&format!("/vms/{}", owner_of(name).unwrap_or(0)), &["VM.Backup"])
}

/// The machine that a volume's name says it belongs to.
fn owner_of(name: &str) -> Option<u32> {
    let file = name.rsplit('/').next()?;
    let rest = ["vzdump-qemu-", "vm-", "base-"].iter().find_map(|prefix| file.strip_prefix(prefix))?;
    rest.split('-').next()?.parse().ok()
}
