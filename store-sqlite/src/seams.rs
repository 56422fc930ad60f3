//! The seams' traits, each call one write or one read.

use crate::{SqliteStore, pool, vm};
use async_trait::async_trait;
use deploy_core::{
    AddressRange, AddressStore, Admission, ClusterSettings, Command, CommandError, CommandId, Commit,
    CommitError, CreateError, Created, ExternalRef, HeldAddress, Lease, LeaseStore, Leased, ListQuery,
    LogEntry, LogId, NewRecord, NoticeId, Pool, PoolError, PoolName, PoolUsage, QueuedNotice, RecordStore,
    RenumberError, Resting, StoreError, TakeError, VmKey, VmRecord, Vmid, Want, WorkerId, WorkerInfo,
};
use jiff::{SignedDuration, Timestamp};
use std::net::IpAddr;

#[async_trait]
impl LeaseStore for SqliteStore {
    async fn heartbeat(&self, worker: &WorkerInfo, alive_for: SignedDuration) -> Result<(), CommitError> {
        let worker = worker.clone();
        self.write(move |tx| vm::heartbeat(tx, &worker, alive_for)).await
    }

    async fn retire(&self, worker: WorkerId) -> Result<(), StoreError> {
        self.write(move |tx| vm::retire(tx, worker)).await
    }

    async fn claim(&self, worker: WorkerId, limit: usize) -> Result<Vec<Leased>, StoreError> {
        self.write(move |tx| vm::claim(tx, worker, limit)).await
    }

    async fn reload(&self, lease: &Lease) -> Result<VmRecord, CommitError> {
        let lease = *lease;
        self.read(move |conn| vm::reload(conn, &lease)).await
    }

    async fn commit(&self, lease: &Lease, commit: Commit) -> Result<(), CommitError> {
        let lease = *lease;
        self.write(move |tx| vm::commit(tx, &lease, &commit)).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), CommitError> {
        let lease = *lease;
        self.write(move |tx| vm::release(tx, &lease)).await
    }

    async fn renumber(&self, lease: &Lease, taken: Vmid) -> Result<Vmid, RenumberError> {
        let lease = *lease;
        self.write(move |tx| vm::renumber(tx, &lease, taken)).await
    }

    async fn sweep(&self) -> Result<u64, StoreError> {
        self.write(vm::sweep).await
    }

    async fn resting(&self, after: Option<VmKey>, limit: usize) -> Result<Vec<Resting>, StoreError> {
        self.read(move |conn| vm::resting(conn, after, limit)).await
    }

    async fn check(&self, key: VmKey) -> Result<(), StoreError> {
        self.write(move |tx| vm::check(tx, key)).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.read(vm::next_due).await
    }

    async fn notices(&self, worker: WorkerId, limit: usize) -> Result<Vec<QueuedNotice>, StoreError> {
        self.write(move |tx| vm::take_notices(tx, worker, limit)).await
    }

    async fn delivered(&self, id: NoticeId) -> Result<(), StoreError> {
        self.write(move |tx| vm::delivered(tx, id)).await
    }
}

#[async_trait]
impl RecordStore for SqliteStore {
    async fn put_cluster(&self, settings: &ClusterSettings) -> Result<(), StoreError> {
        let settings = settings.clone();
        self.write(move |tx| vm::put_cluster(tx, &settings)).await
    }

    async fn clusters(&self) -> Result<Vec<ClusterSettings>, StoreError> {
        self.read(vm::clusters).await
    }

    async fn create(&self, order: &NewRecord) -> Result<Created, CreateError> {
        let order = order.clone();
        self.write(move |tx| vm::create(tx, &order)).await
    }

    async fn command(&self, key: VmKey, id: CommandId, command: Command) -> Result<Admission, CommandError> {
        self.write(move |tx| vm::command(tx, key, id, &command)).await
    }

    async fn get(&self, key: VmKey) -> Result<Option<VmRecord>, StoreError> {
        self.read(move |conn| vm::by_key(conn, key)).await
    }

    async fn by_reference(&self, reference: &ExternalRef) -> Result<Option<VmRecord>, StoreError> {
        let reference = reference.clone();
        self.read(move |conn| vm::by_reference(conn, &reference)).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Vec<VmRecord>, StoreError> {
        let query = query.clone();
        self.read(move |conn| vm::list(conn, &query)).await
    }

    async fn log(&self, key: VmKey, after: LogId, limit: usize) -> Result<Vec<LogEntry>, StoreError> {
        self.read(move |conn| vm::entries_of(conn, key, after, limit)).await
    }

    async fn events(&self, after: LogId, limit: usize) -> Result<Vec<LogEntry>, StoreError> {
        self.read(move |conn| vm::entries(conn, after, limit)).await
    }
}

#[async_trait]
impl AddressStore for SqliteStore {
    async fn put_pool(&self, pool: &Pool, usable: &[AddressRange]) -> Result<(), PoolError> {
        let (pool, usable) = (pool.clone(), usable.to_vec());
        self.write(move |tx| pool::put(tx, &pool, &usable)).await
    }

    async fn delete_pool(&self, name: &PoolName) -> Result<(), PoolError> {
        let name = name.clone();
        self.write(move |tx| pool::delete(tx, &name)).await
    }

    async fn pools(&self) -> Result<Vec<PoolUsage>, StoreError> {
        let now = self.clock().now();
        self.read(move |conn| {
            // Several statements that must see one state; a read transaction holds up nobody.
            let tx = conn.unchecked_transaction()?;
            pool::pools(&tx, now)
        })
        .await
    }

    async fn definitions(&self) -> Result<Vec<Pool>, StoreError> {
        self.read(pool::definitions).await
    }

    async fn take(&self, lease: &Lease, wants: &[Want]) -> Result<Vec<HeldAddress>, TakeError> {
        let (lease, wants) = (*lease, wants.to_vec());
        self.write(move |tx| pool::take(tx, &lease, &wants)).await
    }

    async fn give_back(&self, lease: &Lease) -> Result<Vec<HeldAddress>, CommitError> {
        let lease = *lease;
        self.write(move |tx| pool::give_back(tx, &lease, None)).await
    }

    async fn give_back_only(
        &self,
        lease: &Lease,
        addresses: &[IpAddr],
    ) -> Result<Vec<HeldAddress>, CommitError> {
        let (lease, addresses) = (*lease, addresses.to_vec());
        self.write(move |tx| pool::give_back(tx, &lease, Some(&addresses))).await
    }

    async fn held(&self, key: VmKey) -> Result<Vec<HeldAddress>, StoreError> {
        self.read(move |conn| pool::held(conn, key)).await
    }
}
