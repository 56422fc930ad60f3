use async_trait::async_trait;
use deploy_core::{NoticeId, NoticeKind, Notifier, NotifyError, QueuedNotice};
use futures_util::future::join_all;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

/// Notices that were begun and are not through, of which it is kept who was told. More than a worker has in hand at once.
const BEGUN: usize = 10_000;

/// Tells several targets, each of the kinds that concern it, and each of them once.
///
/// # How often a target is told
/// A notice is delivered when every target has it. One that fails is tried again, with the notice and alone: whoever has been
/// told is remembered and left in peace. What is remembered is in memory, so that a target is told again in one case only: the
/// worker died, or its lease ran out, while another target still was to be told. It is then the same notice with the same
/// [id](QueuedNotice::id), as the seam has it, and receivers that go by the id see one event: a mail has the same Message-ID, a
/// webhook the same `webhook-id`.
///
/// # What a failing target holds back
/// Nobody but itself: a worker goes by the [targets](Notifier::targets) and tells each of them by itself, the notices of one machine
/// in their order. A notice stays in the store until the last of them has it, so that a target that is gone for good should be
/// taken out.
///
/// # Cancel safety
/// Dropping a delivery forgets nothing of the targets that were through by then.
#[derive(Default)]
pub struct Fanout {
    targets: Vec<Arc<Target>>,
    told: Mutex<BTreeMap<NoticeId, BTreeSet<usize>>>,
}

struct Target {
    name: String,
    kinds: BTreeSet<NoticeKind>,
    notifier: Arc<dyn Notifier>,
}

impl Fanout {
    /// Tells nobody yet; then every notice counts as delivered.
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells this one, too: notices of these kinds. The name is for errors.
    pub fn with(
        mut self,
        name: impl Into<String>,
        kinds: impl IntoIterator<Item = NoticeKind>,
        notifier: impl Notifier + 'static,
    ) -> Self {
        let kinds = kinds.into_iter().collect();
        self.targets.push(Arc::new(Target { name: name.into(), kinds, notifier: Arc::new(notifier) }));
        self
    }

    fn was_told(&self, id: NoticeId, target: usize) -> bool {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.get(&id).is_some_and(|targets| targets.contains(&target))
    }

    fn note(&self, id: NoticeId, target: usize) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.entry(id).or_default().insert(target);
        // What another worker has delivered since is never asked for again: the oldest are forgotten.
        if told.len() > BEGUN {
            told.pop_first();
        }
    }

    async fn tell(&self, at: usize, target: &Target, notice: &QueuedNotice) -> Result<(), NotifyError> {
        target.notify(notice).await?;
        self.note(notice.id, at);
        Ok(())
    }
}

/// What does not concern it counts as told.
#[async_trait]
impl Notifier for Target {
    async fn notify(&self, notice: &QueuedNotice) -> Result<(), NotifyError> {
        if !self.kinds.contains(&notice.notice.kind()) {
            return Ok(());
        }
        let outcome = self.notifier.notify(notice).await;
        outcome.map_err(|NotifyError(why)| NotifyError(format!("{}: {why}", self.name)))
    }
}

#[async_trait]
impl Notifier for Fanout {
    async fn notify(&self, notice: &QueuedNotice) -> Result<(), NotifyError> {
        let targets = self.targets.iter().enumerate().filter(|(at, _)| !self.was_told(notice.id, *at));
        let told = join_all(targets.map(|(at, target)| self.tell(at, target, notice))).await;
        let failures: Vec<String> = told.into_iter().filter_map(Result::err).map(|error| error.0).collect();
        if !failures.is_empty() {
            return Err(NotifyError(failures.join("; ")));
        }
        self.told.lock().unwrap_or_else(PoisonError::into_inner).remove(&notice.id);
        Ok(())
    }

    fn targets(&self) -> Vec<Arc<dyn Notifier>> {
        self.targets.iter().map(|target| Arc::clone(target) as Arc<dyn Notifier>).collect()
    }
}

impl fmt::Debug for Fanout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let targets = self.targets.iter().map(|target| (&target.name, &target.kinds));
        f.debug_map().entries(targets).finish()
    }
}
