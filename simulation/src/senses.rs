use crate::{flag::Flag, planted::Planted};
use async_trait::async_trait;
use deploy_core::{
    Backup, Backups, Change, ClusterName, Holder, Hypervisor, Leftover, ListQuery, Look, LookError, Machine,
    MachineId, RecordStore, Shown, Sighting, SubmitError, Submitted, Summary, Target, TaskId, TaskState,
};
use deploy_testkit::MemoryStore;
use proxmox_api::Proxmox;
use std::sync::Arc;

/// The hypervisor as a process has it that may be frozen: it comes to its calls only when it goes again.
pub(crate) struct Senses {
    pub(crate) proxmox: Proxmox,
    pub(crate) frozen: Arc<Flag>,
    pub(crate) planted: Option<Planted>,
    pub(crate) store: MemoryStore,
}

impl Senses {
    /// With the bug that is planted, if one is.
    async fn seen(&self, id: &MachineId, seen: Sighting) -> Sighting {
        let Some(planted) = self.planted else { return seen };
        let all = ListQuery { limit: usize::MAX, ..ListQuery::default() };
        let records = self.store.list(&all).await.unwrap_or_default();
        planted.seen(seen, records.iter().find(|record| record.numbered.vmid == id.vmid))
    }
}

#[async_trait]
impl Hypervisor for Senses {
    async fn machine(&self, id: &MachineId, look: Look) -> Sighting {
        self.frozen.until(false).await;
        let seen = self.proxmox.machine(id, look).await;
        self.seen(id, seen).await
    }

    async fn look_further(&self, id: &MachineId, seen: Box<Machine>, look: Look) -> Sighting {
        self.frozen.until(false).await;
        let seen = self.proxmox.look_further(id, seen, look).await;
        self.seen(id, seen).await
    }

    async fn tasks(&self, cluster: &ClusterName, tasks: &[TaskId]) -> Vec<TaskState> {
        self.frozen.until(false).await;
        self.proxmox.tasks(cluster, tasks).await
    }

    async fn holder(&self, machine: &MachineId, lock: &str) -> Holder {
        self.frozen.until(false).await;
        self.proxmox.holder(machine, lock).await
    }

    async fn leftovers(&self, machine: &MachineId) -> Result<Vec<Leftover>, LookError> {
        self.frozen.until(false).await;
        self.proxmox.leftovers(machine).await
    }

    async fn backups(&self, machine: &MachineId) -> Result<Backups, LookError> {
        self.frozen.until(false).await;
        self.proxmox.backups(machine).await
    }

    async fn archived(&self, machine: &MachineId, backup: &Backup) -> Result<Shown, LookError> {
        self.frozen.until(false).await;
        self.proxmox.archived(machine, backup).await
    }

    async fn inventory(&self, cluster: &ClusterName) -> Result<Vec<Summary>, LookError> {
        self.frozen.until(false).await;
        self.proxmox.inventory(cluster).await
    }

    async fn submit(&self, target: &Target, change: &Change) -> Result<Submitted, SubmitError> {
        self.frozen.until(false).await;
        match self.planted {
            Some(planted) => self.proxmox.submit(&planted.target(target), change).await,
            None => self.proxmox.submit(target, change).await,
        }
    }
}
