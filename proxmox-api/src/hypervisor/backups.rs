//! The backups of a machine, on every storage of every node.

use super::meaning::read;
use crate::{ApiError, Cause, Client, Failure, NodeInfo, StorageInfo, StorageVolume};
use deploy_core::{Backup, Bytes};
use jiff::Timestamp;
use std::collections::BTreeSet;

/// All that can be seen. Shared storages are asked once, local ones on each node that is up; nodes that are down, and
/// storages that cannot be read, are left out, for a termination must not wait for them.
///
/// PVE knows backups by the number alone. Clusters that share a storage (of a Proxmox Backup Server: a namespace) show
/// each other's, and nothing tells them apart but their age.
///
/// # Errors
/// Where nothing can be seen at all: the list of nodes is refused, our credentials are, or no server can be reached.
pub(super) async fn of(client: &Client, vmid: u32) -> Result<Vec<Backup>, ApiError> {
    let mut backups = Vec::new();
    let mut asked = BTreeSet::new();
    for NodeInfo { node, .. } in read(|| client.nodes()).await?.into_iter().filter(NodeInfo::is_online) {
        let storages = match read(|| client.storages(&node)).await {
            Err(error) if is_general(&error) => return Err(error),
            Err(error) => {
                tracing::warn!(%node, vmid, %error, "no backups looked for: the node's storages cannot be read");
                continue;
            }
            Ok(storages) => storages,
        };
        for StorageInfo { storage, shared, .. } in storages.into_iter().filter(may_hold_backups) {
            if shared && asked.contains(&storage) {
                continue;
            }
            let content = || client.storage_content(&node, &storage, Some("backup"), Some(vmid));
            match read(content).await {
                Err(error) if is_general(&error) => return Err(error),
                Err(error) => {
                    tracing::warn!(%node, %storage, vmid, %error, "no backups looked for: the storage cannot be read");
                    // Another node may do better, unless it was the storage that did not answer: each would hang on it.
                    if shared && error.class() == Failure::UnknownOutcome {
                        asked.insert(storage);
                    }
                }
                Ok(volumes) => {
                    let ours = volumes.into_iter().filter(|volume| volume.vmid == Some(vmid));
                    backups.extend(ours.filter_map(|volume| backup(&node, &storage, volume)));
                    asked.insert(storage);
                }
            }
        }
    }
    Ok(backups)
}

fn may_hold_backups(storage: &StorageInfo) -> bool {
    storage.enabled && storage.active && storage.holds("backup")
}

/// True for what has nothing to do with the node or storage that was asked for.
fn is_general(error: &ApiError) -> bool {
    matches!(error.class(), Failure::Unauthorized | Failure::Untrusted)
        || matches!(error.cause(), Cause::Connect(_))
}

fn backup(node: &str, storage: &str, volume: StorageVolume) -> Option<Backup> {
    let made_at = volume.ctime.and_then(|seconds| i64::try_from(seconds).ok());
    Some(Backup {
        node: node.parse().ok()?,
        storage: storage.parse().ok()?,
        volume: volume.volid,
        protected: volume.protected,
        size: volume.size.map(Bytes),
        made_at: made_at.and_then(|seconds| Timestamp::from_second(seconds).ok()),
    })
}
