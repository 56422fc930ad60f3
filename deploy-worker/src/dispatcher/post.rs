//! When notices are delivered.

use super::{
    Dispatcher, Parts,
    jobs::{Done, Job},
};
use crate::outbox::{Outbox, Round};
use deploy_core::StoreError;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;
use tracing::warn;

/// Without a hint, the outbox is looked into this often: only what other processes left behind is found so.
const PAUSE: Duration = Duration::from_secs(5);

/// The outbox, at home or on its round.
pub(super) struct Post {
    outbox: Place,
    at: Instant,
}

enum Place {
    /// There is nobody to deliver notices; they wait in the store.
    Nowhere,
    Home(Box<Outbox>),
    Away,
}

impl Post {
    pub(super) fn new(parts: &Parts, now: Instant) -> Self {
        Self { outbox: Place::of(parts), at: now }
    }

    pub(super) fn is_away(&self) -> bool {
        matches!(self.outbox, Place::Away)
    }

    pub(super) fn next(&self) -> Option<Instant> {
        matches!(self.outbox, Place::Home(_)).then_some(self.at)
    }

    /// A machine caused a notice.
    pub(super) fn hint(&mut self) {
        self.at = Instant::now();
    }
}

impl Place {
    fn of(parts: &Parts) -> Self {
        let Some(notifier) = &parts.notifier else { return Self::Nowhere };
        Self::Home(Box::new(Outbox::new(Arc::clone(&parts.store), Arc::clone(notifier))))
    }
}

impl Dispatcher {
    pub(super) fn deliver_notices(&mut self, now: Instant) {
        if self.post.next().is_none_or(|at| at > now) {
            return;
        }
        let Place::Home(mut outbox) = std::mem::replace(&mut self.post.outbox, Place::Away) else { return };
        let worker = self.life.worker;
        self.post.at = now + PAUSE;
        self.jobs.start(Job::Post, async move {
            let result = outbox.round(worker).await;
            Done::Post(Some(*outbox), result)
        });
    }

    pub(super) fn posted(&mut self, outbox: Option<Outbox>, result: Result<Round, StoreError>) {
        self.post.outbox = match outbox {
            Some(outbox) => Place::Home(Box::new(outbox)),
            None => Place::of(&self.parts),
        };
        match result {
            Ok(Round { delivered, next }) => {
                self.count_notices(delivered);
                self.post.at = self.post.at.min(next.unwrap_or(self.post.at));
            }
            Err(error) => warn!(%error, "could not look for notices"),
        }
    }
}
