use super::machines::Machines;
use deploy_core::{Notice, NoticeId, QueuedNotice, VmKey};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Notices that wait.
#[derive(Default)]
pub(super) struct Outbox {
    last: i64,
    waiting: BTreeMap<NoticeId, (VmKey, Timestamp, Notice)>,
}

impl Outbox {
    pub(super) fn queue(&mut self, key: VmKey, notice: &Notice, now: Timestamp) {
        self.last += 1;
        self.waiting.insert(NoticeId(self.last), (key, now, notice.clone()));
    }

    pub(super) fn waiting(&self, machines: &Machines, limit: usize) -> Vec<QueuedNotice> {
        let of = |(id, (key, at, notice)): (&NoticeId, &(VmKey, Timestamp, Notice))| {
            let record = machines.record(*key)?;
            Some(QueuedNotice {
                id: *id,
                key: *key,
                external_ref: record.external_ref.clone(),
                contact: record.spec.contact.clone(),
                at: *at,
                notice: notice.clone(),
            })
        };
        self.waiting.iter().filter_map(of).take(limit).collect()
    }

    pub(super) fn delivered(&mut self, id: NoticeId) {
        self.waiting.remove(&id);
    }
}
