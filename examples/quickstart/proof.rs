//! Proves that nothing is left of machines that were taken away.

use crate::simulator::Simulator;
use deploy_core::VmRecord;
use examples::engine::Engine;
use proxmox_api::Client;
use serde::Serialize;
use std::collections::BTreeSet;

/// What is left; all of it empty is what is hoped for.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Left {
    /// Numbers of machines that are still there.
    pub(crate) machines: BTreeSet<u32>,
    /// Volumes.
    pub(crate) volumes: BTreeSet<String>,
    /// Numbers of machines whose firewall configuration is still there; asked only of a simulated cluster.
    pub(crate) firewalls: BTreeSet<u32>,
    /// Addresses that are still held.
    pub(crate) held_addresses: BTreeSet<String>,
}

impl Left {
    pub(crate) fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// What is left of these machines. A simulated cluster is asked what it really has, past its own API and faults.
pub(crate) async fn left(
    engine: &Engine,
    records: &[VmRecord],
    simulator: Option<&Simulator>,
    client: &Client,
) -> anyhow::Result<Left> {
    let numbers: BTreeSet<u32> = records.iter().map(|record| record.numbered.vmid.get()).collect();
    let mut left = match simulator {
        Some(simulator) => in_simulator(simulator, &numbers).await?,
        None => in_cluster(client, &numbers).await?,
    };
    for record in records {
        let held = engine.store.held(record.key).await?;
        left.held_addresses.extend(held.iter().map(|held| held.address.to_string()));
    }
    Ok(left)
}

async fn in_simulator(simulator: &Simulator, numbers: &BTreeSet<u32>) -> anyhow::Result<Left> {
    let mut left = Left::default();
    for (vmid, found) in simulator.inspect(|vmid| numbers.contains(&vmid)).await?.machines {
        if found.node.is_some() {
            left.machines.insert(vmid);
        }
        if !found.firewall_rules.is_empty() || !found.ip_sets.is_empty() {
            left.firewalls.insert(vmid);
        }
        left.volumes.extend(found.volumes);
    }
    Ok(left)
}

async fn in_cluster(client: &Client, numbers: &BTreeSet<u32>) -> anyhow::Result<Left> {
    let mut left = Left::default();
    let resources = client.vm_resources().await?;
    left.machines
        .extend(resources.iter().map(|resource| resource.vmid).filter(|vmid| numbers.contains(vmid)));
    for node in client.nodes().await?.iter().filter(|node| node.status == "online") {
        for storage in client.storages(&node.node).await?.iter().filter(|s| s.active && s.holds("images")) {
            let volumes = client.storage_content(&node.node, &storage.storage, Some("images"), None).await?;
            let ours =
                volumes.into_iter().filter(|volume| volume.vmid.is_some_and(|vmid| numbers.contains(&vmid)));
            left.volumes.extend(ours.map(|volume| volume.volid));
        }
    }
    Ok(left)
}
