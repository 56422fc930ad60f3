//! What a change takes of a cluster while it runs.

use crate::{ChangeKind, NodeName, Slot, VmRecord};

/// The slots that a change of this kind takes, for a machine that was seen on `node`. Also for a change that another run
/// of the worker began: everything follows from the record.
pub fn slots(record: &VmRecord, kind: ChangeKind, node: &NodeName) -> Vec<Slot> {
    let spec = &record.spec;
    let cluster = || spec.cluster.clone();
    let mut slots = vec![Slot::Cluster(cluster())];
    match kind {
        ChangeKind::Clone => {
            slots.push(Slot::CloneStorage(cluster(), spec.clone.storage().cloned()));
            slots.push(Slot::Template(cluster(), spec.template.vmid));
        }
        ChangeKind::Migrate => {
            slots.push(Slot::Migration(cluster(), node.clone()));
            if record.bound_for() != node {
                slots.push(Slot::Migration(cluster(), record.bound_for().clone()));
            }
        }
        // It reads and writes as much as a full clone.
        ChangeKind::Import => {
            slots.push(Slot::Node(cluster(), node.clone()));
            slots.push(Slot::Template(cluster(), spec.template.vmid));
        }
        // Not one of the node's: it may take hours, and most of that it may be waiting, for PVE makes one backup of a node at a time.
        ChangeKind::Backup | ChangeKind::RestoreBackup => slots.push(Slot::Backup(cluster(), node.clone())),
        ChangeKind::JoinPool
        | ChangeKind::Configure
        | ChangeKind::Resize
        | ChangeKind::SetFirewall
        | ChangeKind::Start
        | ChangeKind::Stop
        | ChangeKind::Reset
        | ChangeKind::LeaveHa
        | ChangeKind::CreateSnapshot
        | ChangeKind::DeleteSnapshot
        | ChangeKind::RollBack
        | ChangeKind::DeleteBackup
        | ChangeKind::Destroy => slots.push(Slot::Node(cluster(), node.clone())),
    }
    slots
}
