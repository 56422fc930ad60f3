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
/// The notices of one machine are told in their order. While a target cannot be told of one of them, the later ones of this
/// machine wait, for all targets; those of other machines do not. So a target that is gone for good must be taken out.
///
/// # Cancel safety
/// Dropping a delivery forgets nothing of the targets that were through by then.
#[derive(Default)]
pub struct Fanout {
    targets: Vec<Target>,
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
        self.targets.push(Target { name: name.into(), kinds, notifier: Arc::new(notifier) });
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

    async fn tell(&self, at: usize, target: &Target, notice: &QueuedNotice) -> Result<(), String> {
        let outcome = target.notifier.notify(notice).await;
        match outcome {
            Ok(()) => {
                self.note(notice.id, at);
                Ok(())
            }
            Err(NotifyError(why)) => Err(format!("{}: {why}", target.name)),
        }
    }
}

#[async_trait]
impl Notifier for Fanout {
    async fn notify(&self, notice: &QueuedNotice) -> Result<(), NotifyError> {
        let kind = notice.notice.kind();
        let concerned = self
            .targets
            .iter()
            .enumerate()
            .filter(|(at, target)| target.kinds.contains(&kind) && !self.was_told(notice.id, *at));
        let told = join_all(concerned.map(|(at, target)| self.tell(at, target, notice))).await;
        let failures: Vec<String> = told.into_iter().filter_map(Result::err).collect();
        if !failures.is_empty() {
            return Err(NotifyError(failures.join("; ")));
        }
        self.told.lock().unwrap_or_else(PoisonError::into_inner).remove(&notice.id);
        Ok(())
    }
}

impl fmt::Debug for Fanout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let targets = self.targets.iter().map(|target| (&target.name, &target.kinds));
        f.debug_map().entries(targets).finish()
    }
}
