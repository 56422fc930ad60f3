//! The workers, each in a slot: one with a file, three with a server.

use crate::{desk::Desk, server::Server, worker::Worker};
use std::time::{Duration, Instant};

pub(crate) struct Crew {
    workers: Vec<Option<Worker>>,
    server: Option<Server>,
}

impl Crew {
    pub(crate) fn new(server: Option<Server>) -> Self {
        let count = if server.is_some() { 3 } else { 1 };
        Self { workers: (0..count).map(|_| None).collect(), server }
    }

    pub(crate) fn size(&self) -> usize {
        self.workers.len()
    }

    /// Starts a worker wherever there is none, as whoever supervises them would, and says in which slots.
    pub(crate) fn fill(&mut self, desk: &Desk) -> Result<Vec<usize>, String> {
        let mut started = Vec::new();
        for slot in 0..self.size() {
            self.bury(slot, desk)?;
            if self.workers[slot].is_none() {
                let log_from = desk.log(slot, 0).len();
                self.workers[slot] = Some(Worker::new(desk.spawn(slot), log_from));
                started.push(slot);
            }
        }
        Ok(started)
    }

    /// Takes a worker off that ended by itself, which it may only where it found no database when it started.
    fn bury(&mut self, slot: usize, desk: &Desk) -> Result<(), String> {
        let Some(worker) = &mut self.workers[slot] else { return Ok(()) };
        let Some(status) = worker.ended() else { return Ok(()) };
        let (started, said) = (worker.started, desk.log(slot, worker.log_from));
        self.workers[slot] = None;
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
            let from = self.workers[slot].as_ref().map_or(0, |worker| worker.log_from);
            if is_at_work(&desk.log(slot, from)) {
                return Ok(());
            }
            if Instant::now() > until {
                return Err(format!("worker {slot} did not take up its work"));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The worker of a slot that was filled.
    pub(crate) fn worker(&self, slot: usize) -> &Worker {
        self.workers[slot].as_ref().expect("a worker in the slot")
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self, slot: usize, desk: &Desk) -> Result<(), String> {
        self.bury(slot, desk)?;
        if let Some(worker) = self.workers[slot].take() {
            worker.kill();
        }
        Ok(())
    }

    /// Asks all of them to end, one after the other.
    pub(crate) fn stop(&mut self) -> Result<(), String> {
        for (slot, worker) in self.workers.iter_mut().enumerate() {
            let status = worker.take().expect("a worker in the slot").stop();
            if !status.success() {
                return Err(format!("worker {slot}: {status} when asked to stop"));
            }
        }
        Ok(())
    }
}

fn is_at_work(log: &str) -> bool {
    log.contains(" working ")
}
