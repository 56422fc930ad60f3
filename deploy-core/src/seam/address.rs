use crate::{
    BridgeName, ClusterName, CommitError, ErrorClass, Family, Lease, NicSlot, PoolName, StoreError, VlanId,
    VmKey,
};
use async_trait::async_trait;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Gives machines their addresses.
///
/// # Guarantees
/// - All or nothing: either every request is met, or nothing is taken.
/// - Once: a machine that asks again gets the same addresses.
/// - Two machines never hold one address, also with many workers.
/// - Given back, an address rests before it is given to anybody else, but to a machine that has it already
///   ([`AddressRequest::exactly`]).
/// - Both under the lease's fence: a worker that lost its machine can neither take nor give back.
///
/// # Cancel safety
/// A dropped call may have been carried out; asking again is safe.
#[async_trait]
pub trait IpPool: Send + Sync {
    /// Takes addresses for a machine.
    ///
    /// # Errors
    /// [`AssignError`].
    async fn assign(
        &self,
        lease: &Lease,
        requests: &[AddressRequest],
    ) -> Result<Vec<Assignment>, AssignError>;

    /// Gives back all addresses of a machine, and says which.
    ///
    /// # Errors
    /// [`AssignError`].
    async fn release(&self, lease: &Lease) -> Result<Vec<IpAddr>, AssignError>;

    /// Gives back those of these addresses that a machine holds, and says which they were.
    ///
    /// # Errors
    /// [`AssignError`].
    async fn release_only(&self, lease: &Lease, addresses: &[IpAddr]) -> Result<Vec<IpAddr>, AssignError>;
}

/// So many addresses of one family for one NIC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressRequest {
    /// The NIC.
    pub nic: NicSlot,
    /// The machine's cluster: a pool belongs to one.
    pub cluster: ClusterName,
    /// The NIC's bridge: a pool belongs to one.
    pub bridge: BridgeName,
    /// The NIC's VLAN: a pool belongs to one.
    pub vlan: Option<VlanId>,
    /// The family.
    pub family: Family,
    /// How many.
    pub count: u8,
    /// The pools to take from, in this order; none named means all that belong to cluster, bridge and VLAN.
    pub pools: Vec<PoolName>,
    /// Addresses that the machine holds and is to give up: they do not count, and are not in the answer.
    pub besides: Vec<IpAddr>,
    /// These, and no others; none named means any. They are the machine's already, so that they are taken out of their rest, too.
    pub exactly: Vec<IpAddr>,
}

/// An address that a machine holds, with what the guest must know to use it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// The NIC.
    pub nic: NicSlot,
    /// The address.
    pub address: IpAddr,
    /// The length of the network's prefix.
    pub prefix_len: u8,
    /// The default route.
    pub gateway: Option<IpAddr>,
    /// Resolvers.
    pub resolvers: Vec<IpAddr>,
    /// The pool it is from.
    pub pool: PoolName,
}

/// Addresses could not be taken or given back. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AssignError {
    /// The lease is no longer ours.
    #[error("the machine belongs to another worker now")]
    Fenced,
    /// It is not possible now.
    #[error("{message}")]
    Refused {
        /// [`ErrorClass::Exhausted`] for full pools, [`ErrorClass::Refused`] where no pool fits.
        class: ErrorClass,
        /// What happened, in words.
        message: String,
    },
    /// The store could not be asked, or nobody knows what it did.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<CommitError> for AssignError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Fenced => Self::Fenced,
            CommitError::Store(error) => Self::Store(error),
        }
    }
}

/// A pool of addresses, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// Its name.
    pub name: PoolName,
    /// The cluster it belongs to.
    pub cluster: ClusterName,
    /// The bridge its network is on.
    pub bridge: BridgeName,
    /// The VLAN its network is on; `None` is untagged.
    pub vlan: Option<VlanId>,
    /// The family of all its addresses.
    pub family: Family,
    /// The length of the network's prefix.
    pub prefix_len: u8,
    /// The default route; never given to a machine.
    pub gateway: Option<IpAddr>,
    /// Resolvers, at most two.
    pub resolvers: Vec<IpAddr>,
    /// The ranges as they were given.
    pub ranges: Vec<AddressRange>,
    /// What is left out of them.
    pub exclusions: Vec<AddressRange>,
    /// How long an address rests after it was given back.
    pub rest: SignedDuration,
}

/// Addresses from `first` to `last`, both included, of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AddressRange {
    /// The first.
    pub first: IpAddr,
    /// The last; not below the first.
    pub last: IpAddr,
}

/// A pool and how full it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolUsage {
    /// The pool.
    pub pool: Pool,
    /// Addresses that can be given at once.
    pub free: u128,
    /// Addresses that machines hold.
    pub held: u64,
    /// Addresses that rest.
    pub resting: u64,
}

/// Where addresses are kept: free ones as intervals, held and resting ones as rows.
///
/// Taking one costs the logarithm of the number of intervals, however large the pool is and however full: no list of
/// all addresses is ever made.
///
/// # Guarantees
/// Every call is one transaction. What `take` and `give_back` do is bound to the lease's fence.
#[async_trait]
pub trait AddressStore: Send + Sync {
    /// Creates a pool, or changes the one of this name: `usable` are the addresses it may give from now on, as disjoint
    /// ranges in ascending order. What machines hold stays theirs, also outside of `usable`; what rests, rests on.
    ///
    /// # Errors
    /// [`PoolError::Overlap`] where another pool of the cluster already has one of the addresses.
    async fn put_pool(&self, pool: &Pool, usable: &[AddressRange]) -> Result<(), PoolError>;

    /// Deletes a pool.
    ///
    /// # Errors
    /// [`PoolError::InUse`] while machines hold addresses of it; [`PoolError::NotFound`].
    async fn delete_pool(&self, name: &PoolName) -> Result<(), PoolError>;

    /// All pools by name, with their usage.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn pools(&self) -> Result<Vec<PoolUsage>, StoreError>;

    /// All pools by name, without their usage: asked for every machine that gets addresses, so a store that counts its
    /// rows for [`pools`](Self::pools) should answer this without.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn definitions(&self) -> Result<Vec<Pool>, StoreError> {
        Ok(self.pools().await?.into_iter().map(|usage| usage.pool).collect())
    }

    /// Takes addresses for the lease's machine: all wants or nothing. Wants that the machine holds already (same NIC, same
    /// family) are answered with what it holds. Pools of a want are tried in their order, the lowest free address first;
    /// addresses whose rest is over count as free. Of a want of [exact](Want::exactly) addresses each is taken that nobody holds
    /// and that one of its pools may give, in the order in which they are named.
    ///
    /// # Errors
    /// [`TakeError`].
    async fn take(&self, lease: &Lease, wants: &[Want]) -> Result<Vec<HeldAddress>, TakeError>;

    /// Gives back everything the lease's machine holds; each address rests as long as its pool says.
    ///
    /// # Errors
    /// [`CommitError`].
    async fn give_back(&self, lease: &Lease) -> Result<Vec<HeldAddress>, CommitError>;

    /// Gives back those of these addresses that the lease's machine holds; each rests as long as its pool says.
    ///
    /// # Errors
    /// [`CommitError`].
    async fn give_back_only(
        &self,
        lease: &Lease,
        addresses: &[IpAddr],
    ) -> Result<Vec<HeldAddress>, CommitError>;

    /// What a machine holds.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn held(&self, key: VmKey) -> Result<Vec<HeldAddress>, StoreError>;
}

/// So many addresses from these pools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// The NIC they are for.
    pub nic: NicSlot,
    /// Their family.
    pub family: Family,
    /// How many.
    pub count: u8,
    /// The pools, in the order in which they are tried.
    pub pools: Vec<PoolName>,
    /// Addresses that the machine holds and is to give up: they do not count, and are not in the answer.
    pub besides: Vec<IpAddr>,
    /// These, and no others; none named means any. They are the machine's already, so that they are taken out of their rest, too.
    pub exactly: Vec<IpAddr>,
}

impl Want {
    /// Whether an address that the machine holds is one of those that are wanted.
    pub fn is_met_by(&self, held: &HeldAddress) -> bool {
        held.nic == self.nic
            && Family::of(held.address) == self.family
            && !self.besides.contains(&held.address)
            && (self.exactly.is_empty() || self.exactly.contains(&held.address))
    }
}

/// An address that a machine holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldAddress {
    /// The NIC it is for.
    pub nic: NicSlot,
    /// The address.
    pub address: IpAddr,
    /// The pool it is from.
    pub pool: PoolName,
}

/// Addresses could not be taken. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TakeError {
    /// The lease is no longer ours.
    #[error("the machine belongs to another worker now")]
    Fenced,
    /// A want cannot be met.
    #[error("{} has no {} address left (of {} wanted, {missing} missing)", pools(want), want.family, want.count)]
    Exhausted {
        /// The want.
        want: Want,
        /// How many are missing.
        missing: u8,
    },
    /// An address that is wanted [exactly](Want::exactly) is held, by another machine or for another NIC.
    #[error("{address} is held by machine {holder} ({nic})")]
    Held {
        /// The address.
        address: IpAddr,
        /// Who holds it.
        holder: VmKey,
        /// For which of its NICs.
        nic: NicSlot,
    },
    /// An address that is wanted [exactly](Want::exactly) is none that the pools of the want give.
    #[error("{} does not give {address}", pools(want))]
    Foreign {
        /// The want.
        want: Want,
        /// The address.
        address: IpAddr,
    },
    /// The store could not be asked, or nobody knows what it did.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn pools(want: &Want) -> String {
    match want.pools.as_slice() {
        [] => "no pool".to_owned(),
        [pool] => format!("pool {pool}"),
        pools => {
            format!("none of the pools {}", pools.iter().map(PoolName::as_str).collect::<Vec<_>>().join(", "))
        }
    }
}

/// A pool could not be changed. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// The definition contradicts itself.
    #[error(transparent)]
    Invalid(#[from] crate::Invalid),
    /// Another pool of the cluster has one of the addresses.
    #[error("pool {pool}: {address} already belongs to pool {other}; take it out of one of them")]
    Overlap {
        /// The pool.
        pool: PoolName,
        /// The other pool.
        other: PoolName,
        /// One of the addresses.
        address: IpAddr,
    },
    /// Machines hold addresses of it.
    #[error("pool {pool} cannot be deleted: machines hold {held} of its addresses")]
    InUse {
        /// The pool.
        pool: PoolName,
        /// How many.
        held: u64,
    },
    /// There is no such pool.
    #[error("there is no pool {0}")]
    NotFound(PoolName),
    /// The store could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}
