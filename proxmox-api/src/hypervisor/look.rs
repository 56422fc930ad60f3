//! Looking for a machine.

use super::{
    Cluster, backups,
    meaning::{obscured, read},
    read_config, read_firewall, snapshots,
};
use crate::{ApiError, Cause, Client, Failure, HaStatus, RunState, VmConfig, VmStatus, VmidState};
use deploy_core::{
    Agent, ErrorClass, HaState, Look, Machine, MachineConfig, MachineId, NodeName, Obscured, Power, PvePool,
    Sighting,
};
use std::collections::BTreeSet;

/// Looks at a machine, first where it was last seen. PVE answers for a machine only on its own node; whether it exists at
/// all is answered by `nextid`, which neither permissions nor caches falsify.
pub(super) async fn machine(cluster: &Cluster, id: &MachineId, look: Look) -> Sighting {
    let client = &cluster.client;
    let found = match read(|| on_node(client, &id.node, id.vmid.get(), look)).await {
        Ok(found) => found,
        Err(error) if matches!(error.class(), Failure::Gone | Failure::Forbidden) => {
            match locate(client, id, look, error).await {
                Ok(found) => found,
                Err(sighting) => return *sighting,
            }
        }
        Err(error) => match moved_away(client, id, look, &error).await {
            Some(found) => found,
            None => return Sighting::Unknown(obscured(&error)),
        },
    };
    let machine = Machine {
        lock: found.config.lock().map(str::to_owned),
        config: read_config::machine_config(&found.config),
        pending: found.pending,
        ..shown_nothing(found.node)
    };
    match aspects(cluster, id, machine, look).await {
        Ok(machine) => Sighting::Seen(Box::new(machine)),
        Err(obscured) => Sighting::Unknown(obscured),
    }
}

/// Looks at what was not seen yet, on the node that it was seen on; at everything anew where it is gone from there.
pub(super) async fn further(cluster: &Cluster, id: &MachineId, seen: Machine, look: Look) -> Sighting {
    let missing = look.without(seen.look);
    // What waits is shown with the configuration, by one request.
    if !missing.covers(Look::PENDING) {
        let beside = Machine {
            lock: seen.lock.clone(),
            config: seen.config.clone(),
            ..shown_nothing(seen.node.clone())
        };
        // Whatever went wrong, it may have moved or be gone: that is for the whole look to tell.
        if let Ok(further) = aspects(cluster, id, beside, missing).await {
            return Sighting::Seen(Box::new(seen.with(further)));
        }
    }
    machine(cluster, id, seen.look.and(look)).await
}

struct Found {
    node: NodeName,
    config: VmConfig,
    pending: Option<BTreeSet<String>>,
}

/// A machine's configuration on a node. Its rows of what waits show the same as the configuration itself and more, so that
/// where both are wanted one request is enough.
async fn on_node(client: &Client, node: &NodeName, vmid: u32, look: Look) -> Result<Found, ApiError> {
    let node = node.clone();
    if !look.covers(Look::PENDING) {
        let config = client.vm_config(node.as_str(), vmid).await?;
        return Ok(Found { node, config, pending: None });
    }
    let rows = client.vm_pending(node.as_str(), vmid).await?;
    let waiting = rows.iter().filter(|row| row.is_waiting()).map(|row| row.key.clone()).collect();
    Ok(Found { node, config: VmConfig::with_pending(rows), pending: Some(waiting) })
}

/// Finds a machine that is not where it was last seen. A 403 may mean that it is gone, rights and all.
async fn locate(
    client: &Client,
    id: &MachineId,
    look: Look,
    first: ApiError,
) -> Result<Found, Box<Sighting>> {
    let vmid = id.vmid.get();
    let unknown = |error: &ApiError| Box::new(Sighting::Unknown(obscured(error)));
    if read(|| client.vmid_state(vmid)).await.map_err(|error| unknown(&error))? == VmidState::Free {
        return Err(Box::new(Sighting::ProvenAbsent));
    }
    let resources = read(|| client.vm_resources()).await.map_err(|error| unknown(&error))?;
    let Some(resource) = resources.into_iter().find(|resource| resource.vmid == vmid) else {
        // It exists and we may not see it: that is no absence.
        return Err(unknown(&first));
    };
    let node: NodeName = resource.node.parse().map_err(|_| unknown(&first))?;
    if resource.kind != "qemu" {
        // A container has our number: somebody else's, whatever it is.
        return Err(Box::new(Sighting::Seen(Box::new(shown_nothing(node)))));
    }
    read(|| on_node(client, &node, vmid, look)).await.map_err(|error| match error.class() {
        // Moving at this very moment.
        Failure::Gone => Box::new(Sighting::Unknown(Obscured {
            class: ErrorClass::Busy,
            message: format!("machine {vmid} is moving between nodes"),
        })),
        _ => unknown(&error),
    })
}

/// Where a machine is whose last node does not answer: it may have been moved or recovered elsewhere. A dead node shows
/// as 595 or 596 or not at all before the time-out, depending on how it died; only where no server of the cluster could be
/// reached there is nobody to ask.
async fn moved_away(client: &Client, id: &MachineId, look: Look, error: &ApiError) -> Option<Found> {
    let is_lost = matches!(error.class(), Failure::Transient | Failure::UnknownOutcome);
    if !is_lost || matches!(error.cause(), Cause::Connect(_)) {
        return None;
    }
    let resources = client.vm_resources().await.ok()?;
    let resource = resources.into_iter().find(|resource| resource.vmid == id.vmid.get())?;
    let node: NodeName = resource.node.parse().ok()?;
    if node == id.node || resource.kind != "qemu" {
        return None;
    }
    on_node(client, &node, id.vmid.get(), look).await.ok()
}

/// A machine of which nothing is known but its node.
fn shown_nothing(node: NodeName) -> Machine {
    Machine {
        node,
        look: Look::CONFIG,
        lock: None,
        config: MachineConfig::default(),
        power: None,
        pending: None,
        firewall: None,
        agent: None,
        backups: None,
        ha: None,
        snapshots: None,
        pool: None,
    }
}

/// The rest of the look, beside the configuration.
async fn aspects(
    cluster: &Cluster,
    id: &MachineId,
    machine: Machine,
    wanted: Look,
) -> Result<Machine, Obscured> {
    let client = &cluster.client;
    let failed = |error: ApiError| obscured(&error);
    let (node, vmid) = (machine.node.as_str(), id.vmid.get());
    let status = if wanted.touches(Look::POWER.and(Look::AGENT).and(Look::HA)) {
        Some(read(|| client.vm_status(node, vmid)).await.map_err(failed)?)
    } else {
        None
    };
    let power = status.as_ref().and_then(power);
    let ha = status.map(|status| ha(status.ha));
    let firewall = if wanted.touches(Look::FIREWALL) {
        Some(read_firewall::firewall(client, node, vmid, wanted).await.map_err(failed)?)
    } else {
        None
    };
    let agent = match power {
        _ if !wanted.covers(Look::AGENT) => None,
        // Asked only where it can answer.
        Some(Power::Running) if machine.config.agent => {
            Some(cluster.probes.ask(client, &machine.node, vmid).await?)
        }
        _ => Some(Agent::Silent),
    };
    let backups = if wanted.covers(Look::BACKUPS) {
        Some(backups::of(client, vmid).await.map_err(failed)?)
    } else {
        None
    };
    let pool = if wanted.covers(Look::POOL) { Some(pool(client, vmid).await.map_err(failed)?) } else { None };
    let snapshots = if wanted.covers(Look::SNAPSHOTS) {
        Some(snapshots::of(client, node, vmid).await.map_err(failed)?)
    } else {
        None
    };
    Ok(Machine { look: wanted, power, firewall, agent, backups, ha, snapshots, pool, ..machine })
}

fn ha(status: HaStatus) -> HaState {
    if status.managed { HaState::Managed(status.state) } else { HaState::Unmanaged }
}

/// Whether it runs; `None` at the moment in which a configuration appears, when PVE does not say.
pub(super) fn power(status: &VmStatus) -> Option<Power> {
    match (status.status, status.qmpstatus.as_deref()) {
        (RunState::Stopped, _) => Some(Power::Stopped),
        (RunState::Unknown, _) => None,
        // The process of a stopped machine that is backed up, in which no guest was ever started.
        (RunState::Running, Some("prelaunch")) if status.lock.as_deref() == Some("backup") => {
            Some(Power::Stopped)
        }
        (
            RunState::Running,
            Some(
                word @ ("paused" | "io-error" | "suspended" | "guest-panicked" | "internal-error"
                | "watchdog"),
            ),
        ) => Some(Power::Suspended(word.to_owned())),
        (RunState::Running, _) => Some(Power::Running),
    }
}

async fn pool(client: &Client, vmid: u32) -> Result<Option<PvePool>, ApiError> {
    let resources = read(|| client.vm_resources()).await?;
    let ours = resources.into_iter().find(|resource| resource.vmid == vmid);
    Ok(ours.and_then(|resource| resource.pool?.parse().ok()))
}
