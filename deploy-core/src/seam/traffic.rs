use crate::{MachineReading, StoreError, TrafficOfDay, TrafficQuery, TrafficTotal, VmKey};
use async_trait::async_trait;

/// Where traffic is counted.
///
/// # Guarantees
/// - A reading is counted once: one that is not newer than its machine's last is dropped, so that the same may be handed in
///   again, and by several workers.
/// - Total, day and last reading change together, or not at all.
/// - A total never becomes less.
///
/// # Cancel safety
/// A dropped call may have been carried out; asking again counts nothing twice.
#[async_trait]
pub trait TrafficStore: Send + Sync {
    /// Counts what came [beyond](crate::CounterReading::beyond) each machine's last reading. A machine that no record is of
    /// is left out; one that is named twice counts as with two calls.
    ///
    /// # Errors
    /// [`StoreError`]; nothing was counted, or nobody knows.
    async fn count_traffic(&self, readings: &[MachineReading]) -> Result<(), StoreError>;

    /// The totals of these machines that were ever read, in the order of their keys.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn traffic_totals(&self, keys: &[VmKey]) -> Result<Vec<TrafficTotal>, StoreError>;

    /// What machines had day by day, by key and day; days without any are left out.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn traffic_by_day(&self, query: &TrafficQuery) -> Result<Vec<TrafficOfDay>, StoreError>;
}
