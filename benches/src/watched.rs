use async_trait::async_trait;
use deploy_core::{
    Backup, Backups, Change, ClusterName, Holder, Hypervisor, Leftover, Look, LookError, Machine, MachineId,
    Observation, Shown, Sighting, SubmitError, Submitted, Summary, Target, TaskId, TaskState,
};
use deploy_testkit::world::World;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A model of a cluster that keeps what it showed.
pub(crate) struct Watched {
    world: Arc<World>,
    seen: Mutex<Observation>,
}

impl Watched {
    pub(crate) fn new(world: Arc<World>) -> Self {
        Self { world, seen: Mutex::default() }
    }

    /// A turn begins, with the machine as it was seen before, if that still holds.
    pub(crate) fn begin(&self, known: Option<Box<Machine>>) {
        *self.lock() = Observation { machine: known.map(Sighting::Seen), ..Observation::default() };
    }

    /// What was known in this turn.
    pub(crate) fn seen(&self) -> Observation {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Observation> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Hypervisor for Watched {
    async fn machine(&self, id: &MachineId, look: Look) -> Sighting {
        let sighting = self.world.machine(id, look).await;
        self.lock().machine = Some(sighting.clone());
        sighting
    }

    async fn tasks(&self, cluster: &ClusterName, tasks: &[TaskId]) -> Vec<TaskState> {
        let states = self.world.tasks(cluster, tasks).await;
        self.lock().task = states.first().cloned();
        states
    }

    async fn holder(&self, machine: &MachineId, lock: &str) -> Holder {
        let holder = self.world.holder(machine, lock).await;
        self.lock().holder = Some(holder.clone());
        holder
    }

    async fn leftovers(&self, machine: &MachineId) -> Result<Vec<Leftover>, LookError> {
        let found = self.world.leftovers(machine).await;
        self.lock().leftovers = Some(found.clone());
        found
    }

    async fn backups(&self, machine: &MachineId) -> Result<Backups, LookError> {
        self.world.backups(machine).await
    }

    async fn archived(&self, machine: &MachineId, backup: &Backup) -> Result<Shown, LookError> {
        self.world.archived(machine, backup).await
    }

    async fn inventory(&self, cluster: &ClusterName) -> Result<Vec<Summary>, LookError> {
        self.world.inventory(cluster).await
    }

    async fn submit(&self, target: &Target, change: &Change) -> Result<Submitted, SubmitError> {
        self.world.submit(target, change).await
    }
}
