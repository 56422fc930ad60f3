//! When tasks began and ended, finer than the whole seconds that a server shows.

use std::collections::VecDeque;

use serde::Serialize;

/// A task that has ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TaskTimes {
    /// Its type, `qmclone` for instance.
    pub kind: &'static str,
    /// The machine that it made, or else the one that it was about.
    pub vmid: Option<u32>,
    /// The node it ran on.
    pub node: String,
    /// When it began, in seconds since the start.
    pub began: f64,
    /// When it ended, in seconds since the start.
    pub ended: f64,
    /// Whether it ended well.
    pub ok: bool,
}

/// Remembers the latest of them.
#[derive(Debug)]
pub(crate) struct TaskTimesLog {
    ended: VecDeque<TaskTimes>,
    /// How many are remembered.
    length: usize,
}

impl TaskTimesLog {
    pub(crate) fn remembering(length: usize) -> Self {
        Self { ended: VecDeque::new(), length }
    }

    pub(crate) fn add(&mut self, task: TaskTimes) {
        self.ended.push_back(task);
        if self.ended.len() > self.length {
            self.ended.pop_front();
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &TaskTimes> {
        self.ended.iter()
    }
}
