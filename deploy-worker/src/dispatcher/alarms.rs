use deploy_core::VmKey;
use std::{cmp::Reverse, collections::BinaryHeap};
use tokio::time::Instant;

/// When machines are to be woken: one heap for all, instead of a timer each.
///
/// An alarm is not taken back; it is recognised as stale by its number when it rings. They are few seconds long, so that
/// stale ones do not pile up.
#[derive(Default)]
pub(super) struct Alarms {
    heap: BinaryHeap<Reverse<(Instant, AlarmId, VmKey)>>,
    last: u64,
}

/// The number of an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AlarmId(u64);

impl Alarms {
    pub(super) fn set(&mut self, at: Instant, key: VmKey) -> AlarmId {
        self.last += 1;
        let id = AlarmId(self.last);
        self.heap.push(Reverse((at, id, key)));
        id
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, ..))| *at)
    }

    /// Takes an alarm whose time has come.
    pub(super) fn ringing(&mut self, now: Instant) -> Option<(VmKey, AlarmId)> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse((_, id, key))| (key, id))
    }
}
