//! A store that forgets.

mod addresses;
mod dns;
mod machines;
mod numbers;
mod outbox;
mod tick;
mod workers;

use addresses::Addresses;
use async_trait::async_trait;
use deploy_core::{
    AddressRange, AddressStore, Admission, Clock, ClusterSettings, Command, CommandError, CommandId, Commit,
    CommitError, CreateError, Created, ExternalRef, HeldAddress, Lease, LeaseStore, Leased, ListQuery,
    LogEntry, LogId, NewRecord, NoticeId, Pool, PoolError, PoolName, PoolUsage, QueuedNotice, RecordStore,
    RenumberError, Resting, StoreError, TakeError, VmKey, VmRecord, Vmid, Want, WorkerId, WorkerInfo,
};
use dns::Dns;
use jiff::{SignedDuration, Timestamp};
use machines::Machines;
use numbers::Numbers;
use outbox::Outbox;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tick::Tick;
use workers::Workers;

/// A store in memory, for tests and for trying things out: all seams of a store, nothing kept when it is dropped.
///
/// Cheap to clone; the clones are one store. It takes part in the same conformance suite as the real ones, and is the
/// plainest statement of what they must do.
#[derive(Clone)]
pub struct MemoryStore {
    clock: Arc<dyn Clock>,
    state: Arc<Mutex<State>>,
}

/// Everything a store knows; one call changes it in one step, under the lock.
#[derive(Default)]
struct State {
    machines: Machines,
    numbers: Numbers,
    workers: Workers,
    outbox: Outbox,
    addresses: Addresses,
    tick: Tick,
    dns: Dns,
}

impl MemoryStore {
    /// An empty store with this clock.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Arc::default() }
    }

    /// Does one call's work; never held over an await.
    fn with<T>(&self, work: impl FnOnce(&mut State, Timestamp) -> T) -> T {
        let now = self.clock.now();
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner), now)
    }
}

#[async_trait]
impl LeaseStore for MemoryStore {
    async fn heartbeat(&self, worker: &WorkerInfo, alive_for: SignedDuration) -> Result<(), CommitError> {
        self.with(|state, now| state.workers.heartbeat(worker.id, alive_for, now))
    }

    async fn retire(&self, worker: WorkerId) -> Result<(), StoreError> {
        self.with(|state, now| {
            state.workers.retire(worker, now);
            state.machines.release_where(|owner| owner == worker);
        });
        Ok(())
    }

    async fn claim(&self, worker: WorkerId, limit: usize) -> Result<Vec<Leased>, StoreError> {
        Ok(self.with(|state, now| {
            let alive = state.workers.is_alive(worker, now);
            if alive { state.machines.claim(worker, limit, now) } else { Vec::new() }
        }))
    }

    async fn reload(&self, lease: &Lease) -> Result<VmRecord, CommitError> {
        self.with(|state, _| Ok(state.machines.leased(lease)?.record.clone()))
    }

    async fn commit(&self, lease: &Lease, commit: Commit) -> Result<(), CommitError> {
        self.with(|state, now| state.commit(lease, &commit, now))
    }

    async fn release(&self, lease: &Lease) -> Result<(), CommitError> {
        self.with(|state, _| state.machines.release(lease))
    }

    async fn renumber(&self, lease: &Lease, taken: Vmid) -> Result<Vmid, RenumberError> {
        self.with(|state, now| {
            let cluster = match state.machines.leased(lease) {
                Ok(machine) => machine.record.spec.cluster.clone(),
                Err(_) => return Err(RenumberError::Fenced),
            };
            state.numbers.renumber(&cluster, lease.key, taken, now)
        })
    }

    async fn sweep(&self) -> Result<u64, StoreError> {
        Ok(self.with(|state, now| {
            let State { machines, workers, .. } = state;
            let released = machines.release_where(|owner| !workers.is_alive(owner, now));
            workers.forget_old(now);
            released
        }))
    }

    async fn resting(&self, after: Option<VmKey>, limit: usize) -> Result<Vec<Resting>, StoreError> {
        Ok(self.with(|state, _| state.machines.resting(after, limit)))
    }

    async fn check(&self, key: VmKey) -> Result<(), StoreError> {
        self.with(|state, now| state.machines.check(key, now));
        Ok(())
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.with(|state, _| state.machines.next_due()))
    }

    async fn notices(&self, worker: WorkerId, limit: usize) -> Result<Vec<QueuedNotice>, StoreError> {
        Ok(self.with(|state, now| {
            let State { machines, workers, outbox, .. } = state;
            outbox.take(machines, worker, |other| workers.is_alive(other, now), limit)
        }))
    }

    async fn delivered(&self, id: NoticeId) -> Result<(), StoreError> {
        self.with(|state, _| state.outbox.delivered(id));
        Ok(())
    }
}

#[async_trait]
impl RecordStore for MemoryStore {
    async fn put_cluster(&self, settings: &ClusterSettings) -> Result<(), StoreError> {
        self.with(|state, _| state.numbers.put_cluster(settings));
        Ok(())
    }

    async fn clusters(&self) -> Result<Vec<ClusterSettings>, StoreError> {
        Ok(self.with(|state, _| state.numbers.clusters()))
    }

    async fn create(&self, order: &NewRecord) -> Result<Created, CreateError> {
        self.with(|state, now| state.create(order, now))
    }

    async fn command(&self, key: VmKey, id: CommandId, command: Command) -> Result<Admission, CommandError> {
        self.with(|state, now| state.machines.command(key, id, command, now))
    }

    async fn get(&self, key: VmKey) -> Result<Option<VmRecord>, StoreError> {
        Ok(self.with(|state, _| state.machines.record(key).cloned()))
    }

    async fn by_reference(&self, reference: &ExternalRef) -> Result<Option<VmRecord>, StoreError> {
        Ok(self.with(|state, _| state.machines.by_reference(reference).cloned()))
    }

    async fn list(&self, query: &ListQuery) -> Result<Vec<VmRecord>, StoreError> {
        Ok(self.with(|state, _| state.machines.list(query)))
    }

    async fn log(&self, key: VmKey, after: LogId, limit: usize) -> Result<Vec<LogEntry>, StoreError> {
        Ok(self.with(|state, _| state.machines.log(key, after, limit)))
    }

    async fn events(&self, after: LogId, limit: usize) -> Result<Vec<LogEntry>, StoreError> {
        Ok(self.with(|state, _| state.machines.events(after, limit)))
    }
}

#[async_trait]
impl AddressStore for MemoryStore {
    async fn put_pool(&self, pool: &Pool, usable: &[AddressRange]) -> Result<(), PoolError> {
        self.with(|state, now| state.addresses.put(pool, usable, now))
    }

    async fn delete_pool(&self, name: &PoolName) -> Result<(), PoolError> {
        self.with(|state, _| state.addresses.delete(name))
    }

    async fn pools(&self) -> Result<Vec<PoolUsage>, StoreError> {
        Ok(self.with(|state, now| state.addresses.usage(now)))
    }

    async fn take(&self, lease: &Lease, wants: &[Want]) -> Result<Vec<HeldAddress>, TakeError> {
        self.with(|state, now| {
            state.machines.leased(lease).map_err(|_| TakeError::Fenced)?;
            state.addresses.take(lease.key, wants, now)
        })
    }

    async fn give_back(&self, lease: &Lease) -> Result<Vec<HeldAddress>, CommitError> {
        self.with(|state, now| {
            state.machines.leased(lease)?;
            Ok(state.addresses.give_back(lease.key, None, now))
        })
    }

    async fn give_back_only(
        &self,
        lease: &Lease,
        addresses: &[IpAddr],
    ) -> Result<Vec<HeldAddress>, CommitError> {
        self.with(|state, now| {
            state.machines.leased(lease)?;
            Ok(state.addresses.give_back(lease.key, Some(addresses), now))
        })
    }

    async fn held(&self, key: VmKey) -> Result<Vec<HeldAddress>, StoreError> {
        Ok(self.with(|state, _| state.addresses.held(key)))
    }
}

impl State {
    /// All checks come before the first change, so that a refused order leaves nothing.
    fn create(&mut self, order: &NewRecord, now: Timestamp) -> Result<Created, CreateError> {
        if let Some(existing) = self.machines.living(&order.external_ref) {
            return Ok(Created::Existing(existing.clone()));
        }
        let cluster = &order.spec.cluster;
        let vmid = match &order.adopts {
            None => self.numbers.peek(cluster, now)?,
            Some(adopts) => {
                let let_go =
                    |key| self.machines.record(key).is_some_and(|record| record.life.adopts.is_some());
                if let Some((key, until)) = self.numbers.reserved(cluster, adopts.vmid, now, let_go)? {
                    return Err(self.machines.reserved(cluster, adopts.vmid, key, until));
                }
                adopts.vmid
            }
        };
        let record = order.numbered(vmid)?;
        self.machines.must_be_new(order)?;
        match order.adopts {
            None => self.numbers.reserve(cluster, vmid, order.key, None),
            Some(_) => self.numbers.hold(cluster, vmid, order.key, None),
        }
        self.machines.insert(record.clone());
        Ok(Created::New(record))
    }

    fn commit(&mut self, lease: &Lease, commit: &Commit, now: Timestamp) -> Result<(), CommitError> {
        self.machines.leased(lease)?;
        if let Some(numbered) = &commit.numbered {
            self.numbers.must_be_reserved(lease.key, numbered.vmid)?;
        }
        let before = self.machines.record(lease.key).map(dns::basis);
        self.machines.commit(lease.key, commit, now);
        if before != self.machines.record(lease.key).map(dns::basis) {
            self.dns.mark(lease.key);
        }
        if let Some(notice) = &commit.notice {
            self.outbox.queue(lease.key, notice, now);
        }
        if commit.step == Some(deploy_core::Step::Terminated) {
            self.numbers.quarantine(lease.key, now);
        }
        Ok(())
    }
}
