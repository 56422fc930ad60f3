//! Delivers notices: oldest first for each machine, tried again without limit; to each target by itself.

mod told;

use told::Left;
pub(crate) use told::Told;

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

/// What this process knows of the notices that wait, for one target. The store gives each to one worker that lives.
///
/// Each target has one of its own, with rounds of its own, so that one that fails or hangs holds up nobody else.
pub(crate) struct Outbox {
    store: Arc<dyn LeaseStore>,
    notifier: Arc<dyn Notifier>,
    /// Which of the targets this is.
    target: usize,
    told: Arc<Told>,
    tries: BTreeMap<NoticeId, Tries>,
}

/// The tries of one notice.
#[derive(Clone, Copy, Default)]
struct Tries {
    failed: u32,
    /// When it is tried again.
    at: Option<Instant>,
}

/// What a round came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Round {
    /// Notices that are delivered: all targets have heard them, and that is noted.
    pub(crate) delivered: usize,
    /// When the next round is worth it; `None` is after the usual pause.
    pub(crate) next: Option<Instant>,
}

impl Outbox {
    pub(crate) fn new(
        store: Arc<dyn LeaseStore>,
        notifier: Arc<dyn Notifier>,
        target: usize,
        told: Arc<Told>,
    ) -> Self {
        Self { store, notifier, target, told, tries: BTreeMap::new() }
    }

    /// Tells the target what waits for this worker and is due, at most one notice of each machine, so that none overtakes an
    /// older one.
    ///
    /// One round at a time: a list that was read before a delivery was noted would have it delivered again.
    ///
    /// # Errors
    /// [`StoreError`] where the list could not be read.
    pub(crate) async fn round(&mut self, worker: WorkerId) -> Result<Round, StoreError> {
        let limit = WINDOW + self.tries.len() + self.told.count(self.target);
        let listed = self.store.notices(worker, limit).await?;
        self.forget_done(&listed, limit);
        let due = self.due(listed, Instant::now());
        let (told, delivered) = self.deliver(due).await;
        let retry = self.tries.values().filter_map(|tries| tries.at).min();
        let next = if told + delivered > 0 { Some(Instant::now()) } else { retry };
        Ok(Round { delivered, next })
    }

    /// Forgets notices that are another worker's by now, or were delivered: the list has all that wait, up to its end.
    fn forget_done(&mut self, listed: &[QueuedNotice], limit: usize) {
        let end = listed.last().filter(|_| listed.len() == limit).map(|notice| notice.id);
        let waiting: BTreeSet<NoticeId> = listed.iter().map(|notice| notice.id).collect();
        let waits = |id: &NoticeId| waiting.contains(id) || end.is_some_and(|end| *id > end);
        self.tries.retain(|id, _| waits(id));
        self.told.retain(self.target, waits);
    }

    /// The oldest notice of each machine that the target has not heard, if it is to be tried now. One that all have heard is
    /// among them: that is still to be noted.
    fn due(&self, listed: Vec<QueuedNotice>, now: Instant) -> Vec<QueuedNotice> {
        let mut seen = BTreeSet::new();
        let mut is_due = |notice: &QueuedNotice| {
            let tried = self.tries.get(&notice.id);
            match self.told.left(self.target, notice.id) {
                Left::Wait | Left::Nothing => false,
                Left::Tell | Left::Note => {
                    seen.insert(notice.key) && tried.and_then(|tries| tries.at).is_none_or(|at| at <= now)
                }
            }
        };
        listed.into_iter().filter(|notice| is_due(notice)).collect()
    }

    /// Tells these, a few at once, and says how many the target has heard that others still have to, and how many are delivered.
    async fn deliver(&mut self, due: Vec<QueuedNotice>) -> (usize, usize) {
        let (mut told, mut delivered) = (0, 0);
        let mut running = JoinSet::new();
        let mut due = due.into_iter();
        loop {
            while running.len() < AT_ONCE
                && let Some(notice) = due.next()
            {
                // Counted beforehand, so that a notifier that panics does not leave it untried.
                let tries = self.tries.entry(notice.id).or_default();
                tries.failed = tries.failed.saturating_add(1);
                tries.postpone();
                running.spawn(self.attempt(notice));
            }
            match running.join_next().await {
                None => return (told, delivered),
                Some(Ok((id, Attempt::Told))) => {
                    self.tries.remove(&id);
                    told += 1;
                }
                Some(Ok((id, Attempt::Noted))) => {
                    self.tries.remove(&id);
                    delivered += 1;
                }
                Some(Ok((id, Attempt::Failed))) => self.tries.entry(id).or_default().postpone(),
                Some(Err(error)) => warn!(%error, "the notifier panicked"),
            }
        }
    }

    /// Tells a notice, if the target has not heard it, and notes it as delivered, if all have.
    fn attempt(&self, notice: QueuedNotice) -> impl Future<Output = (NoticeId, Attempt)> + use<> {
        let (store, notifier) = (Arc::clone(&self.store), Arc::clone(&self.notifier));
        let (told, target, id) = (Arc::clone(&self.told), self.target, notice.id);
        async move {
            // What was told and not noted must not be told again.
            if told.left(target, id) == Left::Tell {
                if let Err(error) = tell(&*notifier, &notice).await {
                    warn!(vm = %notice.key, notice = id.0, error, "a notice was not delivered; it is tried again");
                    return (id, Attempt::Failed);
                }
                told.heard(target, id);
            }
            if told.left(target, id) != Left::Note {
                return (id, Attempt::Told);
            }
            match store.delivered(id).await {
                Ok(()) => {
                    debug!(vm = %notice.key, notice = id.0, "notice delivered");
                    // Two targets may have heard it at one moment.
                    (id, if told.noted(id) { Attempt::Noted } else { Attempt::Told })
                }
                Err(error) => {
                    warn!(vm = %notice.key, notice = id.0, %error, "a delivered notice could not be noted as such");
                    (id, Attempt::Failed)
                }
            }
        }
    }
}

async fn tell(notifier: &dyn Notifier, notice: &QueuedNotice) -> Result<(), String> {
    match tokio::time::timeout(PATIENCE, notifier.notify(notice)).await {
        Ok(outcome) => outcome.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer in {} s", PATIENCE.as_secs())),
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
    /// The target was not told, or that all were could not be noted.
    Failed,
    /// The target was told; others still are to be, or one of them has noted that they were.
    Told,
    /// All were told, and that was noted.
    Noted,
}

#[cfg(test)]
mod tests;
