//! When notices are delivered.

use super::{
    Dispatcher, Parts,
    jobs::{Done, Job},
};
use crate::outbox::{Outbox, Round, Told};
use deploy_core::{LeaseStore, Notifier, StoreError};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;
use tracing::warn;

/// Without a hint, an outbox is looked into this often: only what other processes left behind is found so.
const PAUSE: Duration = Duration::from_secs(5);

/// The outboxes, one for each target. Where there is nobody to deliver notices there are none, and they wait in the store.
pub(super) struct Post {
    store: Arc<dyn LeaseStore>,
    told: Arc<Told>,
    trays: Vec<Tray>,
}

/// The outbox of one target.
struct Tray {
    notifier: Arc<dyn Notifier>,
    /// `None` while it is on its round.
    outbox: Option<Box<Outbox>>,
    at: Instant,
}

impl Post {
    pub(super) fn new(parts: &Parts, now: Instant) -> Self {
        let targets = parts.notifier.iter().flat_map(|notifier| {
            let targets = notifier.targets();
            if targets.is_empty() { vec![Arc::clone(notifier)] } else { targets }
        });
        let targets: Vec<Arc<dyn Notifier>> = targets.collect();
        let (store, told) = (Arc::clone(&parts.store), Arc::new(Told::new(targets.len())));
        let mut post = Self { store, told, trays: Vec::new() };
        for (target, notifier) in targets.into_iter().enumerate() {
            let outbox = Some(post.outbox(&notifier, target));
            post.trays.push(Tray { notifier, outbox, at: now });
        }
        post
    }

    fn outbox(&self, notifier: &Arc<dyn Notifier>, target: usize) -> Box<Outbox> {
        let (store, told) = (Arc::clone(&self.store), Arc::clone(&self.told));
        Box::new(Outbox::new(store, Arc::clone(notifier), target, told))
    }

    pub(super) fn is_away(&self) -> bool {
        self.trays.iter().any(|tray| tray.outbox.is_none())
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.trays.iter().filter(|tray| tray.outbox.is_some()).map(|tray| tray.at).min()
    }

    /// A machine caused a notice.
    pub(super) fn hint(&mut self) {
        let now = Instant::now();
        self.trays.iter_mut().for_each(|tray| tray.at = now);
    }
}

impl Dispatcher {
    pub(super) fn deliver_notices(&mut self, now: Instant) {
        let worker = self.life.worker;
        for (target, tray) in self.post.trays.iter_mut().enumerate().filter(|(_, tray)| tray.at <= now) {
            let Some(mut outbox) = tray.outbox.take() else { continue };
            tray.at = now + PAUSE;
            self.jobs.start(Job::Post(target), async move {
                let result = outbox.round(worker).await;
                Done::Post(target, Some(outbox), result)
            });
        }
    }

    pub(super) fn posted(
        &mut self,
        target: usize,
        outbox: Option<Box<Outbox>>,
        result: Result<Round, StoreError>,
    ) {
        let Some(tray) = self.post.trays.get(target) else { return };
        // One that broke off in its round forgets what was tried, not what was told.
        let outbox = outbox.unwrap_or_else(|| self.post.outbox(&tray.notifier, target));
        let Some(tray) = self.post.trays.get_mut(target) else { return };
        tray.outbox = Some(outbox);
        match result {
            Ok(Round { delivered, next }) => {
                tray.at = tray.at.min(next.unwrap_or(tray.at));
                self.count_notices(delivered);
            }
            Err(error) => warn!(%error, "could not look for notices"),
        }
    }
}
