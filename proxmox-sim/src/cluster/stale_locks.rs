//! Locks that nobody will take away.

use serde::Serialize;

use super::job::Job;
use super::{Cluster, Time};
use crate::faults::seconds;

/// A `lock` in the configuration of a machine that no worker works on: what a killed worker leaves behind. Only
/// root@pam with a ticket can remove it, which is what `qm unlock` does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StaleLock {
    /// The machine.
    pub vmid: u32,
    /// The node that its configuration is on.
    pub node: String,
    /// The value of the option: `clone`, `migrate`, `destroyed` and so on.
    pub lock: String,
    /// Since when nobody works on the machine. Serialised as seconds.
    #[serde(serialize_with = "seconds")]
    pub since: Time,
}

impl Cluster {
    /// Machines that have a lock while no worker works on them, by VMID.
    pub fn stale_locks(&self) -> Vec<StaleLock> {
        let locked = self.lock_since.iter().filter_map(|(vmid, since)| {
            let machine = self.world.machines.get(vmid)?;
            let lock = machine.config.lock()?.to_owned();
            Some(StaleLock { vmid: *vmid, node: machine.node.clone(), lock, since: *since })
        });
        locked.filter(|stale| !self.jobs.values().any(|job| job.works_on(stale.vmid))).collect()
    }

    /// A worker has ended: the locks of its machines are nobody's from now on.
    pub(super) fn note_locks(&mut self, job: &Job) {
        for vmid in job.machines() {
            self.note_lock(vmid);
        }
    }

    /// The same for one machine.
    pub(super) fn note_lock(&mut self, vmid: u32) {
        let locked = self.world.machines.get(&vmid).is_some_and(|machine| machine.config.lock().is_some());
        if locked {
            self.lock_since.entry(vmid).or_insert(self.world.now);
        } else {
            self.lock_since.remove(&vmid);
        }
    }
}
