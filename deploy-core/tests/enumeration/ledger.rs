//! Store and pool as one worker reaches them: watched, and with bugs planted on the way.

use crate::{planted::Planted, wire::Yield};
use async_trait::async_trait;
use deploy_core::*;
use deploy_testkit::{MemoryStore, world::World};
use jiff::{SignedDuration, Timestamp};
use std::{
    net::IpAddr,
    sync::{Arc, Mutex},
};

/// A store that yields before and after each call has its effect, and sees who writes.
#[derive(Clone)]
pub(crate) struct Ledger {
    pub(crate) store: MemoryStore,
    pub(crate) world: Arc<World>,
    pub(crate) planted: Option<Planted>,
    /// Who may write.
    pub(crate) holder: Arc<Mutex<Option<Lease>>>,
    /// What must never happen, in words.
    pub(crate) violations: Arc<Mutex<Vec<String>>>,
    /// An intent that this worker has not written down yet, where that is its bug.
    pub(crate) held_back: Arc<Mutex<Option<Commit>>>,
}

impl Ledger {
    /// Only the holder of the lease gets anything done.
    fn watch<T, E>(&self, what: &str, lease: &Lease, outcome: &Result<T, E>) {
        if outcome.is_ok() && *self.holder.lock().unwrap() != Some(*lease) {
            self.violations.lock().unwrap().push(format!("{what} by a worker that lost its machine"));
        }
    }

    /// The lease with which a store that does not fence would let anybody in.
    fn lease_for(&self, lease: &Lease, bug: Planted) -> Lease {
        let holder = *self.holder.lock().unwrap();
        holder.filter(|_| self.planted == Some(bug)).unwrap_or(*lease)
    }

    async fn commit_once(&self, lease: &Lease, commit: Commit) -> Result<(), CommitError> {
        let outside = Commit { log: commit.log.clone(), notice: commit.notice.clone(), ..Commit::default() };
        let outcome = self.store.commit(&self.lease_for(lease, Planted::UnfencedCommits), commit).await;
        let holder = *self.holder.lock().unwrap();
        if let (Err(CommitError::Fenced), Some(Planted::LogOutside), Some(holder)) =
            (&outcome, self.planted, holder)
        {
            let _ = self.store.commit(&holder, outside).await;
        }
        outcome
    }
}

#[async_trait]
impl LeaseStore for Ledger {
    async fn heartbeat(&self, worker: &WorkerInfo, alive_for: SignedDuration) -> Result<(), CommitError> {
        self.store.heartbeat(worker, alive_for).await
    }

    async fn retire(&self, worker: WorkerId) -> Result<(), StoreError> {
        self.store.retire(worker).await
    }

    async fn claim(&self, worker: WorkerId, limit: usize) -> Result<Vec<Leased>, StoreError> {
        self.store.claim(worker, limit).await
    }

    async fn reload(&self, lease: &Lease) -> Result<VmRecord, CommitError> {
        Yield::default().await;
        let outcome = self.store.reload(lease).await;
        Yield::default().await;
        outcome
    }

    async fn commit(&self, lease: &Lease, commit: Commit) -> Result<(), CommitError> {
        Yield::default().await;
        let intent = matches!(commit.progress, Some(Progress::Intended { .. }));
        if intent && self.planted == Some(Planted::IntentLate) {
            *self.held_back.lock().unwrap() = Some(commit);
            return Ok(());
        }
        let late = self.held_back.lock().unwrap().take();
        if let Some(late) = late {
            self.commit_once(lease, late).await?;
        }
        let outcome = self.commit_once(lease, commit).await;
        self.watch("a commit", lease, &outcome);
        Yield::default().await;
        outcome
    }

    async fn release(&self, lease: &Lease) -> Result<(), CommitError> {
        Yield::default().await;
        let outcome = self.store.release(lease).await;
        self.watch("a release", lease, &outcome);
        Yield::default().await;
        outcome
    }

    async fn renumber(&self, lease: &Lease, taken: Vmid) -> Result<Vmid, RenumberError> {
        Yield::default().await;
        let outcome = self.store.renumber(lease, taken).await;
        self.watch("another number taken", lease, &outcome);
        Yield::default().await;
        outcome
    }

    async fn sweep(&self) -> Result<u64, StoreError> {
        self.store.sweep().await
    }

    async fn resting(&self, after: Option<VmKey>, limit: usize) -> Result<Vec<Resting>, StoreError> {
        self.store.resting(after, limit).await
    }

    async fn check(&self, key: VmKey) -> Result<(), StoreError> {
        self.store.check(key).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.store.next_due().await
    }

    async fn notices(&self, worker: WorkerId, limit: usize) -> Result<Vec<QueuedNotice>, StoreError> {
        self.store.notices(worker, limit).await
    }

    async fn delivered(&self, id: NoticeId) -> Result<(), StoreError> {
        self.store.delivered(id).await
    }
}

#[async_trait]
impl IpPool for Ledger {
    async fn assign(
        &self,
        lease: &Lease,
        requests: &[AddressRequest],
    ) -> Result<Vec<Assignment>, AssignError> {
        let want = |request: &AddressRequest| Want {
            nic: request.nic,
            family: request.family,
            count: request.count,
            pools: request.pools.clone(),
            besides: request.besides.clone(),
            exactly: match self.planted {
                Some(Planted::AnyAddress) => Vec::new(),
                _ => request.exactly.clone(),
            },
        };
        let wants: Vec<Want> = requests.iter().map(want).collect();
        Yield::default().await;
        let outcome = self.store.take(&self.lease_for(lease, Planted::UnfencedPool), &wants).await;
        self.watch("addresses taken", lease, &outcome);
        Yield::default().await;
        match outcome {
            Ok(held) => Ok(held.into_iter().map(assignment).collect()),
            Err(TakeError::Fenced) => Err(AssignError::Fenced),
            Err(TakeError::Store(error)) => Err(AssignError::Store(error)),
            Err(error @ (TakeError::Held { .. } | TakeError::Foreign { .. })) => {
                Err(AssignError::Refused { class: ErrorClass::Refused, message: error.to_string() })
            }
            Err(error @ TakeError::Exhausted { .. }) => {
                Err(AssignError::Refused { class: ErrorClass::Exhausted, message: error.to_string() })
            }
        }
    }

    async fn release(&self, lease: &Lease) -> Result<Vec<IpAddr>, AssignError> {
        Yield::default().await;
        let outcome = self.store.give_back(&self.lease_for(lease, Planted::UnfencedPool)).await;
        self.watch("addresses given back", lease, &outcome);
        // One that was not adopted is let go of, whatever is in its notes.
        let record = self.store.get(lease.key).await?;
        let is_let_go = record.is_some_and(|record| record.life.adopts.is_some());
        let left = self.world.with(|cluster| cluster.marked(OwnerMark(lease.key)));
        if outcome.is_ok() && !left.is_empty() && !is_let_go {
            let why = format!("addresses given back while there still was {left:?}");
            self.violations.lock().unwrap().push(why);
        }
        Yield::default().await;
        Ok(outcome?.into_iter().map(|held| held.address).collect())
    }

    async fn release_only(&self, lease: &Lease, addresses: &[IpAddr]) -> Result<Vec<IpAddr>, AssignError> {
        Yield::default().await;
        let outcome =
            self.store.give_back_only(&self.lease_for(lease, Planted::UnfencedPool), addresses).await;
        self.watch("replaced addresses given back", lease, &outcome);
        let lets_out = self.world.with(|cluster| {
            let ours = cluster.marked(OwnerMark(lease.key));
            let machines = ours.iter().filter_map(|vmid| cluster.machines.get(vmid));
            let members: Vec<IpAddr> = machines
                .flat_map(|machine| machine.firewall.filters.values().flatten())
                .map(ipnet::IpNet::addr)
                .collect();
            addresses.iter().copied().find(|address| members.contains(address))
        });
        if let (Ok(_), Some(address)) = (&outcome, lets_out) {
            let why = format!("{address} given back while the machine's filter lets it out");
            self.violations.lock().unwrap().push(why);
        }
        Yield::default().await;
        Ok(outcome?.into_iter().map(|held| held.address).collect())
    }
}

fn assignment(held: HeldAddress) -> Assignment {
    let HeldAddress { nic, address, pool } = held;
    let (prefix_len, gateway) = match Family::of(address) {
        Family::V4 => (24, "192.0.2.1"),
        Family::V6 => (64, "2001:db8::1"),
    };
    Assignment { nic, address, prefix_len, gateway: gateway.parse().ok(), resolvers: Vec::new(), pool }
}
