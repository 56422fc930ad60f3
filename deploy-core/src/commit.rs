//! What is written down after a turn.

use crate::{
    Assignment, Attention, CommandId, DiskSlot, Due, Life, LogLine, MacAddr, NodeName, Notice, Numbered,
    Operation, Progress, Remembered, SmbiosUuid, Step, VmRecord, VmSpec, Waiting,
};
use std::collections::BTreeSet;

/// The changes of one record, its log line and its notice, written in one transaction.
///
/// It names the fields it changes and leaves the others, so that it cannot undo a command that arrived meanwhile.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Commit {
    /// The operation.
    pub operation: Option<Operation>,
    /// The step.
    pub step: Option<Step>,
    /// How far the step is.
    pub progress: Option<Progress>,
    /// Failures in a row.
    pub failures: Option<u32>,
    /// When it is looked at next. A store keeps a record due while commands wait, whatever this says.
    pub due: Option<Due>,
    /// What a human has to see to; `Some(None)` clears it.
    pub attention: Option<Option<Attention>>,
    /// What it waits for; `Some(None)` says that it does no more.
    pub waiting: Option<Option<Waiting>>,
    /// Another number, already reserved for this machine, with its names.
    pub numbered: Option<Numbered>,
    /// Another order, with the MAC of each of its NICs.
    pub order: Option<Box<Order>>,
    /// What commands have made of it.
    pub life: Option<Box<Life>>,
    /// Where it was seen.
    pub node: Option<NodeName>,
    /// Its identity; `Some(None)` says that there is no machine of ours any more.
    pub smbios: Option<Option<SmbiosUuid>>,
    /// The slots of its additional disks.
    pub slots: Option<Vec<DiskSlot>>,
    /// The addresses it holds.
    pub addresses: Option<Vec<Assignment>>,
    /// What cannot be read back.
    pub remembered: Option<BTreeSet<Remembered>>,
    /// A waiting command that is taken from the queue.
    pub consume: Option<CommandId>,
    /// The log line.
    pub log: Option<LogLine>,
    /// The notice.
    pub notice: Option<Notice>,
}

/// Another order for a machine that exists.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// The order.
    pub spec: VmSpec,
    /// The MAC of each NIC.
    pub macs: Vec<MacAddr>,
}

impl Commit {
    /// Whether nothing is changed but when the record is looked at next.
    pub(crate) fn is_only_due(&self) -> bool {
        *self == Self { due: self.due, ..Self::default() }
    }

    /// Makes the changes in `record`. Stores use it, so that what is written is what the core meant.
    pub fn apply(&self, record: &mut VmRecord) {
        fn set<T: Clone>(field: &mut T, value: Option<&T>) {
            if let Some(value) = value {
                field.clone_from(value);
            }
        }
        set(&mut record.operation, self.operation.as_ref());
        set(&mut record.step, self.step.as_ref());
        set(&mut record.progress, self.progress.as_ref());
        set(&mut record.failures, self.failures.as_ref());
        set(&mut record.due, self.due.as_ref());
        set(&mut record.attention, self.attention.as_ref());
        set(&mut record.waiting, self.waiting.as_ref());
        set(&mut record.numbered, self.numbered.as_ref());
        if let Some(order) = &self.order {
            record.spec.clone_from(&order.spec);
            record.macs.clone_from(&order.macs);
        }
        set(&mut record.life, self.life.as_deref());
        set(&mut record.node, self.node.as_ref());
        set(&mut record.smbios, self.smbios.as_ref());
        set(&mut record.slots, self.slots.as_ref());
        set(&mut record.addresses, self.addresses.as_ref());
        set(&mut record.remembered, self.remembered.as_ref());
        record.pending.retain(|queued| Some(queued.id) != self.consume);
    }
}
