//! Looking for a machine through the hypervisor backend.

use crate::canned::Canned;
use deploy_core::{Hypervisor, Look, MachineId, Sighting, Vmid};
use proxmox_api::Proxmox;

/// Machine 100, last seen on pve1.
pub(crate) fn machine() -> MachineId {
    MachineId {
        cluster: "c1".parse().unwrap(),
        vmid: Vmid::try_from(100).unwrap(),
        node: "pve1".parse().unwrap(),
    }
}

pub(crate) fn hypervisor(server: &Canned) -> Proxmox {
    Proxmox::new().with_cluster("c1".parse().unwrap(), server.client())
}

pub(crate) async fn look(server: &Canned, look: Look) -> Sighting {
    hypervisor(server).machine(&machine(), look).await
}
