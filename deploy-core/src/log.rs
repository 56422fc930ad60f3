//! The deploy log: everything that happened to a machine.

use crate::{ErrorClass, Operation, Step, TaskId, VmKey};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The number of a log entry; grows over the whole store, so that it is a cursor for events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LogId(pub i64);

/// What is to be written into the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When.
    pub at: Timestamp,
    /// During which operation.
    pub operation: Operation,
    /// At which step.
    pub step: Step,
    /// What.
    pub event: LogEvent,
}

/// An entry of the log. Equal lines that follow one another are one entry that counts them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// Its number.
    pub id: LogId,
    /// The machine.
    pub key: VmKey,
    /// The line, with the time of its first occurrence.
    pub line: LogLine,
    /// How many times in a row.
    pub times: u32,
    /// The time of the last occurrence.
    pub last_at: Timestamp,
}

impl LogEntry {
    /// Whether `next`, coming right after this entry, is the same again.
    pub fn folds(&self, next: &LogLine) -> bool {
        self.line.operation == next.operation && self.line.step == next.step && self.line.event == next.event
    }
}

/// What happened. Texts never contain secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum LogEvent {
    /// The order was written down.
    Ordered,
    /// An operation began on command.
    Began,
    /// The step is done.
    Done {
        /// How: what was done or found.
        how: String,
    },
    /// A change was sent.
    Sent {
        /// The change, in words.
        change: String,
        /// The task that carries it out, if one does.
        #[serde(default)]
        task: Option<TaskId>,
    },
    /// Something was fixed in the record before acting on it.
    Noted {
        /// What.
        what: String,
    },
    /// It waits for something that is under way.
    Waiting {
        /// For what.
        why: String,
    },
    /// What was commanded turned out to be impossible; nothing was changed.
    Refused {
        /// Why, in words.
        why: String,
    },
    /// It was tried and did not come about; it is not tried again.
    GaveUp {
        /// Why, in words.
        why: String,
    },
    /// A try failed; there will be another.
    Failed {
        /// The class, which picks the delay.
        class: ErrorClass,
        /// What happened, in words.
        message: String,
    },
    /// It cannot go on until a human changes something; it keeps trying.
    Attention {
        /// What, in words.
        message: String,
    },
}

impl fmt::Display for LogEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ordered => f.write_str("ordered"),
            Self::Began => f.write_str("began"),
            Self::Done { how } => write!(f, "done: {how}"),
            Self::Sent { change, .. } => write!(f, "sent: {change}"),
            Self::Noted { what } => write!(f, "noted: {what}"),
            Self::Waiting { why } => write!(f, "waiting: {why}"),
            Self::Refused { why } => write!(f, "refused: {why}"),
            Self::GaveUp { why } => write!(f, "gave up: {why}"),
            Self::Failed { class, message } => write!(f, "failed ({class}): {message}"),
            Self::Attention { message } => write!(f, "needs attention: {message}"),
        }
    }
}
