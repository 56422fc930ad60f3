//! A record with what shall become of it.

use deploy_core::{DnsChange, DnsEntry, DnsState};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// A record of a machine, in its turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Task {
    /// What is known of it.
    pub(crate) entry: DnsEntry,
    /// Whether it shall stand.
    pub(crate) wanted: bool,
    /// Whether nothing is kept of it any more.
    pub(crate) is_forgotten: bool,
    /// Whether it is wanted otherwise than it was written.
    is_changed: bool,
}

impl Task {
    /// Compares what is known with what is wanted. What was never asked for and is no longer wanted is forgotten; records that
    /// are wanted come before those that go, so that a name has an address all the time.
    pub(crate) fn plan(entries: Vec<DnsEntry>, wanted: Vec<DnsEntry>) -> (Vec<Self>, Vec<DnsChange>) {
        let mut known: BTreeMap<_, _> =
            entries.into_iter().map(|entry| (entry.record.clone(), entry)).collect();
        let (mut tasks, mut changes) = (Vec::new(), Vec::new());
        for new in wanted {
            if let Some(entry) = known.remove(&new.record) {
                tasks.push(Self::wanted(entry, new.ttl));
            } else {
                changes.push(DnsChange::Put(new.clone()));
                tasks.push(Self { entry: new, wanted: true, is_forgotten: false, is_changed: false });
            }
        }
        for (record, entry) in known {
            if entry.may_stand() {
                let is_changed = entry.state != DnsState::Withdrawing;
                tasks.push(Self { entry, wanted: false, is_forgotten: false, is_changed });
            } else {
                changes.push(DnsChange::Forget(record));
            }
        }
        (tasks, changes)
    }

    fn wanted(mut entry: DnsEntry, ttl: u32) -> Self {
        let is_changed = entry.ttl != ttl || entry.state == DnsState::Withdrawing;
        if entry.ttl != ttl && entry.state == DnsState::Published {
            // Judged as a request whose outcome is not known: the time to live is compared.
            entry.state = DnsState::Publishing;
        }
        entry.ttl = ttl;
        Self { entry, wanted: true, is_forgotten: false, is_changed }
    }

    /// Whether there is something to do about it. A change waits for no delay of what was before it.
    pub(crate) fn is_due(&self, now: Timestamp, thorough: bool) -> bool {
        !self.is_forgotten && (thorough || self.is_changed || self.entry.is_due(now))
    }

    /// When there is something to do about it next, after its turn.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        if self.is_forgotten { None } else { self.entry.next_try }
    }
}
