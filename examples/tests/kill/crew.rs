//! The workers, each in a slot: one with a file, three with a server.

use crate::{
    desk::Desk,
    server::Server,
    worker::{Hand, Worker},
};
use rand::{rngs::StdRng, seq::IteratorRandom};
use std::time::{Duration, Instant};

pub(crate) struct Crew {
    slots: Vec<Slot>,
    server: Option<Server>,
}

#[derive(Default)]
struct Slot {
    worker: Option<Worker>,
    /// It stands still, or will in a moment.
    aside: Option<Aside>,
}

#[derive(Clone, Copy)]
enum Aside {
    ForNow,
    Until(Instant),
}

impl Crew {
    pub(crate) fn new(server: Option<Server>) -> Self {
        let count = if server.is_some() { 3 } else { 1 };
        Self { slots: (0..count).map(|_| Slot::default()).collect(), server }
    }

    pub(crate) fn size(&self) -> usize {
        self.slots.len()
    }

    /// Starts a worker wherever there is none, as whoever supervises them would, and says in which slots.
    pub(crate) fn fill(&mut self, desk: &Desk) -> Result<Vec<usize>, String> {
        let mut started = Vec::new();
        for slot in 0..self.size() {
            self.bury(slot, desk)?;
            if self.slots[slot].worker.is_none() {
                let log_from = desk.log(slot, 0).len();
                self.slots[slot].worker = Some(Worker::new(desk.spawn(slot), log_from));
                started.push(slot);
            }
        }
        Ok(started)
    }

    /// Takes a worker off that ended by itself, which it may only where it found no database when it started.
    fn bury(&mut self, slot: usize, desk: &Desk) -> Result<(), String> {
        let Some(worker) = &mut self.slots[slot].worker else { return Ok(()) };
        let Some(status) = worker.ended() else { return Ok(()) };
        let (started, said) = (worker.started, desk.log(slot, worker.log_from));
        self.slots[slot] = Slot::default();
        let was_away = self.server.as_ref().is_some_and(|server| server.was_away(started));
        if was_away && status.code() == Some(1) && !is_at_work(&said) {
            return Ok(());
        }
        Err(format!("worker {slot} ended by itself: {status}\n{said}"))
    }

    /// Waits until this worker has its database, and said so; starts it anew as long as there is none.
    pub(crate) async fn wait_for(&mut self, slot: usize, desk: &Desk) -> Result<(), String> {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            self.fill(desk)?;
            let from = self.slots[slot].worker.as_ref().map_or(0, |worker| worker.log_from);
            if is_at_work(&desk.log(slot, from)) {
                return Ok(());
            }
            if Instant::now() > until {
                return Err(format!("worker {slot} did not take up its work"));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// One that does not stand still.
    pub(crate) fn pick(&self, rng: &mut StdRng) -> usize {
        self.free().choose(rng).expect("one is always left")
    }

    /// Whether another one may be frozen: one of several goes on.
    pub(crate) fn can_freeze(&self) -> bool {
        self.size() == 1 || self.free().count() > 1
    }

    fn free(&self) -> impl Iterator<Item = usize> {
        (0..self.size()).filter(|slot| self.slots[*slot].aside.is_none())
    }

    /// Nobody picks this one any more; it is to be frozen by what is answered.
    pub(crate) fn set_aside(&mut self, slot: usize) -> Hand {
        self.slots[slot].aside = Some(Aside::ForNow);
        self.hand(slot)
    }

    /// How long one that was set aside stands still.
    pub(crate) fn thaws_at(&mut self, slot: usize, at: Instant) {
        self.slots[slot].aside = Some(Aside::Until(at));
    }

    /// Those that stood still for long enough.
    pub(crate) fn due(&self) -> Vec<usize> {
        let now = Instant::now();
        let due = |slot: &usize| matches!(self.slots[*slot].aside, Some(Aside::Until(at)) if at <= now);
        (0..self.size()).filter(due).collect()
    }

    pub(crate) fn thaw(&mut self, slot: usize) {
        self.hand(slot).thaw();
        self.slots[slot].aside = None;
    }

    pub(crate) fn thaw_all(&mut self) {
        for slot in 0..self.size() {
            if self.slots[slot].aside.is_some() {
                self.thaw(slot);
            }
        }
    }

    fn hand(&self, slot: usize) -> Hand {
        self.slots[slot].worker.as_ref().expect("a worker in the slot").hand()
    }

    /// `kill -9`; says whether there was one.
    pub(crate) fn kill(&mut self, slot: usize, desk: &Desk) -> Result<bool, String> {
        self.bury(slot, desk)?;
        match std::mem::take(&mut self.slots[slot]).worker {
            Some(worker) => {
                worker.kill();
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// Asks all of them to end, one after the other.
    pub(crate) fn stop(&mut self) -> Result<(), String> {
        for (number, slot) in self.slots.iter_mut().enumerate() {
            let status = slot.worker.take().expect("a worker in the slot").stop();
            if !status.success() {
                return Err(format!("worker {number}: {status} when asked to stop"));
            }
        }
        Ok(())
    }
}

fn is_at_work(log: &str) -> bool {
    log.contains(" working ")
}
