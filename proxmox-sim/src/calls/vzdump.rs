//! `vzdump`: a backup of a machine on one node, and what is in one.

use serde_json::json;

use super::{Answered, Call, Outcome, data, storage::need_backup};
use crate::reply::Refusal;
use crate::works::{Backup, BackupMode};
use crate::world::{World, split_volid};

pub(super) fn backup(world: &World, call: &Call) -> Answered {
    let vmids: Vec<u32> = call.arguments.list("vmid").iter().filter_map(|vmid| vmid.parse().ok()).collect();
    let [vmid] = vmids[..] else {
        return Err(Refusal::parameter("vmid", "the simulator backs up one machine at a time"));
    };
    call.need_root_for(&["dumpdir", "script", "tmpdir"])?;
    if call.text("prune-backups").is_some() {
        let storage = call.text("storage").unwrap_or("local");
        call.caller.need(&format!("/storage/{storage}"), &["Datastore.Allocate"])?;
    }
    call.caller.need(&format!("/vms/{vmid}"), &["VM.Backup"])?;
    let storage = call.text("storage").unwrap_or("local");
    call.caller.need(&format!("/storage/{storage}"), &["Datastore.AllocateSpace"])?;
    if !world.online_storage(storage)?.content.iter().any(|content| content == "backup") {
        return Err(Refusal::Die(format!("storage '{storage}' does not support backups")));
    }
    let mode = match call.text("mode") {
        Some("stop") => BackupMode::Stop,
        Some("suspend") => BackupMode::Suspend,
        _ => BackupMode::Snapshot,
    };
    let mut work = Backup::new(call.node(), vmid, storage, mode);
    work.protected = call.flag("protected");
    work.notes = call.owned("notes-template");
    Ok(Outcome::Task {
        kind: "vzdump",
        id: vmid.to_string(),
        node: call.node().to_owned(),
        work: Box::new(work),
        patience: None,
    })
}

/// The configuration in a backup. One that was laid down without any is an archive that cannot be read.
pub(super) fn extract_config(world: &World, call: &Call) -> Answered {
    let volid = call.arguments.require("volume");
    need_backup(call, volid)?;
    world.online_storage(split_volid(volid).0)?;
    let volume = world.volume(call.node(), volid).ok_or_else(|| format!("no such volume '{volid}'"))?;
    match &volume.archive {
        Some(archive) => data(json!(archive.text())),
        None => Err(Refusal::Die(format!("unable to read the configuration of '{volid}'"))),
    }
}
