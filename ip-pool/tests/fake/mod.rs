//! An address store as naive as can be: it lists addresses, which a real one must not.

use async_trait::async_trait;
use deploy_core::{
    AddressRange, AddressStore, CommitError, HeldAddress, Lease, Pool, PoolError, PoolName, PoolUsage,
    StoreError, TakeError, VmKey, Want,
};
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    sync::Mutex,
};

#[derive(Default)]
pub(crate) struct FakeStore(Mutex<State>);

#[derive(Default)]
struct State {
    pools: BTreeMap<PoolName, (Pool, Vec<IpAddr>)>,
    held: Vec<(VmKey, HeldAddress)>,
    resting: Vec<HeldAddress>,
    epoch: i64,
}

impl State {
    fn free(&self, pool: &PoolName) -> Vec<IpAddr> {
        let taken =
            |a: &IpAddr| self.held.iter().map(|(_, h)| h).chain(&self.resting).any(|h| h.address == *a);
        self.pools[pool].1.iter().copied().filter(|a| !taken(a)).collect()
    }
}

impl FakeStore {
    /// Gives the machine to somebody else.
    pub(crate) fn fence(&self) {
        self.0.lock().unwrap().epoch += 1;
    }
}

#[async_trait]
impl AddressStore for FakeStore {
    async fn put_pool(&self, pool: &Pool, usable: &[AddressRange]) -> Result<(), PoolError> {
        let listed = usable.iter().flat_map(|range| match (range.first, range.last) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                (a.to_bits()..=b.to_bits()).map(|n| IpAddr::V4(Ipv4Addr::from_bits(n))).collect::<Vec<_>>()
            }
            // Enough of them for a test.
            (first, _) => vec![first],
        });
        self.0.lock().unwrap().pools.insert(pool.name.clone(), (pool.clone(), listed.collect()));
        Ok(())
    }

    async fn delete_pool(&self, name: &PoolName) -> Result<(), PoolError> {
        let removed = self.0.lock().unwrap().pools.remove(name);
        removed.map(|_| ()).ok_or_else(|| PoolError::NotFound(name.clone()))
    }

    async fn pools(&self) -> Result<Vec<PoolUsage>, StoreError> {
        let state = self.0.lock().unwrap();
        let usage = |(name, (pool, _)): (&PoolName, &(Pool, _))| PoolUsage {
            pool: pool.clone(),
            free: state.free(name).len() as u128,
            held: state.held.iter().filter(|(_, h)| h.pool == *name).count() as u64,
            resting: state.resting.iter().filter(|h| h.pool == *name).count() as u64,
        };
        Ok(state.pools.iter().map(usage).collect())
    }

    async fn take(&self, lease: &Lease, wants: &[Want]) -> Result<Vec<HeldAddress>, TakeError> {
        let mut state = self.0.lock().unwrap();
        if lease.epoch != state.epoch {
            return Err(TakeError::Fenced);
        }
        if state.held.iter().any(|(key, _)| *key == lease.key) {
            let mine = state.held.iter().filter(|(key, _)| *key == lease.key);
            return Ok(mine.map(|(_, held)| held.clone()).collect());
        }
        let mut taken: Vec<HeldAddress> = Vec::new();
        for want in wants {
            let free =
                want.pools.iter().flat_map(|pool| state.free(pool).into_iter().map(move |a| (pool, a)));
            let got: Vec<_> = free
                .filter(|(_, a)| taken.iter().all(|t| t.address != *a))
                .take(usize::from(want.count))
                .map(|(pool, address)| HeldAddress { nic: want.nic, address, pool: pool.clone() })
                .collect();
            let missing = want.count - u8::try_from(got.len()).unwrap();
            if missing > 0 {
                return Err(TakeError::Exhausted { want: want.clone(), missing });
            }
            taken.extend(got);
        }
        state.held.extend(taken.iter().map(|held| (lease.key, held.clone())));
        Ok(taken)
    }

    async fn give_back(&self, lease: &Lease) -> Result<Vec<HeldAddress>, CommitError> {
        let mut state = self.0.lock().unwrap();
        if lease.epoch != state.epoch {
            return Err(CommitError::Fenced);
        }
        let given: Vec<_> =
            state.held.extract_if(.., |(key, _)| *key == lease.key).map(|(_, held)| held).collect();
        state.resting.extend(given.iter().cloned());
        Ok(given)
    }

    async fn held(&self, key: VmKey) -> Result<Vec<HeldAddress>, StoreError> {
        let state = self.0.lock().unwrap();
        Ok(state.held.iter().filter(|(of, _)| *of == key).map(|(_, held)| held.clone()).collect())
    }
}
