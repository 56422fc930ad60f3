use crate::QueuedNotice;
use async_trait::async_trait;
use std::sync::Arc;

/// Tells the outside about a machine.
///
/// # Assumptions
/// A notice may be delivered more than once (its delivery succeeded and the process died before that was noted), always
/// with the same [`NoticeId`](crate::NoticeId).
#[async_trait]
pub trait Notifier: Send + Sync {
    /// Delivers a notice. Dropping the future may leave it delivered.
    ///
    /// # Errors
    /// [`NotifyError`]; the notice is tried again later, without limit.
    async fn notify(&self, notice: &QueuedNotice) -> Result<(), NotifyError>;

    /// Whom it consists of, where each can be told by itself. A worker then tells them side by side: none waits for another one,
    /// and none is told again because another one failed. Where there are none, it is told as a whole.
    fn targets(&self) -> Vec<Arc<dyn Notifier>> {
        Vec::new()
    }
}

/// A notice could not be delivered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the notice was not delivered: {0}")]
pub struct NotifyError(pub String);
