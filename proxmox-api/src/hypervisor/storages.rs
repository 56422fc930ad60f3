//! The volumes of a number, on every storage of every node.

use super::meaning::read;
use crate::{ApiError, Cause, Client, Failure, NodeInfo, StorageInfo, StorageVolume};
use std::collections::{BTreeMap, BTreeSet};

/// A volume, and the node to ask for it.
pub(super) struct Found {
    pub(super) node: String,
    pub(super) storage: String,
    pub(super) volume: StorageVolume,
}

/// What was found, and why not everything was looked at, if so.
pub(super) struct Search {
    pub(super) found: Vec<Found>,
    pub(super) hindrance: Option<ApiError>,
}

/// All volumes of a kind of content that can be seen. Shared storages are asked once, local ones on each node that is up;
/// nodes that are down, and storages that cannot be read, are left out, for a termination must not wait for them.
///
/// PVE knows volumes by the number alone. Clusters that share a storage (of a Proxmox Backup Server: a namespace) show
/// each other's, and nothing tells them apart but their age.
///
/// # Errors
/// Where nothing can be seen at all: the list of nodes is refused, our credentials are, or no server can be reached.
pub(super) async fn volumes(client: &Client, vmid: u32, content: &str) -> Result<Search, ApiError> {
    let (mut found, mut hindrances) = (Vec::new(), BTreeMap::new());
    let mut asked = BTreeSet::new();
    for NodeInfo { node, .. } in read(|| client.nodes()).await?.into_iter().filter(NodeInfo::is_online) {
        let storages = match read(|| client.storages(&node)).await {
            Err(error) if is_general(&error) => return Err(error),
            Err(error) => {
                tracing::warn!(%node, vmid, %error, "not looked at: the node's storages cannot be read");
                hindrances.insert((node.clone(), String::new()), error);
                continue;
            }
            Ok(storages) => storages,
        };
        for StorageInfo { storage, shared, .. } in
            storages.into_iter().filter(|storage| may_hold(storage, content))
        {
            if shared && asked.contains(&storage) {
                continue;
            }
            // A shared storage is one and the same wherever it is asked for.
            let place = (if shared { String::new() } else { node.clone() }, storage.clone());
            let list = || client.storage_content(&node, &storage, Some(content), Some(vmid));
            match read(list).await {
                Err(error) if is_general(&error) => return Err(error),
                Err(error) => {
                    tracing::warn!(%node, %storage, vmid, %error, "not looked at: the storage cannot be read");
                    // Another node may do better, unless it was the storage that did not answer: each would hang on it.
                    if shared && error.class() == Failure::UnknownOutcome {
                        asked.insert(storage.clone());
                    }
                    hindrances.insert(place, error);
                }
                Ok(volumes) => {
                    hindrances.remove(&place);
                    let ours = volumes.into_iter().filter(|volume| volume.vmid == Some(vmid));
                    found.extend(ours.map(|volume| Found {
                        node: node.clone(),
                        storage: storage.clone(),
                        volume,
                    }));
                    asked.insert(storage);
                }
            }
        }
    }
    Ok(Search { found, hindrance: hindrances.into_values().next() })
}

fn may_hold(storage: &StorageInfo, content: &str) -> bool {
    storage.enabled && storage.active && storage.holds(content)
}

/// True for what has nothing to do with the node or storage that was asked for.
fn is_general(error: &ApiError) -> bool {
    matches!(error.class(), Failure::Unauthorized | Failure::Untrusted)
        || matches!(error.cause(), Cause::Connect(_))
}
