//! Delivers notices: oldest first for each machine, tried again without limit.

use deploy_core::{LeaseStore, NoticeId, Notifier, QueuedNotice, StoreError, WorkerId};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::{task::JoinSet, time::Instant};
use tracing::{debug, warn};

/// Deliveries at once.
const AT_ONCE: usize = 8;
/// Notices read at once, beside those that wait to be tried again.
const WINDOW: usize = 64;
/// A delivery that takes longer has failed; without an end, one receiver that hangs would silence all others.
const PATIENCE: Duration = Duration::from_secs(60);
/// Delays between tries double from the first to the longest.
const FIRST_DELAY: Duration = Duration::from_secs(1);
const LONGEST_DELAY: Duration = Duration::from_secs(300);

/// What this process knows of the notices that wait. The store gives each to one worker that lives.
pub(crate) struct Outbox {
    store: Arc<dyn LeaseStore>,
    notifier: Arc<dyn Notifier>,
    tries: BTreeMap<NoticeId, Tries>,
}

/// The tries of one notice.
#[derive(Clone, Copy, Default)]
struct Tries {
    failed: u32,
    /// When it is tried again.
    at: Option<Instant>,
    /// It was told; what remains is to note that in the store.
    told: bool,
}

/// What a round came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Round {
    /// Notices delivered.
    pub(crate) delivered: usize,
    /// When the next round is worth it; `None` is after the usual pause.
    pub(crate) next: Option<Instant>,
}

impl Outbox {
    pub(crate) fn new(store: Arc<dyn LeaseStore>, notifier: Arc<dyn Notifier>) -> Self {
        Self { store, notifier, tries: BTreeMap::new() }
    }

    /// Delivers what waits for this worker and is due, at most one notice of each machine, so that none overtakes an older one.
    ///
    /// One round at a time: a list that was read before a delivery was noted would have it delivered again.
    ///
    /// # Errors
    /// [`StoreError`] where the list could not be read.
    pub(crate) async fn round(&mut self, worker: WorkerId) -> Result<Round, StoreError> {
        let limit = WINDOW + self.tries.len();
        let listed = self.store.notices(worker, limit).await?;
        if listed.len() < limit {
            self.forget_done(&listed);
        }
        let due = self.due(listed, Instant::now());
        let delivered = self.deliver(due).await;
        let retry = self.tries.values().filter_map(|tries| tries.at).min();
        let next = if delivered > 0 { Some(Instant::now()) } else { retry };
        Ok(Round { delivered, next })
    }

    /// Forgets the tries of notices that are another worker's by now, or were delivered by one.
    fn forget_done(&mut self, listed: &[QueuedNotice]) {
        let waiting: BTreeSet<NoticeId> = listed.iter().map(|notice| notice.id).collect();
        self.tries.retain(|id, _| waiting.contains(id));
    }

    /// The oldest notice of each machine, if it is to be tried now.
    fn due(&self, listed: Vec<QueuedNotice>, now: Instant) -> Vec<QueuedNotice> {
        let mut seen = BTreeSet::new();
        let mut is_due = |notice: &QueuedNotice| {
            let tried = self.tries.get(&notice.id);
            seen.insert(notice.key) && tried.and_then(|tries| tries.at).is_none_or(|at| at <= now)
        };
        listed.into_iter().filter(|notice| is_due(notice)).collect()
    }

    /// Delivers these, a few at once, and says how many succeeded.
    async fn deliver(&mut self, due: Vec<QueuedNotice>) -> usize {
        let mut delivered = 0;
        let mut running = JoinSet::new();
        let mut due = due.into_iter();
        loop {
            while running.len() < AT_ONCE
                && let Some(notice) = due.next()
            {
                let told = self.tries.get(&notice.id).is_some_and(|tries| tries.told);
                // Counted beforehand, so that a notifier that panics does not leave it untried.
                let tries = self.tries.entry(notice.id).or_default();
                tries.failed = tries.failed.saturating_add(1);
                tries.postpone();
                running.spawn(attempt(Arc::clone(&self.store), Arc::clone(&self.notifier), notice, told));
            }
            match running.join_next().await {
                None => return delivered,
                Some(Ok((id, Attempt::Noted))) => {
                    self.tries.remove(&id);
                    delivered += 1;
                }
                Some(Ok((id, attempt))) => {
                    let tries = self.tries.entry(id).or_default();
                    tries.told |= matches!(attempt, Attempt::Told);
                    tries.postpone();
                }
                Some(Err(error)) => warn!(%error, "the notifier panicked"),
            }
        }
    }
}

impl Tries {
    fn postpone(&mut self) {
        let doublings = self.failed.saturating_sub(1).min(16);
        self.at = Some(Instant::now() + FIRST_DELAY.saturating_mul(1 << doublings).min(LONGEST_DELAY));
    }
}

/// How far an attempt came.
enum Attempt {
    /// Nobody was told.
    Failed,
    /// It was told, and that could not be noted: to tell it again would be wrong.
    Told,
    /// It was told and noted.
    Noted,
}

async fn attempt(
    store: Arc<dyn LeaseStore>,
    notifier: Arc<dyn Notifier>,
    notice: QueuedNotice,
    told: bool,
) -> (NoticeId, Attempt) {
    let id = notice.id;
    if !told {
        let outcome = tokio::time::timeout(PATIENCE, notifier.notify(&notice)).await;
        let failure = match outcome {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("no answer in {} s", PATIENCE.as_secs())),
        };
        if let Some(error) = failure {
            warn!(vm = %notice.key, notice = id.0, error, "a notice was not delivered; it is tried again");
            return (id, Attempt::Failed);
        }
    }
    match store.delivered(id).await {
        Ok(()) => {
            debug!(vm = %notice.key, notice = id.0, "notice delivered");
            (id, Attempt::Noted)
        }
        Err(error) => {
            warn!(vm = %notice.key, notice = id.0, %error, "a delivered notice could not be noted as such");
            (id, Attempt::Told)
        }
    }
}

#[cfg(test)]
mod tests;
