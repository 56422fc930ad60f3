use super::machines::Machines;
use deploy_core::{Notice, NoticeId, QueuedNotice, VmKey, WorkerId};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Notices that wait.
#[derive(Default)]
pub(super) struct Outbox {
    last: i64,
    waiting: BTreeMap<NoticeId, Waiting>,
}

struct Waiting {
    key: VmKey,
    at: Timestamp,
    notice: Notice,
    /// Who delivers it.
    worker: Option<WorkerId>,
}

impl Outbox {
    pub(super) fn queue(&mut self, key: VmKey, notice: &Notice, now: Timestamp) {
        self.last += 1;
        let waiting = Waiting { key, at: now, notice: notice.clone(), worker: None };
        self.waiting.insert(NoticeId(self.last), waiting);
    }

    /// Gives notices into the hands of a worker: what no other one that lives has, nor an older one of the same machine.
    pub(super) fn take(
        &mut self,
        machines: &Machines,
        worker: WorkerId,
        is_alive: impl Fn(WorkerId) -> bool,
        limit: usize,
    ) -> Vec<QueuedNotice> {
        let mut others = BTreeSet::new();
        let mut taken = Vec::new();
        for (id, waiting) in &mut self.waiting {
            if waiting.worker.is_some_and(|other| other != worker && is_alive(other)) {
                others.insert(waiting.key);
            }
            if taken.len() == limit || others.contains(&waiting.key) {
                continue;
            }
            let Some(record) = machines.record(waiting.key) else { continue };
            waiting.worker = Some(worker);
            taken.push(QueuedNotice {
                id: *id,
                key: waiting.key,
                external_ref: record.external_ref.clone(),
                contact: record.spec.contact.clone(),
                at: waiting.at,
                notice: waiting.notice.clone(),
            });
        }
        taken
    }

    pub(super) fn delivered(&mut self, id: NoticeId) {
        self.waiting.remove(&id);
    }
}
