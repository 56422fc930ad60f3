//! Looking for a machine.

use super::{
    Cluster, backups,
    meaning::{obscured, read},
    read_config, read_firewall,
};
use crate::{ApiError, Cause, Client, Failure, RunState, VmConfig, VmStatus, VmidState};
use deploy_core::{
    Agent, ErrorClass, Look, Machine, MachineConfig, MachineId, NodeName, Obscured, Power, PvePool, Sighting,
};

/// Looks at a machine, first where it was last seen. PVE answers for a machine only on its own node; whether it exists at
/// all is answered by `nextid`, which neither permissions nor caches falsify.
pub(super) async fn machine(cluster: &Cluster, id: &MachineId, look: Look) -> Sighting {
    let client = &cluster.client;
    let vmid = id.vmid.get();
    let found = match read(|| client.vm_config(id.node.as_str(), vmid)).await {
        Ok(config) => Found { node: id.node.clone(), config },
        Err(error) if matches!(error.class(), Failure::Gone | Failure::Forbidden) => {
            match locate(client, id, error).await {
                Ok(found) => found,
                Err(sighting) => return *sighting,
            }
        }
        Err(error) => match moved_away(client, id, &error).await {
            Some(found) => found,
            None => return Sighting::Unknown(obscured(&error)),
        },
    };
    match aspects(cluster, id, found, look).await {
        Ok(machine) => Sighting::Seen(Box::new(machine)),
        Err(obscured) => Sighting::Unknown(obscured),
    }
}

struct Found {
    node: NodeName,
    config: VmConfig,
}

/// Finds a machine that is not where it was last seen. A 403 may mean that it is gone, rights and all.
async fn locate(client: &Client, id: &MachineId, first: ApiError) -> Result<Found, Box<Sighting>> {
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
        return Err(Box::new(Sighting::Seen(Box::new(stranger(node)))));
    }
    let config =
        read(|| client.vm_config(node.as_str(), vmid)).await.map_err(|error| match error.class() {
            // Moving at this very moment.
            Failure::Gone => Box::new(Sighting::Unknown(Obscured {
                class: ErrorClass::Busy,
                message: format!("machine {vmid} is moving between nodes"),
            })),
            _ => unknown(&error),
        })?;
    Ok(Found { node, config })
}

/// Where a machine is whose last node does not answer: it may have been moved or recovered elsewhere. A dead node shows
/// as 595 or 596 or not at all before the time-out, depending on how it died; only where no server of the cluster could be
/// reached there is nobody to ask.
async fn moved_away(client: &Client, id: &MachineId, error: &ApiError) -> Option<Found> {
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
    let config = client.vm_config(node.as_str(), id.vmid.get()).await.ok()?;
    Some(Found { node, config })
}

fn stranger(node: NodeName) -> Machine {
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
        pool: None,
    }
}

async fn aspects(cluster: &Cluster, id: &MachineId, found: Found, wanted: Look) -> Result<Machine, Obscured> {
    let client = &cluster.client;
    let failed = |error: ApiError| obscured(&error);
    let (node, vmid) = (found.node.as_str(), id.vmid.get());
    let config = read_config::machine_config(&found.config);
    let lock = found.config.lock().map(str::to_owned);
    let power = if wanted.covers(Look::POWER) || wanted.covers(Look::AGENT) {
        power(&read(|| client.vm_status(node, vmid)).await.map_err(failed)?)
    } else {
        None
    };
    let pending = if wanted.covers(Look::PENDING) {
        let entries = read(|| client.vm_pending(node, vmid)).await.map_err(failed)?;
        Some(entries.into_iter().filter(crate::PendingEntry::is_waiting).map(|entry| entry.key).collect())
    } else {
        None
    };
    let firewall = if wanted.covers(Look::FIREWALL) {
        Some(read_firewall::firewall(client, node, vmid).await.map_err(failed)?)
    } else {
        None
    };
    let agent = match power {
        _ if !wanted.covers(Look::AGENT) => None,
        // Asked only where it can answer.
        Some(Power::Running) if config.agent => Some(cluster.probes.ask(client, &found.node, vmid).await?),
        _ => Some(Agent::Silent),
    };
    let backups = if wanted.covers(Look::BACKUPS) {
        Some(backups::of(client, vmid).await.map_err(failed)?)
    } else {
        None
    };
    let pool = if wanted.covers(Look::POOL) { Some(pool(client, vmid).await.map_err(failed)?) } else { None };
    Ok(Machine {
        node: found.node,
        look: wanted,
        lock,
        config,
        power,
        pending,
        firewall,
        agent,
        backups,
        pool,
    })
}

/// Whether it runs; `None` at the moment in which a configuration appears, when PVE does not say.
fn power(status: &VmStatus) -> Option<Power> {
    match (status.status, status.qmpstatus.as_deref()) {
        (RunState::Stopped, _) => Some(Power::Stopped),
        (RunState::Unknown, _) => None,
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
