use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use crate::error::{Failure, classify};
use crate::lenient;
use crate::upid::Upid;

/// What a call answers that may start a task: PVE decides by version, and by whether a given delay was enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Started {
    /// The work is done.
    Done,
    /// A task does the work. It may still fail, for reasons that other calls answer with at once.
    Task(Upid),
}

impl Started {
    /// The task, if there is one.
    pub fn upid(&self) -> Option<&Upid> {
        match self {
            Self::Done => None,
            Self::Task(upid) => Some(upid),
        }
    }
}

impl<'de> Deserialize<'de> for Started {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Done, Self::Task))
    }
}

/// Where a task stands. PVE API viewer: `GET /nodes/{node}/tasks/{upid}/status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskStatus {
    /// The worker runs. Exact: the server looks at the process.
    Running,
    /// The worker has ended.
    Stopped(TaskExit),
}

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskExit {
    /// `OK`.
    Ok,
    /// `WARNINGS: n`: it succeeded, with warnings in the log. A destroy may have left volumes behind.
    Warnings(u32),
    /// `unexpected status`: the worker died without a word (killed, out of memory, node rebooted). How far it came is
    /// not known.
    UnexpectedStatus,
    /// Any other text is the error, in one line.
    Failed(String),
}

impl TaskExit {
    /// True for success, with or without warnings.
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Ok | Self::Warnings(_))
    }

    /// What the failure means; `None` for success.
    pub fn class(&self) -> Option<Failure> {
        match self {
            Self::Ok | Self::Warnings(_) => None,
            Self::UnexpectedStatus => Some(Failure::UnknownOutcome),
            Self::Failed(text) => Some(classify(text)),
        }
    }
}

impl FromStr for TaskExit {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let warnings = text.strip_prefix("WARNINGS: ").and_then(|count| count.trim().parse().ok());
        Ok(match (text, warnings) {
            ("OK", _) => Self::Ok,
            ("unexpected status", _) => Self::UnexpectedStatus,
            (_, Some(count)) => Self::Warnings(count),
            _ => Self::Failed(text.to_owned()),
        })
    }
}

impl fmt::Display for TaskExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok => f.write_str("OK"),
            Self::Warnings(count) => write!(f, "WARNINGS: {count}"),
            Self::UnexpectedStatus => f.write_str("unexpected status"),
            Self::Failed(text) => f.write_str(text),
        }
    }
}

impl<'de> Deserialize<'de> for TaskStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Raw {
            status: String,
            exitstatus: Option<String>,
        }
        let raw = Raw::deserialize(deserializer)?;
        if raw.status == "running" {
            return Ok(Self::Running);
        }
        // Between the end of the process and the last line of its log there is nothing to report yet.
        Ok(Self::Stopped(exit(raw.exitstatus.as_deref().unwrap_or("unexpected status"))))
    }
}

fn exit(text: &str) -> TaskExit {
    match text.parse() {
        Ok(exit) => exit,
    }
}

/// One row of a node's list of tasks. PVE API viewer: `GET /nodes/{node}/tasks`.
///
/// `user` and `tokenid` of the raw rows are left out: a running row carries the token in the user, a finished one
/// beside it. The UPID has it right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskEntry {
    /// Which task.
    pub upid: Upid,
    /// Where it stands.
    pub status: TaskStatus,
    /// When it ended, in Unix seconds by that node's clock.
    pub endtime: Option<u64>,
}

impl<'de> Deserialize<'de> for TaskEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Raw {
            upid: Upid,
            status: Option<String>,
            #[serde(default, deserialize_with = "lenient::opt_number")]
            endtime: Option<u64>,
        }
        let raw = Raw::deserialize(deserializer)?;
        let status = match raw.status.as_deref() {
            None | Some("" | "RUNNING" | "running") => TaskStatus::Running,
            Some(text) => TaskStatus::Stopped(exit(text)),
        };
        Ok(Self { upid: raw.upid, status, endtime: raw.endtime })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const UPID: &str = "UPID:pve1:0000083C:000A1B31:6B020728:qmclone:9000:root@pam!t1:";

    #[test]
    fn statuses_are_read() {
        let read = |text: &str| serde_json::from_str::<TaskStatus>(text).unwrap();
        assert_eq!(read(r#"{"status":"running"}"#), TaskStatus::Running);
        assert_eq!(read(r#"{"status":"stopped","exitstatus":"OK"}"#), TaskStatus::Stopped(TaskExit::Ok));
        assert_eq!(read(r#"{"status":"stopped"}"#), TaskStatus::Stopped(TaskExit::UnexpectedStatus));
        let warned = read(r#"{"status":"stopped","exitstatus":"WARNINGS: 2"}"#);
        assert_eq!(warned, TaskStatus::Stopped(TaskExit::Warnings(2)));
    }

    #[test]
    fn rows_and_answers_are_read() {
        let row: TaskEntry =
            serde_json::from_str(&format!(r#"{{"upid":"{UPID}","status":"RUNNING"}}"#)).unwrap();
        assert_eq!((row.status, row.endtime), (TaskStatus::Running, None));
        assert_eq!(serde_json::from_str::<Started>("null").unwrap(), Started::Done);
        let started: Started = serde_json::from_str(&format!("\"{UPID}\"")).unwrap();
        assert_eq!(started.upid().map(Upid::as_str), Some(UPID));
        assert!(serde_json::from_str::<Started>("\"OK\"").is_err());
    }

    #[test]
    fn only_failures_have_a_class() {
        assert_eq!(TaskExit::Warnings(1).class(), None);
        assert_eq!(TaskExit::UnexpectedStatus.class(), Some(Failure::UnknownOutcome));
        assert_eq!(exit("no quorum!").class().map(Failure::is_passing), Some(true));
    }

    proptest! {
        #[test]
        fn prints_what_it_parses(text in "(OK|unexpected status|WARNINGS: [0-9]{1,3}|.{0,40})") {
            let parsed = exit(&text);
            prop_assert_eq!(exit(&parsed.to_string()), parsed);
        }
    }
}
