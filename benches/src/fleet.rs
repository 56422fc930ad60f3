use deploy_core::{Commit, CommitError, Lease, LeaseStore, RecordStore, VmSpec, WorkerInfo};
use deploy_testkit::sample;
use jiff::SignedDuration;
use tokio::task::JoinSet;

/// Longer than any bench runs.
const ALIVE: SignedDuration = SignedDuration::from_hours(24);

/// Machines of a store, ordered and leased as they are needed.
pub struct Fleet<S> {
    store: S,
    worker: WorkerInfo,
    spec: VmSpec,
    ordered: u32,
}

impl<S: LeaseStore + RecordStore + Clone + 'static> Fleet<S> {
    /// A worker on a store that has no orders yet, for machines of this kind.
    ///
    /// # Panics
    /// Where the store fails.
    pub async fn new(store: S, spec: VmSpec) -> Self {
        store.put_cluster(&sample::cluster(100, 9_999_999)).await.expect("a cluster");
        let worker = sample::worker(1);
        store.heartbeat(&worker, ALIVE).await.expect("a heartbeat");
        Self { store, worker, spec, ordered: 0 }
    }

    /// The same machines after the store was closed and opened again, with a worker of its own.
    ///
    /// # Panics
    /// Where the store fails.
    pub async fn reopened(self, store: S) -> Self {
        let worker = sample::worker(2);
        store.heartbeat(&worker, ALIVE).await.expect("a heartbeat");
        Self { store, worker, ..self }
    }

    /// The store.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// The worker that has the leases.
    pub fn worker(&self) -> &WorkerInfo {
        &self.worker
    }

    /// Orders so many machines.
    ///
    /// # Panics
    /// Where the store fails.
    pub async fn order(&mut self, count: u32) {
        let mut orders = JoinSet::new();
        for n in 1..=count {
            let (store, order) = (self.store.clone(), sample::order_of(self.ordered + n, self.spec.clone()));
            orders.spawn(async move { store.create(&order).await });
        }
        self.ordered += count;
        for created in orders.join_all().await {
            created.expect("an order");
        }
    }

    /// Orders so many machines and leases them; nothing else may be due.
    ///
    /// # Panics
    /// Where the store fails or does not lease just these.
    pub async fn lease(&mut self, count: u32) -> Vec<Lease> {
        self.order(count).await;
        let leased = self.store.claim(self.worker.id, count as usize + 1).await.expect("a claim");
        assert_eq!(leased.len(), count as usize, "other machines are due, too, or some are not");
        leased.into_iter().map(|leased| leased.lease).collect()
    }

    /// Ends leases; what is due can be claimed again.
    ///
    /// # Panics
    /// Where the store fails.
    pub async fn release(&self, leases: &[Lease]) {
        let mut releases = JoinSet::new();
        for lease in leases {
            let (store, lease) = (self.store.clone(), *lease);
            releases.spawn(async move { store.release(&lease).await });
        }
        for released in releases.join_all().await {
            released.expect("a release");
        }
    }

    /// Writes the same commits of every machine, all machines at once, each one after the other, as a worker does.
    ///
    /// # Panics
    /// Where the store fails.
    pub async fn commit_all(&self, machines: Vec<(Lease, Vec<Commit>)>) {
        let mut writing = JoinSet::new();
        for (lease, commits) in machines {
            let store = self.store.clone();
            writing.spawn(async move {
                for commit in commits {
                    store.commit(&lease, commit).await?;
                }
                Ok::<(), CommitError>(())
            });
        }
        for written in writing.join_all().await {
            written.expect("commits");
        }
    }
}
