//! Volumes that carry a machine's number and that nothing names.

use super::{
    backups::made_at,
    meaning::read,
    storages::{Found, Search, volumes},
};
use crate::{ApiError, Client, Failure, VmConfig, VmidState};
use deploy_core::{Bytes, Leftover, MachineId};
use std::collections::BTreeSet;

/// The volumes of the number that the machine's configuration does not name. A machine with snapshots may have volumes that
/// only a snapshot names: then none is told. The storages are read first, so that a volume that is plugged in meanwhile is
/// named by the configuration that is read after.
pub(super) async fn of(client: &Client, id: &MachineId) -> Result<Vec<Leftover>, ApiError> {
    let vmid = id.vmid.get();
    let Search { found, hindrances } = volumes(client, vmid, "images").await?;
    // As before any of them was told: a node or a storage that is down is none.
    let hindrance = hindrances.into_iter().find_map(|hindrance| hindrance.error);
    if found.is_empty() {
        return complete(Vec::new(), hindrance);
    }
    let config = match read(|| client.vm_config(id.node.as_str(), vmid)).await {
        Ok(config) => Some(config),
        Err(error) if matches!(error.class(), Failure::Gone | Failure::Forbidden) => {
            match read(|| client.vmid_state(vmid)).await? {
                VmidState::Free => None,
                VmidState::Taken => return Err(error),
            }
        }
        Err(error) => return Err(error),
    };
    if config.as_ref().is_some_and(|config| config.get("parent").is_some()) {
        return Ok(Vec::new());
    }
    // What waits for the next start is in the configuration as it is read; what is still in force may not be.
    let in_force = match &config {
        Some(_) => Some(read(|| client.vm_config_in_force(id.node.as_str(), vmid)).await?),
        None => None,
    };
    let volids = config.iter().chain(&in_force).flat_map(VmConfig::volids);
    let named: BTreeSet<String> = volids.map(|volid| bare(&volid)).collect();
    let is_named = |found: &Found| named.contains(&bare(&found.volume.volid));
    complete(found.into_iter().filter(|found| !is_named(found)).filter_map(leftover).collect(), hindrance)
}

/// Nothing is left only where everybody could be asked; what was found is told whoever could not.
fn complete(found: Vec<Leftover>, hindrance: Option<ApiError>) -> Result<Vec<Leftover>, ApiError> {
    match hindrance.filter(|_| found.is_empty()) {
        Some(error) => Err(error),
        None => Ok(found),
    }
}

/// Storage and name, without the base that some storages put in front of a linked clone's name, in some lists.
fn bare(volid: &str) -> String {
    match (volid.split_once(':'), volid.rsplit_once('/')) {
        (Some((storage, _)), Some((_, name))) => format!("{storage}:{name}"),
        _ => volid.to_owned(),
    }
}

fn leftover(Found { node, volume, .. }: Found) -> Option<Leftover> {
    Some(Leftover {
        node: node.parse().ok()?,
        volume: volume.volid,
        size: volume.size.map(Bytes),
        made_at: made_at(volume.ctime),
    })
}
