//! Stand-ins for tests of the loop: a store in memory that can be made to fail, scripted turns, and time that tests move.

use crate::{
    Limits, Turnstile,
    dispatcher::{Dispatcher, Parts},
    driver::Driver,
    mailbox::Mailbox,
    running::RunningWorker,
    settings::Settings,
};
use async_trait::async_trait;
use deploy_core::*;
use jiff::{SignedDuration, Timestamp};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

pub(crate) fn key(number: u32) -> VmKey {
    VmKey(Uuid::from_u128(u128::from(number)))
}

pub(crate) fn record(number: u32) -> VmRecord {
    let spec = serde_json::json!({
        "cluster": "c1", "domain": "vm{vmid}.example.org", "pve_name": "vm{vmid}", "node": "n1",
        "template": {"vmid": 9000, "node": "n1"}, "clone": {"mode": "linked"},
        "sockets": 1, "cores": 1, "memory": 512, "system_disk": {"size": 10},
    });
    let order = NewRecord {
        key: key(number),
        external_ref: format!("order-{number}").parse().unwrap(),
        spec: serde_json::from_value(spec).unwrap(),
        macs: Vec::new(),
        metadata: serde_json::Value::Null,
        created_at: start_time(),
    };
    order.numbered(Vmid::try_from(1000 + number).unwrap()).unwrap()
}

pub(crate) fn start_time() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

/// A clock over tokio's time.
pub(crate) struct TokioClock(Instant);

impl TokioClock {
    pub(crate) fn new() -> Self {
        Self(Instant::now())
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        start_time() + SignedDuration::try_from(self.0.elapsed()).unwrap()
    }
}

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
        self.state().rows[&key(number)].record.step
    }

    pub(crate) fn fail(&self, call: &'static str, error: CommitError) {
        self.state().faults.entry(call).or_default().push_back(error);
    }

    pub(crate) fn command(&self, number: u32, command: Command) {
        let queued = QueuedCommand { id: CommandId(Uuid::from_u128(7)), command };
        self.state().rows.get_mut(&key(number)).unwrap().record.pending.push(queued);
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
        tokio::time::sleep(Duration::from_micros(100)).await;
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
        let mut state = self.read("claim").await?;
        let now = self.clock.now();
        if state.workers.get(&worker).is_none_or(|until| *until < now) {
            return Ok(Vec::new());
        }
        let due = state
            .rows
            .values_mut()
            .filter(|row| row.owner.is_none() && row.due().is_some_and(|at| at <= now));
        let lease = |row: &mut Row| {
            row.owner = Some(worker);
            row.epoch += 1;
            Leased::new(Lease { key: row.record.key, worker, epoch: row.epoch }, row.record.clone())
        };
        Ok(due.take(limit).map(lease).collect())
    }

    async fn reload(&self, lease: &Lease) -> Result<VmRecord, CommitError> {
        let mut state = self.call("reload").await?;
        owned(&mut state, lease).map(|row| row.record.clone())
    }

    async fn commit(&self, lease: &Lease, commit: Commit) -> Result<(), CommitError> {
        let mut state = self.call("commit").await?;
        commit.apply(&mut owned(&mut state, lease)?.record);
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

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        let state = self.read("next_due").await?;
        Ok(state.rows.values().filter(|row| row.owner.is_none()).filter_map(Row::due).min())
    }

    async fn notices(&self, limit: usize) -> Result<Vec<QueuedNotice>, StoreError> {
        let state = self.read("notices").await?;
        let waiting = state.notices.iter().filter(|notice| !state.delivered.contains(&notice.id));
        Ok(waiting.take(limit).cloned().collect())
    }

    async fn delivered(&self, id: NoticeId) -> Result<(), StoreError> {
        self.read("delivered").await?.delivered.push(id);
        Ok(())
    }
}

/// Turns by a script, and what was seen of them.
pub(crate) struct Script<F> {
    pub(crate) store: Arc<FakeStore>,
    pub(crate) script: F,
    pub(crate) busy: Arc<Mutex<Busy>>,
}

/// Which machines have a turn just now, over all workers of a test.
#[derive(Default)]
pub(crate) struct Busy {
    pub(crate) now: HashMap<VmKey, usize>,
    pub(crate) most: usize,
    /// A machine had two turns at once.
    pub(crate) twice: bool,
    pub(crate) turns: usize,
}

struct Turning(Arc<Mutex<Busy>>, VmKey);

impl Turning {
    fn begin(busy: &Arc<Mutex<Busy>>, key: VmKey) -> Self {
        let mut seen = busy.lock().unwrap();
        let at_once = seen.now.entry(key).or_default();
        *at_once += 1;
        let twice = *at_once > 1;
        seen.twice |= twice;
        seen.turns += 1;
        let running = seen.now.values().sum();
        seen.most = seen.most.max(running);
        drop(seen);
        Self(Arc::clone(busy), key)
    }
}

impl Drop for Turning {
    fn drop(&mut self) {
        *self.0.lock().unwrap().now.get_mut(&self.1).unwrap() -= 1;
    }
}

/// What a script wants of a turn.
pub(crate) enum Act {
    /// Say this, without writing anything.
    Say(Result<Turned, CommitError>),
    /// Write this, then say that.
    Write(Box<Commit>, Turned),
}

#[async_trait]
impl<F> Driver for Script<F>
where
    F: Fn(&Leased, &Known) -> Act + Send + Sync,
{
    async fn turn(&self, leased: &mut Leased, known: Known) -> Result<Turned, CommitError> {
        let _turning = Turning::begin(&self.busy, leased.lease.key);
        tokio::time::sleep(Duration::from_millis(1)).await;
        match (self.script)(leased, &known) {
            Act::Say(result) => result,
            Act::Write(commit, turned) => {
                self.store.commit(&leased.lease, (*commit).clone()).await?;
                commit.apply(&mut leased.record);
                Ok(turned)
            }
        }
    }
}

/// The next step of its operation, or the rest.
pub(crate) fn advance(leased: &Leased) -> Act {
    let record = &leased.record;
    let step = record.operation.after(record.step).unwrap_or(record.step);
    if step == record.step {
        return Act::Say(Ok(Turned::Rest));
    }
    let due = if step.is_rest() { Due::OnCommand } else { record.due };
    let notice = step.is_rest().then_some(Notice::Ready);
    let commit = Commit {
        step: Some(step),
        progress: Some(Progress::Untried),
        due: Some(due),
        notice,
        ..Commit::default()
    };
    Act::Write(Box::new(commit), if step.is_rest() { Turned::Rest } else { Turned::Again(None) })
}

/// Answers about tasks; asked for anything else, it knows nothing.
#[derive(Default)]
pub(crate) struct FakeTasks {
    /// When tasks end, by tokio's time; tasks that are not here are unknown.
    pub(crate) ends: Mutex<HashMap<TaskId, Instant>>,
    /// The size of each question.
    pub(crate) questions: Mutex<Vec<usize>>,
}

#[async_trait]
impl Hypervisor for FakeTasks {
    async fn machine(&self, _id: &MachineId, _look: Look) -> Sighting {
        Sighting::ProvenAbsent
    }

    async fn tasks(&self, _cluster: &ClusterName, tasks: &[TaskId]) -> Vec<TaskState> {
        self.questions.lock().unwrap().push(tasks.len());
        let ends = self.ends.lock().unwrap();
        let state = |task| match ends.get(task) {
            Some(end) if *end <= Instant::now() => TaskState::Ended(Ended::Ok),
            Some(_) => TaskState::Running,
            None => TaskState::Unknown("never heard of it".to_owned()),
        };
        tasks.iter().map(state).collect()
    }

    async fn inventory(&self, _cluster: &ClusterName) -> Result<Vec<Summary>, LookError> {
        Ok(Vec::new())
    }

    async fn submit(&self, _target: &Target, _change: &Change) -> Result<Submitted, SubmitError> {
        Ok(Submitted::Applied)
    }
}

/// A bench on which dispatchers run.
pub(crate) struct Bench {
    pub(crate) store: Arc<FakeStore>,
    pub(crate) tasks: Arc<FakeTasks>,
    pub(crate) busy: Arc<Mutex<Busy>>,
    pub(crate) notifier: Option<Arc<dyn Notifier>>,
    pub(crate) settings: Settings,
    pub(crate) limits: Limits,
}

impl Bench {
    pub(crate) fn new(machines: u32) -> Self {
        Self {
            store: FakeStore::with((0..machines).map(record)),
            tasks: Arc::default(),
            busy: Arc::default(),
            notifier: None,
            settings: Settings::default(),
            limits: Limits::default(),
        }
    }

    /// Dispatchers of this script; they share the gate where the script was given one.
    pub(crate) fn parts(
        &self,
        script: impl Fn(&Turnstile, &Leased, &Known) -> Act + Send + Sync + 'static,
    ) -> Parts {
        let mailbox = Arc::new(Mailbox::default());
        let called = Arc::clone(&mailbox);
        let turnstile = Arc::new(Turnstile::new(self.limits, move |key| called.call(key)));
        let gate = Arc::clone(&turnstile);
        let script = move |leased: &Leased, known: &Known| script(&gate, leased, known);
        Parts {
            driver: Arc::new(Script { store: Arc::clone(&self.store), script, busy: Arc::clone(&self.busy) }),
            store: Arc::clone(&self.store) as _,
            hypervisor: Arc::clone(&self.tasks) as _,
            clock: Arc::new(TokioClock::new()),
            entropy: Arc::new(crate::SystemEntropy),
            notifier: self.notifier.clone(),
            policy: RetryPolicy::default(),
            turnstile,
            mailbox,
            settings: self.settings.clone(),
        }
    }

    pub(crate) fn start(
        &self,
        script: impl Fn(&Turnstile, &Leased, &Known) -> Act + Send + Sync + 'static,
    ) -> RunningWorker {
        let parts = self.parts(script);
        let mailbox = Arc::clone(&parts.mailbox);
        let dispatcher = tokio::spawn(Dispatcher::new(parts, None).run());
        RunningWorker::new(mailbox, AbortOnDropHandle::new(dispatcher))
    }

    /// Waits until the condition holds, at most ten minutes of paused time.
    pub(crate) async fn until(&self, what: &str, condition: impl Fn(&State) -> bool) {
        let patience = Instant::now() + Duration::from_secs(600);
        while !condition(&self.store.state()) {
            assert!(Instant::now() < patience, "not so after ten minutes: {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn until_all_ready(&self) {
        let ready = |row: &Row| row.record.step == Step::Ready && row.owner.is_none();
        self.until("all are ready and released", |state| state.rows.values().all(ready)).await;
    }
}
