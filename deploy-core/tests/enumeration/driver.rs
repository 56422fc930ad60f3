//! A worker with one machine, polled by hand.

use deploy_core::*;
use deploy_testkit::ManualClock;
use jiff::SignedDuration;
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

/// How a worker's work on a machine ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// Nothing is due.
    Rest,
    /// The machine is somebody else's.
    Fenced,
    /// What never happens.
    Broken(String),
}

/// More polls than any order needs.
const ENOUGH: usize = 3_000;

/// How often it is asked how a task stands; a clone of 8 s is met hidden, shown and done.
const POLL: SignedDuration = SignedDuration::from_secs(3);

pub(crate) struct Driver {
    work: Pin<Box<dyn Future<Output = End>>>,
    end: Option<End>,
}

impl Driver {
    pub(crate) fn new(seams: Seams, clock: Arc<ManualClock>, leased: Leased) -> Self {
        Self { work: Box::pin(work(seams, clock, leased)), end: None }
    }

    /// A worker for which there was nothing to do.
    pub(crate) fn idle() -> Self {
        Self { work: Box::pin(std::future::pending()), end: Some(End::Rest) }
    }

    /// Polls it at most so many times.
    pub(crate) fn poll(&mut self, times: usize) -> Option<&End> {
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..times {
            if self.end.is_some() {
                break;
            }
            if let Poll::Ready(end) = self.work.as_mut().poll(&mut context) {
                self.end = Some(end);
            }
        }
        self.end.as_ref()
    }

    /// Polls it until it ends, and says after how many polls.
    pub(crate) fn finish(&mut self) -> (usize, End) {
        let polls = (0..ENOUGH).take_while(|_| self.poll(1).is_none()).count();
        (polls, self.end.clone().unwrap_or(End::Broken(format!("no rest after {ENOUGH} polls"))))
    }
}

/// Somebody works on the queue of DNS records meanwhile.
async fn see_to_names(seams: &Seams) {
    let Some(dns) = &seams.dns else { return };
    for claimed in dns.store.claim_dns(1, POLL).await.unwrap() {
        dns.store.finish_dns(&claimed.claim, None).await.unwrap();
    }
}

/// From the claim to the rest.
async fn work(seams: Seams, clock: Arc<ManualClock>, mut leased: Leased) -> End {
    let mut known = Known::default();
    loop {
        match turn(&seams, &mut leased, std::mem::take(&mut known)).await {
            Ok(Turned::Again(machine)) => known.machine = machine,
            Ok(Turned::Task(_, machine)) => {
                known.machine = machine;
                clock.advance(POLL);
            }
            // Nothing goes on by itself: a human was told so.
            Ok(Turned::Until(_))
                if leased.record.operation == Operation::Adopt && leased.record.attention.is_some() =>
            {
                break;
            }
            Ok(Turned::Until(at)) => {
                see_to_names(&seams).await;
                // Somebody else may have moved the clock further.
                clock.set(at.max(clock.now()));
            }
            Ok(Turned::Slot(slot)) => return End::Broken(format!("an open gate is full: {slot}")),
            Ok(Turned::Rest) => break,
            Err(CommitError::Fenced) => return End::Fenced,
            Err(CommitError::Store(error)) => return End::Broken(error.to_string()),
        }
    }
    match seams.store.release(&leased.lease).await {
        Ok(()) => End::Rest,
        Err(CommitError::Fenced) => End::Fenced,
        Err(CommitError::Store(error)) => End::Broken(error.to_string()),
    }
}
