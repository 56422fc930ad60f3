//! The snapshots of a machine.

use super::{backups::made_at, meaning::read};
use crate::{ApiError, Client};
use deploy_core::{Snapshot, SnapshotName};

/// All of them, oldest first as far as they say when they were taken. PVE allows no name that is none here.
pub(super) async fn of(client: &Client, node: &str, vmid: u32) -> Result<Vec<Snapshot>, ApiError> {
    let list = read(|| client.snapshots(node, vmid)).await?;
    let mut snapshots: Vec<Snapshot> = list.into_iter().filter_map(snapshot).collect();
    snapshots.sort_by_key(|snapshot| snapshot.taken_at);
    Ok(snapshots)
}

fn snapshot(shown: crate::Snapshot) -> Option<Snapshot> {
    Some(Snapshot {
        name: shown.name.parse().ok()?,
        description: shown.description.trim_end_matches('\n').to_owned(),
        taken_at: made_at(shown.snaptime),
        parent: shown.parent.and_then(|name| name.parse::<SnapshotName>().ok()),
        memory: shown.vmstate,
        incomplete: shown.snapstate,
    })
}
