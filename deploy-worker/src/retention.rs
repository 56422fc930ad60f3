use deploy_core::{LogId, LogKeep, LogRetention, StoreError};
use jiff::{SignedDuration, Timestamp};
use std::{num::NonZeroU32, time::Duration};

/// How long the deploy log is kept.
///
/// Nothing else of a store needs that: notices go when they are delivered, commands when they are consumed, workers that are gone
/// a week after their time. Records stay, also of machines that are terminated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionPolicy {
    /// Entries that happened last before so long are deleted; by default after 90 days.
    pub log: SignedDuration,
    /// Of a machine that is not terminated at least so many of the newest are kept, however old; by default all of them: the log
    /// of a machine is its history as long as it lives.
    pub of_living: Option<NonZeroU32>,
    /// So many entries are looked at in one transaction; by default 1,000, which takes some milliseconds to
    /// some tens of them.
    pub batch: usize,
    /// The pause between two of them, for others to write in and for the database to clean up; by default 50 ms.
    pub pause: Duration,
}

impl Default for RetentionPolicy {
    fn default() -> Self {
        Self {
            log: SignedDuration::from_hours(90 * 24),
            of_living: None,
            batch: 1000,
            pause: Duration::from_millis(50),
        }
    }
}

/// What was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Pruned {
    /// Entries of the deploy log.
    pub log_entries: u64,
}

/// Deletes what is older than the policy wants it, in small steps with pauses in between. `now` is the store's time.
///
/// # Errors
/// [`StoreError`]; what was deleted until then stays deleted.
///
/// # Cancel safety
/// Dropped, it has deleted some of it; the next time goes on with the rest. Several at once do no harm.
///
/// # Panics
/// Outside of a tokio runtime with time.
pub async fn retention(
    store: &dyn LogRetention,
    now: Timestamp,
    policy: &RetentionPolicy,
) -> Result<Pruned, StoreError> {
    let since = now.checked_sub(policy.log).unwrap_or(Timestamp::MIN);
    let keep = LogKeep { since, of_living: policy.of_living };
    let mut pruned = Pruned::default();
    let mut after = LogId::default();
    loop {
        let step = store.prune_log(&keep, after, policy.batch.max(1)).await?;
        pruned.log_entries += step.deleted;
        match step.next {
            // One that stands still would go on for ever.
            Some(next) if next > after => after = next,
            _ => return Ok(pruned),
        }
        tokio::time::sleep(policy.pause).await;
    }
}
