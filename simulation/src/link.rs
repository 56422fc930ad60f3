use crate::{dice::Dice, flag::Flag, planted::Planted, weather::Weather, witness::Witness};
use async_trait::async_trait;
use deploy_core::{
    AddressRange, AddressStore, Commit, CommitError, HeldAddress, Lease, LeaseStore, Leased, NoticeId, Pool,
    PoolError, PoolName, PoolUsage, QueuedNotice, RecordStore, RenumberError, Resting, StoreError,
    StoreOutcome, TakeError, VmKey, VmRecord, Vmid, Want, WorkerId, WorkerInfo,
};
use deploy_testkit::MemoryStore;
use jiff::{SignedDuration, Timestamp};
use proxmox_sim::InProcess;
use std::{net::IpAddr, sync::Arc};

/// What one worker process has of the store: calls that take time, fail, or succeed unheard.
pub(crate) struct Link {
    pub(crate) store: MemoryStore,
    pub(crate) weather: Arc<Weather>,
    pub(crate) dice: Dice,
    pub(crate) frozen: Arc<Flag>,
    pub(crate) sim: Arc<InProcess>,
    pub(crate) witness: Arc<Witness>,
    pub(crate) planted: Option<Planted>,
}

impl Link {
    /// The cluster as it is at the moment in which addresses become free for others.
    fn witnessed(&self, given: Vec<HeldAddress>) -> Vec<HeldAddress> {
        let addresses = given.iter().map(|held| held.address);
        self.sim.with_cluster(|cluster| self.witness.see_given_back(addresses, cluster));
        given
    }

    async fn call<T, E: From<StoreError>>(
        &self,
        call: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, E> {
        self.frozen.until(false).await;
        tokio::time::sleep(self.dice.millis(0..3)).await;
        let trouble = self.dice.chance(self.weather.store_trouble());
        if trouble && self.dice.chance(0.5) {
            return Err(StoreError::not_written("simulated: the database does not answer").into());
        }
        let result = call.await;
        self.frozen.until(false).await;
        if trouble {
            let message = "simulated: the connection broke".to_owned();
            return Err(StoreError { message, outcome: StoreOutcome::Unknown }.into());
        }
        result
    }
}

#[async_trait]
impl LeaseStore for Link {
    async fn heartbeat(&self, worker: &WorkerInfo, alive_for: SignedDuration) -> Result<(), CommitError> {
        self.call(self.store.heartbeat(worker, alive_for)).await
    }

    async fn retire(&self, worker: WorkerId) -> Result<(), StoreError> {
        self.call(self.store.retire(worker)).await
    }

    async fn claim(&self, worker: WorkerId, limit: usize) -> Result<Vec<Leased>, StoreError> {
        self.call(self.store.claim(worker, limit)).await
    }

    async fn reload(&self, lease: &Lease) -> Result<VmRecord, CommitError> {
        self.call(self.store.reload(lease)).await
    }

    async fn commit(&self, lease: &Lease, commit: Commit) -> Result<(), CommitError> {
        let commit = match self.planted {
            Some(planted) => match self.store.get(lease.key).await? {
                Some(record) => planted.commit(&record, commit),
                None => commit,
            },
            None => commit,
        };
        self.call(self.store.commit(lease, commit)).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), CommitError> {
        self.call(self.store.release(lease)).await
    }

    async fn renumber(&self, lease: &Lease, taken: Vmid) -> Result<Vmid, RenumberError> {
        self.call(self.store.renumber(lease, taken)).await
    }

    async fn sweep(&self) -> Result<u64, StoreError> {
        self.call(self.store.sweep()).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.call(self.store.next_due()).await
    }

    async fn resting(&self, after: Option<VmKey>, limit: usize) -> Result<Vec<Resting>, StoreError> {
        self.call(self.store.resting(after, limit)).await
    }

    async fn check(&self, key: VmKey) -> Result<(), StoreError> {
        self.call(self.store.check(key)).await
    }

    async fn notices(&self, worker: WorkerId, limit: usize) -> Result<Vec<QueuedNotice>, StoreError> {
        self.call(self.store.notices(worker, limit)).await
    }

    async fn delivered(&self, id: NoticeId) -> Result<(), StoreError> {
        self.call(self.store.delivered(id)).await
    }
}

#[async_trait]
impl AddressStore for Link {
    async fn put_pool(&self, pool: &Pool, usable: &[AddressRange]) -> Result<(), PoolError> {
        self.call(self.store.put_pool(pool, usable)).await
    }

    async fn delete_pool(&self, name: &PoolName) -> Result<(), PoolError> {
        self.call(self.store.delete_pool(name)).await
    }

    async fn pools(&self) -> Result<Vec<PoolUsage>, StoreError> {
        self.call(self.store.pools()).await
    }

    async fn take(&self, lease: &Lease, wants: &[Want]) -> Result<Vec<HeldAddress>, TakeError> {
        self.call(self.store.take(lease, wants)).await
    }

    async fn give_back(&self, lease: &Lease) -> Result<Vec<HeldAddress>, CommitError> {
        self.call(async { Ok(self.witnessed(self.store.give_back(lease).await?)) }).await
    }

    async fn give_back_only(
        &self,
        lease: &Lease,
        addresses: &[IpAddr],
    ) -> Result<Vec<HeldAddress>, CommitError> {
        self.call(async { Ok(self.witnessed(self.store.give_back_only(lease, addresses).await?)) }).await
    }

    async fn held(&self, key: VmKey) -> Result<Vec<HeldAddress>, StoreError> {
        self.call(self.store.held(key)).await
    }
}
