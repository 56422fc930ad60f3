//! What happens to machines, as it happens.

use deploy_core::{Deployments, Doorbell, LogEntry, LogId, StoreError, VmKey};
use std::{collections::VecDeque, sync::Arc, time::Duration};
use tokio::sync::Notify;

/// So many events are read at once.
const PAGE: usize = 256;

/// How often the store is asked unless said otherwise.
const EVERY: Duration = Duration::from_secs(1);

/// The events of all machines, one after the other: the entries of the deploy log, as a stream for embedders.
///
/// It follows a cursor, so that nothing is missed and nothing comes twice: whoever keeps the [`cursor`](Self::cursor) with what it
/// made of the event goes on there after a crash. A repetition that is only counted is no event. The store is asked once a second,
/// and sooner where the [`doorbell`](Self::doorbell) is rung.
///
/// ```
/// # use deploy_core::{Deployments, LogId, StoreError};
/// # use deploy_worker::EventStream;
/// # async fn follow(panel: Deployments, seen: LogId) -> Result<(), StoreError> {
/// let mut events = EventStream::new(panel, seen);
/// loop {
///     let entry = events.next().await?;
///     println!("{} {}: {}", entry.key, entry.line.step, entry.line.event);
/// }
/// # }
/// ```
pub struct EventStream {
    deployments: Deployments,
    cursor: LogId,
    read: VecDeque<LogEntry>,
    every: Duration,
    bell: Arc<Bell>,
}

/// Wakes whoever waits for events.
#[derive(Default)]
struct Bell(Notify);

impl Doorbell for Bell {
    fn ring(&self, _key: VmKey) {
        self.0.notify_one();
    }

    fn wake(&self) {
        self.0.notify_one();
    }
}

impl EventStream {
    /// The events after this one; `LogId::default()` is before the first.
    pub fn new(deployments: Deployments, after: LogId) -> Self {
        Self { deployments, cursor: after, read: VecDeque::new(), every: EVERY, bell: Arc::default() }
    }

    /// Asks the store so often while nothing happens.
    #[must_use]
    pub fn every(mut self, pause: Duration) -> Self {
        self.every = pause;
        self
    }

    /// A bell that has it look at once: for whoever writes in this process, and for what a store hears from others.
    pub fn doorbell(&self) -> Arc<dyn Doorbell> {
        Arc::clone(&self.bell) as Arc<dyn Doorbell>
    }

    /// The last event that [`next`](Self::next) answered with.
    pub fn cursor(&self) -> LogId {
        self.cursor
    }

    /// The next event; waits until there is one.
    ///
    /// # Errors
    /// [`StoreError`]; asked again, it goes on where it was.
    ///
    /// # Cancel safety
    /// Dropping it loses no event.
    pub async fn next(&mut self) -> Result<LogEntry, StoreError> {
        loop {
            if let Some(entry) = self.read.pop_front() {
                self.cursor = entry.id;
                return Ok(entry);
            }
            self.read = self.deployments.events(self.cursor, PAGE).await?.into();
            if self.read.is_empty() {
                // Rung between the look and here, it is remembered.
                let _ = tokio::time::timeout(self.every, self.bell.0.notified()).await;
            }
        }
    }
}
