use super::StoreFactory;
use crate::{ManualClock, sample};
use deploy_core::{
    Commit, CommitError, Created, Due, ExternalRef, Lease, LeaseStore, Leased, LogEntry, LogEvent, LogId,
    LogLine, Operation, RecordStore, Step, VmKey, VmRecord, WorkerInfo,
};
use jiff::SignedDuration;
use std::{future::Future, sync::Arc};

/// A fresh store with the sample cluster (numbers 100 to 199) and one worker who lives for a minute.
pub struct Rig<S> {
    /// The store.
    pub store: S,
    /// Its clock.
    pub clock: Arc<ManualClock>,
    /// The worker.
    pub worker: WorkerInfo,
}

/// So long a rig's workers live after a heartbeat.
pub(crate) const ALIVE: SignedDuration = SignedDuration::from_secs(60);

impl<S: LeaseStore + RecordStore + Clone + 'static> Rig<S> {
    /// Sets it up.
    pub async fn new<F: StoreFactory<Store = S>>(factory: &F) -> Self {
        let clock = Arc::new(ManualClock::default());
        let store = factory.fresh(clock.clone()).await;
        store.put_cluster(&sample::cluster(100, 199)).await.expect("put the cluster");
        let worker = sample::worker(1);
        store.heartbeat(&worker, ALIVE).await.expect("begin to live");
        Self { store, clock, worker }
    }

    /// Closes the store and opens it again. A store for one process may take that for the end of its workers; then there
    /// is a new one.
    pub async fn reopened<F: StoreFactory<Store = S>>(self, factory: &F) -> Self {
        let Self { store, clock, worker } = self;
        let store = factory.reopen(store, clock.clone()).await;
        let worker = match store.heartbeat(&worker, ALIVE).await {
            Ok(()) => worker,
            Err(CommitError::Fenced) => sample::worker(100),
            Err(error) => panic!("heartbeat: {error}"),
        };
        store.heartbeat(&worker, ALIVE).await.expect("live on");
        Self { store, clock, worker }
    }

    /// Writes down the n-th sample order.
    pub async fn ordered(&self, n: u32) -> VmRecord {
        match self.store.create(&sample::order(n)).await.expect("order") {
            Created::New(record) => record,
            Created::Existing(record) => panic!("order {n} was there: {record:?}"),
        }
    }

    /// Leases everything that is due.
    pub async fn claim(&self) -> Vec<Leased> {
        self.store.claim(self.worker.id, 1000).await.expect("claim")
    }

    /// Orders the n-th machine and leases it; nothing else may be due.
    pub async fn leased(&self, n: u32) -> Leased {
        self.ordered(n).await;
        let mut leased = self.claim().await;
        assert_eq!(leased.len(), 1, "only the order {n} is due");
        leased.remove(0)
    }

    /// Commits, and expects it to succeed.
    pub async fn commit(&self, lease: &Lease, commit: Commit) {
        self.store.commit(lease, commit).await.expect("commit");
    }

    /// Orders a machine and brings it to rest at `step`, leased to nobody.
    pub async fn resting(&self, n: u32, step: Step) -> VmRecord {
        let leased = self.leased(n).await;
        self.come_to_rest(&leased.lease, step).await;
        self.record(leased.lease.key).await
    }

    /// Brings a leased machine to rest at `step` and ends the lease.
    pub async fn come_to_rest(&self, lease: &Lease, step: Step) {
        let operation = if step == Step::Terminated { Operation::Terminate } else { Operation::Create };
        let commit = Commit {
            operation: Some(operation),
            step: Some(step),
            due: Some(Due::OnCommand),
            ..Commit::default()
        };
        self.commit(lease, commit).await;
        self.store.release(lease).await.expect("release");
    }

    /// The record of a machine.
    pub async fn record(&self, key: VmKey) -> VmRecord {
        self.store.get(key).await.expect("get").expect("the machine is there")
    }

    /// The living machine of a reference, else the last.
    pub async fn by_reference(&self, reference: &ExternalRef) -> Option<VmRecord> {
        self.store.by_reference(reference).await.expect("by reference")
    }

    /// A machine's whole log.
    pub async fn log(&self, key: VmKey) -> Vec<LogEntry> {
        self.store.log(key, LogId(0), 1000).await.expect("log")
    }

    /// A line for the log, as of now.
    pub fn line(&self, event: LogEvent) -> LogLine {
        use deploy_core::Clock;
        LogLine { at: self.clock.now(), operation: Operation::Create, step: Step::SetIp, event }
    }

    /// Runs calls at one moment and gives their answers in the order of the calls.
    pub async fn at_once<T, C, O>(&self, calls: impl IntoIterator<Item = T>, call: C) -> Vec<O::Output>
    where
        C: Fn(S, T) -> O,
        O: Future + Send + 'static,
        O::Output: Send + 'static,
    {
        let running: Vec<_> =
            calls.into_iter().map(|input| tokio::spawn(call(self.store.clone(), input))).collect();
        let mut answers = Vec::with_capacity(running.len());
        for running in running {
            answers.push(running.await.expect("no call panics"));
        }
        answers
    }
}
