use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;

/// Something that is so or not, and can be waited for. Whoever waits is woken in the order of waiting, unlike with tokio's
/// `watch`, so that a run can be repeated.
#[derive(Default)]
pub(crate) struct Flag {
    is_set: AtomicBool,
    changed: Notify,
}

impl Flag {
    pub(crate) fn set(&self, is_set: bool) {
        self.is_set.store(is_set, Ordering::Relaxed);
        self.changed.notify_waiters();
    }

    pub(crate) fn is_set(&self) -> bool {
        self.is_set.load(Ordering::Relaxed)
    }

    /// Returns when it is so.
    pub(crate) async fn until(&self, is_set: bool) {
        while self.is_set() != is_set {
            self.changed.notified().await;
        }
    }
}
