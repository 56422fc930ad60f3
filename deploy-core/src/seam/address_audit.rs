use crate::{ClusterName, HeldAddress, StoreError, VmKey};
use async_trait::async_trait;

/// Looks for addresses that are held and belong to nobody.
#[async_trait]
pub trait AddressAudit: Send + Sync {
    /// Addresses that are held for a machine of which nothing is left, or which no record is of, by cluster and in their
    /// order, at most so many. There should be none: addresses are given back before a machine is terminated.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn orphaned_addresses(&self, limit: usize) -> Result<Vec<OrphanedAddress>, StoreError>;
}

/// An address that nobody will give back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrphanedAddress {
    /// The cluster of its pool.
    pub cluster: ClusterName,
    /// For whom it is held.
    pub key: VmKey,
    /// The address.
    pub held: HeldAddress,
}
