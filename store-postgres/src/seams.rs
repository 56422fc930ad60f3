//! The seams' traits, each call one transaction or one statement.

use crate::{PostgresStore, pool, vm, vm::Item};
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
impl LeaseStore for PostgresStore {
    async fn heartbeat(&self, worker: &WorkerInfo, alive_for: SignedDuration) -> Result<(), CommitError> {
        let at = self.at_desk(async |db| vm::heartbeat(db, worker, alive_for).await).await?;
        self.database_clock().set(at);
        Ok(())
    }

    async fn retire(&self, worker: WorkerId) -> Result<(), StoreError> {
        self.write(worker, |db, worker| Box::pin(vm::retire(db, *worker))).await
    }

    async fn claim(&self, worker: WorkerId, limit: usize) -> Result<Vec<Leased>, StoreError> {
        let sharing = self.settings().sharing;
        self.at_desk(async |db| vm::claim(db, worker, limit, sharing, self.machines_passed_over()).await)
            .await
    }

    /// Asked where the writes go, behind a write whose outcome is not known.
    async fn reload(&self, lease: &Lease) -> Result<VmRecord, CommitError> {
        self.write(*lease, |db, lease| Box::pin(vm::reload(db, lease))).await
    }

    async fn commit(&self, lease: &Lease, commit: Commit) -> Result<(), CommitError> {
        self.commit(Box::new(Item { lease: *lease, commit, release: false })).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), CommitError> {
        self.commit(Box::new(Item { lease: *lease, commit: Commit::default(), release: true })).await
    }

    async fn renumber(&self, lease: &Lease, taken: Vmid) -> Result<Vmid, RenumberError> {
        self.write((*lease, taken), |db, (lease, taken)| Box::pin(vm::renumber(db, lease, *taken))).await
    }

    async fn sweep(&self) -> Result<u64, StoreError> {
        self.at_desk(async |db| vm::sweep(db).await).await
    }

    async fn resting(&self, after: Option<VmKey>, limit: usize) -> Result<Vec<Resting>, StoreError> {
        self.read((after, limit), |db, (after, limit)| Box::pin(vm::resting(db, *after, *limit))).await
    }

    async fn check(&self, key: VmKey) -> Result<(), StoreError> {
        self.write(key, |db, key| Box::pin(vm::check(db, *key))).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.at_desk(async |db| vm::next_due(db, self.machines_passed_over()).await).await
    }

    async fn notices(&self, worker: WorkerId, limit: usize) -> Result<Vec<QueuedNotice>, StoreError> {
        self.at_desk(async |db| vm::take_notices(db, worker, limit, self.notices_passed_over()).await).await
    }

    async fn delivered(&self, id: NoticeId) -> Result<(), StoreError> {
        self.write(id, |db, id| Box::pin(vm::delivered(db, *id))).await
    }
}

#[async_trait]
impl RecordStore for PostgresStore {
    async fn put_cluster(&self, settings: &ClusterSettings) -> Result<(), StoreError> {
        self.write(settings.clone(), |db, settings| Box::pin(vm::put_cluster(db, settings))).await
    }

    async fn clusters(&self) -> Result<Vec<ClusterSettings>, StoreError> {
        self.read((), |db, ()| Box::pin(vm::clusters(db))).await
    }

    async fn create(&self, order: &NewRecord) -> Result<Created, CreateError> {
        self.write(order.clone(), |db, order| Box::pin(vm::create(db, order))).await
    }

    async fn command(&self, key: VmKey, id: CommandId, command: Command) -> Result<Admission, CommandError> {
        self.write((key, id, command), |db, (key, id, command)| {
            Box::pin(vm::command(db, *key, *id, command.clone()))
        })
        .await
    }

    async fn get(&self, key: VmKey) -> Result<Option<VmRecord>, StoreError> {
        self.read(key, |db, key| Box::pin(vm::by_key(db, *key))).await
    }

    async fn by_reference(&self, reference: &ExternalRef) -> Result<Option<VmRecord>, StoreError> {
        self.read(reference.clone(), |db, reference| Box::pin(vm::by_reference(db, reference))).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Vec<VmRecord>, StoreError> {
        self.read(query.clone(), |db, query| Box::pin(vm::list(db, query))).await
    }

    async fn log(&self, key: VmKey, after: LogId, limit: usize) -> Result<Vec<LogEntry>, StoreError> {
        self.read((key, after, limit), |db, (key, after, limit)| {
            Box::pin(vm::entries_of(db, *key, *after, *limit))
        })
        .await
    }

    async fn events(&self, after: LogId, limit: usize) -> Result<Vec<LogEntry>, StoreError> {
        self.read((after, limit), |db, (after, limit)| Box::pin(vm::entries(db, *after, *limit))).await
    }
}

#[async_trait]
impl AddressStore for PostgresStore {
    async fn put_pool(&self, pool: &Pool, usable: &[AddressRange]) -> Result<(), PoolError> {
        self.write((pool.clone(), usable.to_vec()), |db, (pool, usable)| {
            Box::pin(pool::put(db, pool, usable))
        })
        .await
    }

    async fn delete_pool(&self, name: &PoolName) -> Result<(), PoolError> {
        self.write(name.clone(), |db, name| Box::pin(pool::delete(db, name))).await
    }

    async fn pools(&self) -> Result<Vec<PoolUsage>, StoreError> {
        self.read((), |db, ()| Box::pin(pool::pools(db))).await
    }

    async fn definitions(&self) -> Result<Vec<Pool>, StoreError> {
        self.read((), |db, ()| Box::pin(pool::definitions(db))).await
    }

    async fn take(&self, lease: &Lease, wants: &[Want]) -> Result<Vec<HeldAddress>, TakeError> {
        self.write((*lease, wants.to_vec()), |db, (lease, wants)| Box::pin(pool::take(db, lease, wants)))
            .await
    }

    async fn give_back(&self, lease: &Lease) -> Result<Vec<HeldAddress>, CommitError> {
        self.write(*lease, |db, lease| Box::pin(pool::give_back(db, lease, None))).await
    }

    async fn give_back_only(
        &self,
        lease: &Lease,
        addresses: &[IpAddr],
    ) -> Result<Vec<HeldAddress>, CommitError> {
        self.write((*lease, addresses.to_vec()), |db, (lease, addresses)| {
            Box::pin(pool::give_back(db, lease, Some(addresses)))
        })
        .await
    }

    async fn held(&self, key: VmKey) -> Result<Vec<HeldAddress>, StoreError> {
        self.read(key, |db, key| Box::pin(pool::held(db, *key))).await
    }
}
