//! The front door for panels, and the backend for workers.

use crate::{PoolDefinition, choose};
use async_trait::async_trait;
use deploy_core::{
    AddressRequest, AddressStore, AssignError, Assignment, ErrorClass, HeldAddress, Invalid, IpPool, Lease,
    Pool, PoolError, PoolName, PoolUsage, StoreError, TakeError, Want,
};
use std::{net::IpAddr, sync::Arc};

/// Address pools over a store.
///
/// A panel defines, changes, deletes and lists pools with it; a worker holds it as its [`IpPool`]. It keeps no state: several
/// may work on one store, also in several processes.
///
/// # Cancel safety
/// As the store's: a dropped call may have been carried out; every call may be repeated.
#[derive(Debug)]
pub struct Pools<S: ?Sized> {
    store: Arc<S>,
}

impl<S: ?Sized> Clone for Pools<S> {
    fn clone(&self) -> Self {
        Self { store: Arc::clone(&self.store) }
    }
}

impl<S: AddressStore + ?Sized> Pools<S> {
    /// The pools of `store`.
    pub fn new(store: Arc<S>) -> Self {
        Self { store }
    }

    /// Creates a pool, or changes the one of this name. What machines hold stays theirs, also where the change leaves
    /// it out.
    ///
    /// # Errors
    /// [`PoolError::Invalid`] where the definition contradicts itself, or would turn a pool of which addresses are held or
    /// rest into one of another cluster or family; [`PoolError::Overlap`] where another pool of the cluster has one of the
    /// addresses.
    pub async fn put(&self, definition: &PoolDefinition) -> Result<Pool, PoolError> {
        let named = |invalid: Invalid| invalid.at(&format!("pools.{}", definition.name));
        let plan = definition.plan().map_err(named)?;
        match self.store.put_pool(&plan.pool, &plan.usable).await {
            Ok(()) => Ok(plan.pool),
            Err(PoolError::Invalid(invalid)) => Err(named(invalid).into()),
            Err(error) => Err(error),
        }
    }

    /// Deletes a pool.
    ///
    /// # Errors
    /// [`PoolError::InUse`] while machines hold addresses of it; [`PoolError::NotFound`].
    pub async fn delete(&self, name: &PoolName) -> Result<(), PoolError> {
        self.store.delete_pool(name).await
    }

    /// All pools by name, each with what is free, held and resting.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list(&self) -> Result<Vec<PoolUsage>, StoreError> {
        self.store.pools().await
    }

    /// One pool with its usage; `None` where there is none of this name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn usage(&self, name: &PoolName) -> Result<Option<PoolUsage>, StoreError> {
        Ok(self.list().await?.into_iter().find(|usage| usage.pool.name == *name))
    }

    /// Says which pools are full, how full, and what to do. Asked after the fact, so it may tell of a moment later.
    async fn exhausted(&self, want: &Want, missing: u8) -> AssignError {
        let usage = self.list().await.unwrap_or_default();
        let asked: Vec<_> = usage.iter().filter(|usage| want.pools.contains(&usage.pool.name)).collect();
        AssignError::Refused {
            class: ErrorClass::Exhausted,
            message: choose::exhausted(want, missing, &asked),
        }
    }
}

#[async_trait]
impl<S: AddressStore + ?Sized> IpPool for Pools<S> {
    async fn assign(
        &self,
        lease: &Lease,
        requests: &[AddressRequest],
    ) -> Result<Vec<Assignment>, AssignError> {
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        let pools = self.store.definitions().await?;
        let held = self.store.held(lease.key).await?;
        let wants = requests
            .iter()
            .map(|request| choose::want(request, &pools, &held))
            .collect::<Result<Vec<_>, _>>()?;
        // Also where everything is held already: only the store can tell whether the lease is still ours.
        let taken = match self.store.take(lease, &wants).await {
            Ok(taken) => taken,
            Err(TakeError::Fenced) => return Err(AssignError::Fenced),
            Err(TakeError::Store(error)) => return Err(error.into()),
            Err(TakeError::Exhausted { want, missing }) => return Err(self.exhausted(&want, missing).await),
            Err(TakeError::Held { address, holder, nic }) => return Err(choose::held(address, holder, nic)),
            Err(TakeError::Foreign { want, address }) => return Err(choose::foreign(&want, address)),
        };
        taken.into_iter().map(|address| told(address, &pools)).collect()
    }

    async fn release(&self, lease: &Lease) -> Result<Vec<IpAddr>, AssignError> {
        let given_back = self.store.give_back(lease).await?;
        Ok(given_back.into_iter().map(|held| held.address).collect())
    }

    async fn release_only(&self, lease: &Lease, addresses: &[IpAddr]) -> Result<Vec<IpAddr>, AssignError> {
        let given_back = self.store.give_back_only(lease, addresses).await?;
        Ok(given_back.into_iter().map(|held| held.address).collect())
    }
}

/// An address with what its guest must know to use it.
fn told(held: HeldAddress, pools: &[Pool]) -> Result<Assignment, AssignError> {
    let Some(pool) = pools.iter().find(|pool| pool.name == held.pool) else {
        // Made by somebody between our two questions; asked again, it is there.
        let message = format!("pool {} of address {} is not known yet", held.pool, held.address);
        return Err(StoreError::not_written(message).into());
    };
    Ok(Assignment {
        nic: held.nic,
        address: held.address,
        prefix_len: pool.prefix_len,
        gateway: pool.gateway,
        resolvers: pool.resolvers.clone(),
        pool: held.pool,
    })
}
