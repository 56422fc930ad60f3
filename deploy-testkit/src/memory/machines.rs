use deploy_core::{
    Admission, ClusterName, Command, CommandError, CommandId, Commit, CommitError, CreateError, Due,
    ExternalRef, Lease, Leased, ListQuery, LogEntry, LogEvent, LogId, LogKeep, LogLine, LogPruned, NewRecord,
    QueuedCommand, Resting, Step, StoreError, VmKey, VmRecord, Vmid, WorkerId, admit,
};
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

/// Records, their leases and their logs.
#[derive(Default)]
pub(super) struct Machines {
    by_key: BTreeMap<VmKey, Machine>,
    /// Who is due and nobody's; kept so that claiming does not look at everybody.
    due: BTreeSet<(Timestamp, VmKey)>,
    by_reference: BTreeMap<ExternalRef, Vec<VmKey>>,
    log: BTreeMap<LogId, LogEntry>,
    /// The number of the last entry, whether it is still there or not.
    last_entry: LogId,
}

pub(super) struct Machine {
    pub(super) record: VmRecord,
    owner: Option<WorkerId>,
    epoch: i64,
    /// For ever, once it was: its reference and its number may be somebody else's by now.
    terminated: bool,
    /// Its entries in the log.
    log: BTreeSet<LogId>,
}

impl Machine {
    fn due_at(&self) -> Option<Timestamp> {
        match (self.record.due, self.owner) {
            (Due::At(at), None) => Some(at),
            (Due::OnCommand, _) | (Due::At(_), Some(_)) => None,
        }
    }

    /// Whether an old entry of it may go.
    fn can_spare(&self, id: LogId, keep: &LogKeep) -> bool {
        let newer = self.log.range(beyond(id)).count();
        self.terminated
            || keep
                .of_living
                .is_some_and(|of_living| newer >= usize::try_from(of_living.get()).unwrap_or(usize::MAX))
    }

    /// Makes it due now, if it is not already.
    fn make_due(&mut self, now: Timestamp) {
        self.record.due = match self.record.due {
            Due::At(at) => Due::At(at.min(now)),
            Due::OnCommand => Due::At(now),
        };
    }
}

impl Machines {
    pub(super) fn record(&self, key: VmKey) -> Option<&VmRecord> {
        self.by_key.get(&key).map(|machine| &machine.record)
    }

    /// The machine of a lease, while it is its machine.
    pub(super) fn leased(&self, lease: &Lease) -> Result<&Machine, CommitError> {
        self.by_key
            .get(&lease.key)
            .filter(|machine| machine.owner == Some(lease.worker) && machine.epoch == lease.epoch)
            .ok_or(CommitError::Fenced)
    }

    /// Changes a machine and keeps the list of who is due in step.
    fn change<T>(&mut self, key: VmKey, change: impl FnOnce(&mut Machine) -> T) -> Option<T> {
        let machine = self.by_key.get_mut(&key)?;
        if let Some(at) = machine.due_at() {
            self.due.remove(&(at, key));
        }
        let result = change(machine);
        if let Some(at) = machine.due_at() {
            self.due.insert((at, key));
        }
        Some(result)
    }

    pub(super) fn must_be_new(&self, order: &NewRecord) -> Result<(), CreateError> {
        let Some(taken) = self.record(order.key) else { return Ok(()) };
        Err(CreateError::Store(StoreError::not_written(format!(
            "the key {} is that of another order already (reference {:?})",
            order.key,
            taken.external_ref.as_str()
        ))))
    }

    /// The error for a number that is reserved for this machine.
    pub(super) fn reserved(
        &self,
        cluster: &ClusterName,
        vmid: Vmid,
        key: VmKey,
        until: Option<Timestamp>,
    ) -> CreateError {
        match self.record(key) {
            Some(record) => CreateError::Reserved {
                cluster: cluster.clone(),
                vmid,
                reference: record.external_ref.clone(),
                until,
            },
            None => StoreError::not_written(format!("number {vmid}: machine {key} is gone")).into(),
        }
    }

    pub(super) fn insert(&mut self, record: VmRecord) {
        let key = record.key;
        let line = LogLine {
            at: record.created_at,
            operation: record.operation,
            step: record.step,
            event: LogEvent::Ordered,
        };
        self.by_reference.entry(record.external_ref.clone()).or_default().push(key);
        self.by_key
            .insert(key, Machine { record, owner: None, epoch: 0, terminated: false, log: BTreeSet::new() });
        self.change(key, |_| ());
        self.append(key, &line);
    }

    pub(super) fn claim(&mut self, worker: WorkerId, limit: usize, now: Timestamp) -> Vec<Leased> {
        let due: Vec<VmKey> =
            self.due.iter().take_while(|(at, _)| *at <= now).take(limit).map(|(_, key)| *key).collect();
        let lease = |key| {
            self.change(key, |machine| {
                machine.owner = Some(worker);
                machine.epoch += 1;
                let lease = Lease { key, worker, epoch: machine.epoch };
                Leased::new(lease, machine.record.clone())
            })
        };
        due.into_iter().filter_map(lease).collect()
    }

    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    pub(super) fn resting(&self, after: Option<VmKey>, limit: usize) -> Vec<Resting> {
        let resting = self.by_key.values().filter_map(|machine| Resting::of(&machine.record));
        resting.filter(|machine| after.is_none_or(|after| machine.key > after)).take(limit).collect()
    }

    pub(super) fn check(&mut self, key: VmKey, now: Timestamp) {
        self.change(key, |machine| {
            if Resting::of(&machine.record).is_some() {
                machine.make_due(now);
            }
        });
    }

    pub(super) fn release(&mut self, lease: &Lease) -> Result<(), CommitError> {
        self.leased(lease)?;
        self.change(lease.key, |machine| machine.owner = None);
        Ok(())
    }

    /// Releases what these owners hold, and says how many.
    pub(super) fn release_where(&mut self, gone: impl Fn(WorkerId) -> bool) -> u64 {
        let orphans: Vec<VmKey> = self
            .by_key
            .iter()
            .filter(|(_, machine)| machine.owner.is_some_and(&gone))
            .map(|(key, _)| *key)
            .collect();
        for key in &orphans {
            self.change(*key, |machine| machine.owner = None);
        }
        orphans.len() as u64
    }

    pub(super) fn commit(&mut self, key: VmKey, commit: &Commit, now: Timestamp) {
        self.change(key, |machine| {
            commit.apply(&mut machine.record);
            machine.terminated |= machine.record.step == Step::Terminated;
            if commit.due.is_some() && !machine.record.pending.is_empty() {
                machine.make_due(now);
            }
        });
        if let Some(line) = &commit.log {
            self.append(key, line);
        }
    }

    pub(super) fn command(
        &mut self,
        key: VmKey,
        id: CommandId,
        command: Command,
        now: Timestamp,
    ) -> Result<Admission, CommandError> {
        let record = self.record(key).ok_or(CommandError::NotFound(key))?;
        let admission = admit(record, &command, id)?;
        if let Admission::Queued(id) = admission {
            self.change(key, |machine| {
                machine.record.pending.push(QueuedCommand { id, command });
                machine.make_due(now);
            });
        }
        Ok(admission)
    }

    /// The record that is not terminated and has this reference.
    pub(super) fn living(&self, reference: &ExternalRef) -> Option<&VmRecord> {
        self.all_of(reference).find(|machine| !machine.terminated).map(|machine| &machine.record)
    }

    pub(super) fn by_reference(&self, reference: &ExternalRef) -> Option<&VmRecord> {
        // Of several at the same time the one that was written last: `max_by_key` takes the last of equals.
        self.living(reference).or_else(|| {
            self.all_of(reference).map(|machine| &machine.record).max_by_key(|record| record.created_at)
        })
    }

    fn all_of(&self, reference: &ExternalRef) -> impl Iterator<Item = &Machine> {
        self.by_reference.get(reference).into_iter().flatten().filter_map(|key| self.by_key.get(key))
    }

    pub(super) fn list(&self, query: &ListQuery) -> Vec<VmRecord> {
        self.by_key
            .values()
            .filter(|machine| query.terminated || !machine.terminated)
            .map(|machine| &machine.record)
            .filter(|record| query.after.is_none_or(|after| record.key > after))
            .filter(|record| query.cluster.as_ref().is_none_or(|cluster| record.spec.cluster == *cluster))
            .take(query.limit)
            .cloned()
            .collect()
    }

    fn append(&mut self, key: VmKey, line: &LogLine) {
        let Some(machine) = self.by_key.get_mut(&key) else { return };
        let last = machine.log.last().and_then(|id| self.log.get_mut(id));
        if let Some(entry) = last.filter(|entry| entry.folds(line)) {
            entry.times = entry.times.saturating_add(1);
            entry.last_at = line.at;
            return;
        }
        let id = LogId(self.last_entry.0 + 1);
        self.last_entry = id;
        machine.log.insert(id);
        self.log.insert(id, LogEntry { id, key, line: line.clone(), times: 1, last_at: line.at });
    }

    pub(super) fn log(&self, key: VmKey, after: LogId, limit: usize) -> Vec<LogEntry> {
        let of_machine = self.by_key.get(&key).into_iter().flat_map(|machine| &machine.log);
        let later = of_machine.filter(|id| **id > after).filter_map(|id| self.log.get(id));
        later.take(limit).cloned().collect()
    }

    pub(super) fn events(&self, after: LogId, limit: usize) -> Vec<LogEntry> {
        self.log.range(beyond(after)).map(|(_, entry)| entry).take(limit).cloned().collect()
    }

    pub(super) fn prune_log(&mut self, keep: &LogKeep, after: LogId, limit: usize) -> LogPruned {
        let seen: Vec<(LogId, VmKey, bool)> = self
            .log
            .range(beyond(after))
            .take(limit)
            .map_while(|(id, entry)| {
                (entry.line.at < keep.since).then_some((*id, entry.key, entry.last_at < keep.since))
            })
            .collect();
        let next = seen.last().filter(|_| seen.len() == limit).map(|(id, ..)| *id);
        let mut deleted = 0;
        for (id, key, is_old) in seen {
            let Some(machine) =
                self.by_key.get_mut(&key).filter(|machine| is_old && machine.can_spare(id, keep))
            else {
                continue;
            };
            machine.log.remove(&id);
            self.log.remove(&id);
            deleted += 1;
        }
        LogPruned { deleted, next }
    }
}

fn beyond(after: LogId) -> (Bound<LogId>, Bound<LogId>) {
    (Bound::Excluded(after), Bound::Unbounded)
}
