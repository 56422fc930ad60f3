use crate::{
    Backup, Backups, Change, ClusterName, ErrorClass, Leftover, Look, Machine, MachineId, Shown, Sighting,
    Summary, Target, TaskId,
};
use async_trait::async_trait;

/// A hypervisor's clusters.
///
/// # Guarantees
/// - `machine` answers [`Sighting::ProvenAbsent`] only on an answer that neither permissions nor caches can falsify.
/// - `submit` sends nothing to a machine that, as far as the call itself can tell, is not the target.
/// - A configuration is changed only if it still is the target's revision.
/// - No request of a change leaves after the target's [`not_after`](Target::not_after), judged as late as can be: right
///   before each of them. What is held back so was not sent ([`Sent::No`], [`ErrorClass::Unreachable`]).
///
/// # Assumptions
/// One caller at a time changes a machine (the store's lease); others, also humans, may change it at any moment.
///
/// # Cancel safety
/// Looking is safe to drop. A dropped `submit` may or may not have been carried out, like one whose answer was lost.
#[async_trait]
pub trait Hypervisor: Send + Sync {
    /// Looks at a machine.
    async fn machine(&self, id: &MachineId, look: Look) -> Sighting;

    /// Looks at what was not seen yet of a machine that was seen a moment ago and not changed since, and answers with both
    /// together. Better asks for nothing that was seen; as it comes, it looks at everything anew.
    async fn look_further(&self, id: &MachineId, seen: Box<Machine>, look: Look) -> Sighting {
        self.machine(id, seen.look.and(look)).await
    }

    /// The states of tasks, in the order asked. A batch on purpose: one list call per node answers for every machine in
    /// flight.
    async fn tasks(&self, cluster: &ClusterName, tasks: &[TaskId]) -> Vec<TaskState>;

    /// Who holds the lock that a machine was seen with: a lock of PVE outlives a worker that was killed, and then nobody
    /// ever opens it. Asked only where one is waited for.
    async fn holder(&self, machine: &MachineId, lock: &str) -> Holder;

    /// The volumes that carry a machine's number and that its configuration, if there is one, does not name. Asked only where
    /// a worker may have left some behind: it takes a list of each storage.
    ///
    /// # Errors
    /// [`LookError`].
    async fn leftovers(&self, machine: &MachineId) -> Result<Vec<Leftover>, LookError>;

    /// The backups that carry a machine's number, whether there is a machine or not; where there is one, [`Look::BACKUPS`] shows
    /// the same. Whose they are, each of them tells itself ([`archived`](Self::archived)).
    ///
    /// # Errors
    /// [`LookError`].
    async fn backups(&self, machine: &MachineId) -> Result<Backups, LookError>;

    /// What a backup of this machine's number shows of whose machine it was made of, read from the backup itself: the storage's
    /// list knows only the number, which others may have had.
    ///
    /// # Errors
    /// [`LookError`].
    async fn archived(&self, machine: &MachineId, backup: &Backup) -> Result<Shown, LookError>;

    /// All machines of a cluster that we may see, by one call.
    ///
    /// # Errors
    /// [`LookError`].
    async fn inventory(&self, cluster: &ClusterName) -> Result<Vec<Summary>, LookError>;

    /// Asks for a change.
    ///
    /// # Errors
    /// [`SubmitError`], which says what happened and, apart, whether the request was sent. A change of several requests
    /// stops at the first that fails; what was done until then stays, and the next look shows it.
    async fn submit(&self, target: &Target, change: &Change) -> Result<Submitted, SubmitError>;
}

/// A change that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Submitted {
    /// A task carries it out. That it exists proves nothing: it may fail at once.
    Task(TaskId),
    /// It is carried out.
    Applied,
}

/// A change that was not accepted, or nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SubmitError {
    /// What kind of error.
    pub class: ErrorClass,
    /// Whether the request was sent.
    pub sent: Sent,
    /// What happened, in words.
    pub message: String,
}

/// Whether a request got to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// Provably not.
    No,
    /// It was answered.
    Answered,
    /// It may have been carried out, may still be, or never was.
    Unknown,
}

/// How a task stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskState {
    /// It works.
    Running,
    /// It ended.
    Ended(Ended),
    /// Nobody can tell now; ask again.
    Unknown(String),
}

/// How a task ended. The goal decides, not this: a task that ended well is followed by a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// Well.
    Ok,
    /// Well, with warnings worth logging.
    Warnings(String),
    /// It failed.
    Failed {
        /// What kind of error.
        class: ErrorClass,
        /// What happened, in words.
        message: String,
    },
    /// It is not known any more: its worker was killed, or its log was rotated away. Look.
    Lost(String),
}

/// Who holds a machine's lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// This task, beyond doubt.
    Task(TaskId),
    /// Some task that does not say which machine it works on.
    Perhaps,
    /// Nobody: no task that could be it works, by an answer that missing rights cannot falsify.
    Nobody,
    /// Nobody can tell, in words why.
    Unknown(String),
}

/// A list could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct LookError {
    /// What kind of error.
    pub class: ErrorClass,
    /// What happened, in words.
    pub message: String,
}
