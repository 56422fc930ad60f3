use crate::QueuedNotice;
use async_trait::async_trait;

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
}

/// A notice could not be delivered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the notice was not delivered: {0}")]
pub struct NotifyError(pub String);
