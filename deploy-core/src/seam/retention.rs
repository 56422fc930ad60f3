use crate::{LogId, StoreError};
use async_trait::async_trait;
use jiff::Timestamp;
use std::num::NonZeroU32;

/// Forgets the deploy log's oldest entries. It is all of a store that grows for ever by itself: notices go when they are
/// delivered, commands when they are consumed, and workers a week after their time.
///
/// # Guarantees
/// Every call is one short transaction. It looks at no more entries than it is told to, however many there are, so that nobody
/// has to wait for it.
///
/// # Cancel safety
/// A dropped call may have been carried out; asking again is safe.
#[async_trait]
pub trait LogRetention: Send + Sync {
    /// Looks at the entries after this one, oldest first, at most so many and only as far as they are old, and deletes those
    /// that are not to be kept. Entries that are left keep their numbers, and no number is ever used again.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn prune_log(&self, keep: &LogKeep, after: LogId, limit: usize) -> Result<LogPruned, StoreError>;
}

/// Which entries of the deploy log are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogKeep {
    /// All that happened, or happened again, at this time or later.
    pub since: Timestamp,
    /// Of a machine that is not terminated at least so many of the newest, however old; `None` is all of them.
    pub of_living: Option<NonZeroU32>,
}

/// What a call came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogPruned {
    /// How many entries were deleted.
    pub deleted: u64,
    /// Up to which entry it has looked, where older ones than [`LogKeep::since`] may follow.
    pub next: Option<LogId>,
}
