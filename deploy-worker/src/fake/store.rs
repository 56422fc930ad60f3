use super::{TokioClock, record};
use async_trait::async_trait;
use deploy_core::*;
use jiff::{SignedDuration, Timestamp};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use uuid::Uuid;

/// How long a call takes.
const CALL: Duration = Duration::from_millis(3);

/// A store in memory, each call of which takes a little time.
pub(crate) struct FakeStore {
    clock: TokioClock,
    state: Mutex<State>,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) rows: BTreeMap<VmKey, Row>,
    pub(crate) workers: HashMap<WorkerId, Timestamp>,
    pub(crate) notices: Vec<QueuedNotice>,
    pub(crate) delivered: Vec<NoticeId>,
    /// Who delivers each notice.
    pub(crate) posted: HashMap<NoticeId, WorkerId>,
    pub(crate) log: Vec<LogEntry>,
    /// The next calls of this name fail so.
    pub(crate) faults: HashMap<&'static str, VecDeque<CommitError>>,
    /// How often each call came.
    pub(crate) calls: HashMap<&'static str, usize>,
}

pub(crate) struct Row {
    pub(crate) record: VmRecord,
    pub(crate) owner: Option<WorkerId>,
    pub(crate) epoch: i64,
}

impl Row {
    fn due(&self) -> Option<Timestamp> {
        match self.record.due {
            _ if !self.record.pending.is_empty() => Some(self.record.created_at),
            Due::At(at) => Some(at),
            Due::OnCommand => None,
        }
    }
}

impl FakeStore {
    pub(crate) fn with(records: impl IntoIterator<Item = VmRecord>) -> Arc<Self> {
        let rows = records.into_iter().map(|record| (record.key, Row { record, owner: None, epoch: 0 }));
        let state = State { rows: rows.collect(), ..State::default() };
        Arc::new(Self { clock: TokioClock::new(), state: Mutex::new(state) })
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn step(&self, number: u32) -> Step {
        self.state().rows[&super::key(number)].record.step
    }

    pub(crate) fn fail(&self, call: &'static str, error: CommitError) {
        self.state().faults.entry(call).or_default().push_back(error);
    }

    pub(crate) fn command(&self, number: u32, command: Command) {
        let queued = QueuedCommand { id: CommandId(Uuid::from_u128(7)), command };
        self.state().rows.get_mut(&super::key(number)).unwrap().record.pending.push(queued);
    }

    pub(crate) fn notice(&self, id: i64, number: u32) {
        let row = record(number);
        self.state().notices.push(QueuedNotice {
            id: NoticeId(id),
            key: row.key,
            external_ref: row.external_ref,
            contact: None,
            at: self.clock.now(),
            notice: Notice::Ready,
        });
    }

    /// Every call begins so: it takes a moment, is counted, and may fail.
    async fn call(&self, name: &'static str) -> Result<MutexGuard<'_, State>, CommitError> {
        tokio::time::sleep(CALL).await;
        let mut state = self.state();
        *state.calls.entry(name).or_default() += 1;
        match state.faults.get_mut(name).and_then(VecDeque::pop_front) {
            Some(error) => Err(error),
            None => Ok(state),
        }
    }

    async fn read(&self, name: &'static str) -> Result<MutexGuard<'_, State>, StoreError> {
        self.call(name).await.map_err(|error| match error {
            CommitError::Store(error) => error,
            CommitError::Fenced => panic!("{name} cannot be fenced"),
        })
    }
}

fn owned<'a>(state: &'a mut State, lease: &Lease) -> Result<&'a mut Row, CommitError> {
    let row = state.rows.get_mut(&lease.key).unwrap();
    if row.owner == Some(lease.worker) && row.epoch == lease.epoch {
        Ok(row)
    } else {
        Err(CommitError::Fenced)
    }
}

fn write_log(log: &mut Vec<LogEntry>, key: VmKey, line: LogLine) {
    if let Some(entry) = log.iter_mut().rfind(|entry| entry.key == key)
        && entry.folds(&line)
    {
        (entry.times, entry.last_at) = (entry.times + 1, line.at);
        return;
    }
    let id = LogId(log.len().try_into().unwrap());
    log.push(LogEntry { id, key, last_at: line.at, line, times: 1 });
}

fn claim(state: &mut State, worker: WorkerId, limit: usize, now: Timestamp) -> Vec<Leased> {
    if state.workers.get(&worker).is_none_or(|until| *until < now) {
        return Vec::new();
    }
    let is_due = |row: &&mut Row| row.owner.is_none() && row.due().is_some_and(|at| at <= now);
    let lease = |row: &mut Row| {
        row.owner = Some(worker);
        row.epoch += 1;
        Leased::new(Lease { key: row.record.key, worker, epoch: row.epoch }, row.record.clone())
    };
    state.rows.values_mut().filter(is_due).take(limit).map(lease).collect()
}

#[async_trait]
impl LeaseStore for FakeStore {
    async fn heartbeat(&self, worker: &WorkerInfo, alive_for: SignedDuration) -> Result<(), CommitError> {
        let mut state = self.call("heartbeat").await?;
        let now = self.clock.now();
        match state.workers.insert(worker.id, now + alive_for) {
            Some(until) if until < now => Err(CommitError::Fenced),
            _ => Ok(()),
        }
    }

    async fn retire(&self, worker: WorkerId) -> Result<(), StoreError> {
        let mut state = self.read("retire").await?;
        state.workers.remove(&worker);
        state.rows.values_mut().filter(|row| row.owner == Some(worker)).for_each(|row| row.owner = None);
        Ok(())
    }

    async fn claim(&self, worker: WorkerId, limit: usize) -> Result<Vec<Leased>, StoreError> {
        let leased = claim(&mut *self.read("claim").await?, worker, limit, self.clock.now());
        // The answer takes its time too: what happens now, the worker does not see.
        tokio::time::sleep(CALL).await;
        Ok(leased)
    }

    async fn reload(&self, lease: &Lease) -> Result<VmRecord, CommitError> {
        let mut state = self.call("reload").await?;
        owned(&mut state, lease).map(|row| row.record.clone())
    }

    async fn commit(&self, lease: &Lease, commit: Commit) -> Result<(), CommitError> {
        let mut state = self.call("commit").await?;
        commit.apply(&mut owned(&mut state, lease)?.record);
        if let Some(line) = commit.log.clone() {
            write_log(&mut state.log, lease.key, line);
        }
        drop(state);
        if commit.notice.is_some() {
            let number = lease.key.0.as_u128().try_into().unwrap();
            let id = self.state().notices.len() + 1;
            self.notice(id.try_into().unwrap(), number);
        }
        Ok(())
    }

    async fn release(&self, lease: &Lease) -> Result<(), CommitError> {
        let mut state = self.call("release").await?;
        owned(&mut state, lease)?.owner = None;
        Ok(())
    }

    async fn renumber(&self, _lease: &Lease, taken: Vmid) -> Result<Vmid, RenumberError> {
        Ok(taken)
    }

    async fn sweep(&self) -> Result<u64, StoreError> {
        let mut state = self.read("sweep").await?;
        let now = self.clock.now();
        let State { workers, rows, .. } = &mut *state;
        workers.retain(|_, until| *until >= now);
        let orphans = rows.values_mut().filter(|row| row.owner.is_some_and(|id| !workers.contains_key(&id)));
        Ok(orphans.map(|row| row.owner = None).count() as u64)
    }

    async fn resting(&self, after: Option<VmKey>, limit: usize) -> Result<Vec<Resting>, StoreError> {
        let state = self.read("resting").await?;
        let resting = state.rows.values().filter_map(|row| Resting::of(&row.record));
        let later = resting.filter(|machine| after.is_none_or(|after| machine.key > after));
        Ok(later.take(limit).collect())
    }

    async fn check(&self, key: VmKey) -> Result<(), StoreError> {
        let mut state = self.read("check").await?;
        let now = self.clock.now();
        if let Some(row) = state.rows.get_mut(&key).filter(|row| Resting::of(&row.record).is_some()) {
            row.record.due = Due::At(now);
        }
        Ok(())
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        let state = self.read("next_due").await?;
        Ok(state.rows.values().filter(|row| row.owner.is_none()).filter_map(Row::due).min())
    }

    /// No worker of this fake is known to be dead: what one has, it keeps.
    async fn notices(&self, worker: WorkerId, limit: usize) -> Result<Vec<QueuedNotice>, StoreError> {
        let mut state = self.read("notices").await?;
        let State { notices, delivered, posted, .. } = &mut *state;
        let is_ours = |notice: &&QueuedNotice| {
            !delivered.contains(&notice.id) && *posted.entry(notice.id).or_insert(worker) == worker
        };
        Ok(notices.iter().filter(is_ours).take(limit).cloned().collect())
    }

    async fn delivered(&self, id: NoticeId) -> Result<(), StoreError> {
        self.read("delivered").await?.delivered.push(id);
        Ok(())
    }
}
