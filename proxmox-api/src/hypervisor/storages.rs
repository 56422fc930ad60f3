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
#[derive(Default)]
pub(super) struct Search {
    pub(super) found: Vec<Found>,
    pub(super) hindrances: Vec<Hindrance>,
}

/// A storage that could not be read.
pub(super) struct Hindrance {
    pub(super) node: String,
    /// `None` is all of the node's own.
    pub(super) storage: Option<String>,
    /// `None` is a node or a storage that PVE says is not online.
    pub(super) error: Option<ApiError>,
}

/// All volumes of a kind of content that can be seen. Shared storages are asked once, local ones on each node that is up.
/// What is down and what cannot be read hides nothing else, and is told: a termination must not wait for it for ever, nor
/// may it be taken for empty.
///
/// PVE knows volumes by the number alone. Clusters that share a storage (of a Proxmox Backup Server: a namespace) show
/// each other's, and nothing in a list tells them apart but their age.
///
/// # Errors
/// Where nothing can be seen at all: the list of nodes is refused, our credentials are, or no server can be reached.
pub(super) async fn volumes(client: &Client, vmid: u32, content: &str) -> Result<Search, ApiError> {
    let mut round = Round {
        client,
        vmid,
        content,
        search: Search::default(),
        asked: BTreeSet::new(),
        shared: BTreeMap::new(),
    };
    for node in read(|| client.nodes()).await? {
        round.node(node).await?;
    }
    // A shared storage that some node could be asked about is read, whatever stood in the way elsewhere.
    let Round { mut search, asked, shared, .. } = round;
    search
        .hindrances
        .extend(shared.into_iter().filter(|(storage, _)| !asked.contains(storage)).map(|(_, why)| why));
    Ok(search)
}

struct Round<'a> {
    client: &'a Client,
    vmid: u32,
    content: &'a str,
    search: Search,
    /// Shared storages that were read.
    asked: BTreeSet<String>,
    /// Shared storages that could not be read from some node, each once.
    shared: BTreeMap<String, Hindrance>,
}

impl Round<'_> {
    async fn node(&mut self, node: NodeInfo) -> Result<(), ApiError> {
        let is_online = node.is_online();
        let node = node.node;
        if !is_online {
            self.search.hindrances.push(Hindrance { node, storage: None, error: None });
            return Ok(());
        }
        let storages = match read(|| self.client.storages(&node)).await {
            Err(error) if is_general(&error) => return Err(error),
            Err(error) => {
                self.search.hindrances.push(Hindrance { node, storage: None, error: Some(error) });
                return Ok(());
            }
            Ok(storages) => storages,
        };
        let content = self.content;
        for storage in storages.into_iter().filter(|storage| storage.enabled && storage.holds(content)) {
            self.storage(&node, storage).await?;
        }
        Ok(())
    }

    async fn storage(&mut self, node: &str, info: StorageInfo) -> Result<(), ApiError> {
        let StorageInfo { storage, shared, active, .. } = info;
        if shared && self.is_settled(&storage) {
            return Ok(());
        }
        if !active {
            self.hinder(node, storage, shared, None);
            return Ok(());
        }
        let list = || self.client.storage_content(node, &storage, Some(self.content), Some(self.vmid));
        match read(list).await {
            Err(error) if is_general(&error) => return Err(error),
            Err(error) => self.hinder(node, storage, shared, Some(error)),
            Ok(volumes) => {
                let ours = volumes.into_iter().filter(|volume| volume.vmid == Some(self.vmid));
                let found = |volume| Found { node: node.to_owned(), storage: storage.clone(), volume };
                self.search.found.extend(ours.map(found));
                if shared {
                    self.asked.insert(storage);
                }
            }
        }
        Ok(())
    }

    /// Another node may do better, unless it was the storage that did not answer: each would hang on it.
    fn is_settled(&self, storage: &str) -> bool {
        let hangs = |hindrance: &Hindrance| {
            hindrance.error.as_ref().is_some_and(|error| error.class() == Failure::UnknownOutcome)
        };
        self.asked.contains(storage) || self.shared.get(storage).is_some_and(hangs)
    }

    fn hinder(&mut self, node: &str, storage: String, shared: bool, error: Option<ApiError>) {
        tracing::warn!(%node, %storage, vmid = self.vmid, ?error, "not looked at: the storage cannot be read");
        let hindrance = Hindrance { node: node.to_owned(), storage: Some(storage.clone()), error };
        if shared {
            self.shared.insert(storage, hindrance);
        } else {
            self.search.hindrances.push(hindrance);
        }
    }
}

/// True for what has nothing to do with the node or storage that was asked for.
fn is_general(error: &ApiError) -> bool {
    matches!(error.class(), Failure::Unauthorized | Failure::Untrusted)
        || matches!(error.cause(), Cause::Connect(_))
}
