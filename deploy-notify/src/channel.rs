use async_trait::async_trait;
use deploy_core::{Notifier, NotifyError, QueuedNotice};
use tokio::sync::{mpsc, oneshot};

/// Hands notices to the program that embeds the engine, and waits until they were dealt with.
///
/// Made by [`channel`]. Nothing is lost: a notice that finds the channel full or its receiver gone, or whose [`Told`] is dropped
/// without [`Told::done`], has not been delivered, and is tried again.
#[derive(Debug, Clone)]
pub struct Channel(mpsc::Sender<Told>);

/// A notice that was handed over. It counts as delivered once [`done`](Self::done) is called.
#[derive(Debug)]
pub struct Told {
    /// The notice.
    pub notice: QueuedNotice,
    answer: oneshot::Sender<()>,
}

/// A channel that holds at most so many notices which nobody has taken yet, at least one.
///
/// ```
/// # async fn example() {
/// let (notifier, mut notices) = deploy_notify::channel(64);
/// // The notifier goes to the worker; and somewhere else:
/// tokio::spawn(async move {
///     while let Some(told) = notices.recv().await {
///         println!("{}: {}", told.notice.external_ref, told.notice.notice.kind());
///         told.done();
///     }
/// });
/// # let _ = notifier;
/// # }
/// ```
pub fn channel(capacity: usize) -> (Channel, mpsc::Receiver<Told>) {
    let (sender, receiver) = mpsc::channel(capacity.max(1));
    (Channel(sender), receiver)
}

impl Told {
    /// It was dealt with: it will not come again, unless the worker dies before it has noted that.
    pub fn done(self) {
        // Nobody waits any more where delivering took too long. The notice then comes again, with the same id.
        let _ = self.answer.send(());
    }
}

#[async_trait]
impl Notifier for Channel {
    async fn notify(&self, notice: &QueuedNotice) -> Result<(), NotifyError> {
        let (answer, done) = oneshot::channel();
        let told = Told { notice: notice.clone(), answer };
        self.0.try_send(told).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => NotifyError("the channel is full".to_owned()),
            mpsc::error::TrySendError::Closed(_) => NotifyError("nobody listens to the channel".to_owned()),
        })?;
        done.await.map_err(|_| NotifyError("the listener dropped the notice".to_owned()))
    }
}
