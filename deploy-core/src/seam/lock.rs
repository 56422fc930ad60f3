use crate::{Lock, StoreError, VmKey};
use async_trait::async_trait;
use jiff::Timestamp;

/// Remembers since when machines were seen locked. PVE does not write that down, and whoever asks may be a program that runs
/// for a second; so it is kept with the records.
///
/// # Guarantees
/// Every call is one transaction, and goes by the store's clock.
///
/// # Cancel safety
/// A dropped call may have been carried out; asking again is safe.
#[async_trait]
pub trait LockStore: Send + Sync {
    /// Takes down how machines were seen, and says of those that are locked since when every look in a row has shown this
    /// lock, in the order of their keys. One that is seen without it in between is forgotten; what happened between two looks
    /// nobody knows. Costs a write only where something changed. Of several entries of a machine the last counts.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn locks_seen(&self, seen: &[SeenLock]) -> Result<Vec<LockedSince>, StoreError>;
}

/// How a machine was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenLock {
    /// The machine.
    pub key: VmKey,
    /// Its lock, if it was locked.
    pub lock: Option<Lock>,
}

/// Since when a machine was seen locked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedSince {
    /// The machine.
    pub key: VmKey,
    /// Its lock.
    pub lock: Lock,
    /// Since when.
    pub since: Timestamp,
}
