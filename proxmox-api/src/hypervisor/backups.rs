//! The backups of a machine.

use super::storages::{Found, volumes};
use crate::{ApiError, Client};
use deploy_core::{Backup, Bytes};
use jiff::Timestamp;

/// All that can be seen.
pub(super) async fn of(client: &Client, vmid: u32) -> Result<Vec<Backup>, ApiError> {
    Ok(volumes(client, vmid, "backup").await?.found.into_iter().filter_map(backup).collect())
}

/// When a volume was made, by the storage's clock.
pub(super) fn made_at(ctime: Option<u64>) -> Option<Timestamp> {
    Timestamp::from_second(i64::try_from(ctime?).ok()?).ok()
}

fn backup(Found { node, storage, volume }: Found) -> Option<Backup> {
    Some(Backup {
        node: node.parse().ok()?,
        storage: storage.parse().ok()?,
        volume: volume.volid,
        protected: volume.protected,
        size: volume.size.map(Bytes),
        made_at: made_at(volume.ctime),
    })
}
