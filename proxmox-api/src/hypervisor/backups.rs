//! The backups of a machine, on every storage of every node.

use super::meaning::read;
use crate::{ApiError, Client};
use deploy_core::{Backup, Bytes};
use std::collections::BTreeSet;

/// All that can be seen. Shared storages are asked once, local ones on each node that is up; nodes that are down are left
/// out, for a termination must not wait for them.
pub(super) async fn of(client: &Client, vmid: u32) -> Result<Vec<Backup>, ApiError> {
    let mut backups = Vec::new();
    let mut asked = BTreeSet::new();
    for node in read(|| client.nodes()).await?.into_iter().filter(crate::NodeInfo::is_online) {
        for storage in read(|| client.storages(&node.node)).await? {
            let usable = storage.enabled && storage.active && storage.holds("backup");
            if !usable || (storage.shared && !asked.insert(storage.storage.clone())) {
                continue;
            }
            let volumes =
                read(|| client.storage_content(&node.node, &storage.storage, Some("backup"), Some(vmid)))
                    .await?;
            backups.extend(volumes.into_iter().filter(|volume| volume.vmid == Some(vmid)).filter_map(
                |volume| {
                    Some(Backup {
                        node: node.node.parse().ok()?,
                        storage: storage.storage.parse().ok()?,
                        volume: volume.volid,
                        protected: volume.protected,
                        size: volume.size.map(Bytes),
                    })
                },
            ));
        }
    }
    Ok(backups)
}
