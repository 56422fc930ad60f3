//! A worker: a process that is started, killed and frozen.

use std::{
    process::{Child, Command, ExitStatus},
    time::{Duration, Instant},
};

/// A worker at work; killed where it is dropped.
pub(crate) struct Worker {
    process: Child,
    pub(crate) started: Instant,
    /// Where what it logs begins.
    pub(crate) log_from: usize,
}

/// What stops it and lets it go on.
#[derive(Clone, Copy)]
pub(crate) struct Hand {
    pid: u32,
}

impl Worker {
    pub(crate) fn new(process: Child, log_from: usize) -> Self {
        Self { process, started: Instant::now(), log_from }
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().unwrap()
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub(crate) fn hand(&self) -> Hand {
        Hand { pid: self.process.id() }
    }

    /// Asks it to end, and waits until it did.
    pub(crate) fn stop(mut self) -> ExitStatus {
        self.hand().signal("-TERM");
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "it did not end when asked");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Hand {
    /// Stands still from now on.
    pub(crate) fn freeze(self) {
        self.signal("-STOP");
    }

    /// Goes on.
    pub(crate) fn thaw(self) {
        self.signal("-CONT");
    }

    fn signal(self, which: &str) {
        assert!(Command::new("kill").args([which, &self.pid.to_string()]).status().unwrap().success());
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
