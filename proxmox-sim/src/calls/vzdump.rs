//! `vzdump`: a backup of machines on one node.

use super::{Answered, Call, Outcome};
use crate::reply::Refusal;
use crate::works::Backup;
use crate::world::World;

pub(super) fn backup(world: &World, call: &Call) -> Answered {
    let vmids: Vec<u32> = call.arguments.list("vmid").iter().filter_map(|vmid| vmid.parse().ok()).collect();
    let [vmid] = vmids[..] else {
        return Err(Refusal::parameter("vmid", "the simulator backs up one machine at a time"));
    };
    call.caller.need(&format!("/vms/{vmid}"), &["VM.Backup"])?;
    let storage = call.text("storage").unwrap_or("local");
    call.caller.need(&format!("/storage/{storage}"), &["Datastore.AllocateSpace"])?;
    if !world.storage(storage)?.content.iter().any(|content| content == "backup") {
        return Err(Refusal::Die(format!("storage '{storage}' does not support backups")));
    }
    Ok(Outcome::Task {
        kind: "vzdump",
        id: vmid.to_string(),
        node: call.node().to_owned(),
        work: Box::new(Backup::new(call.node(), vmid, storage, call.flag("protected"))),
        patience: None,
    })
}
