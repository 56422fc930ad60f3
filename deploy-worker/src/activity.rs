use deploy_core::{Slot, Step, TaskId, VmKey};
use jiff::Timestamp;

/// What one of a worker's machines does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineActivity {
    /// The machine.
    pub key: VmKey,
    /// The step that is due.
    pub step: Step,
    /// What it does.
    pub doing: Doing,
}

/// What a machine does or waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Doing {
    /// A turn is under way.
    Turn,
    /// It waits for its turn.
    Queued,
    /// It waits for a task of the hypervisor.
    Task(TaskId),
    /// It waits until so many other machines have left this slot that it may enter.
    Slot(Slot),
    /// There is nothing to do before this time.
    Until(Timestamp),
    /// The store failed; it is tried again.
    Trouble,
    /// Its lease is being ended.
    Releasing,
}
