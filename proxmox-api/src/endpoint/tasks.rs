use http::Method;
use serde::Deserialize;

use crate::client::Client;
use crate::error::ApiError;
use crate::params::Params;
use crate::path::ApiPath;
use crate::task::{TaskEntry, TaskStatus};
use crate::timeouts::Pace;
use crate::upid::Upid;

/// Which tasks to list.
#[derive(Clone, Copy, Debug, Default)]
pub struct TaskFilter<'a> {
    /// Running or finished ones.
    pub source: TaskSource,
    /// Of this type, such as `qmclone`.
    pub kind: Option<&'a str>,
    /// With this id. A clone has that of its source.
    pub vmid: Option<u32>,
    /// Started at or after this, in Unix seconds by the node's clock.
    pub since: Option<u64>,
    /// At most so many; PVE's default is 50.
    pub limit: Option<u32>,
}

/// Running or finished tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TaskSource {
    /// Both. Not PVE's default, which forgets the running ones.
    #[default]
    All,
    /// Those that run, or have just ended.
    Active,
    /// Those that have ended: the last 500 to 1000 of a node.
    Archive,
}

/// A part of a task's log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskLog {
    /// The lines.
    pub lines: Vec<String>,
    /// How many there are in all.
    pub total: u64,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum LogData {
    Lines(Vec<LogLine>),
    // A missing log file is reported as one line that is not in a list.
    Line(LogLine),
}

#[derive(Deserialize)]
struct LogLine {
    t: String,
}

impl Client {
    /// The tasks of a node: our own, or all with Sys.Audit on the node. Active ones first, then the newest.
    ///
    /// PVE API viewer: `GET /nodes/{node}/tasks`.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn tasks(&self, node: &str, filter: &TaskFilter<'_>) -> Result<Vec<TaskEntry>, ApiError> {
        let source = match filter.source {
            TaskSource::All => "all",
            TaskSource::Active => "active",
            TaskSource::Archive => "archive",
        };
        let params = Params::new()
            .set("source", source)
            .opt("typefilter", filter.kind)
            .opt("vmid", filter.vmid)
            .opt("since", filter.since)
            .opt("limit", filter.limit);
        self.call(Method::GET, ApiPath::of_node(node, &["tasks"]), &params, Pace::Read).await
    }

    /// Where a task stands. Exact at this moment.
    ///
    /// PVE API viewer: `GET /nodes/{node}/tasks/{upid}/status`.
    ///
    /// # Errors
    /// See [`ApiError`]. [`Failure::UnknownOutcome`](crate::Failure::UnknownOutcome) with status 400: the task is no
    /// longer recorded, which on a busy node takes a few hours.
    pub async fn task_status(&self, upid: &Upid) -> Result<TaskStatus, ApiError> {
        let path = ApiPath::of_node(upid.node(), &["tasks", upid.as_str(), "status"]);
        self.call(Method::GET, path, &Params::new(), Pace::Read).await
    }

    /// A part of a task's log, from line `start` (0 is the first). The log of an unknown task is a line that says so.
    ///
    /// PVE API viewer: `GET /nodes/{node}/tasks/{upid}/log`.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn task_log(&self, upid: &Upid, start: u64, limit: u32) -> Result<TaskLog, ApiError> {
        let params = Params::new().set("start", start).set("limit", limit);
        let path = ApiPath::of_node(upid.node(), &["tasks", upid.as_str(), "log"]);
        let answer = self.exchange::<LogData>(Method::GET, path, &params, Pace::Read).await?;
        let lines = match answer.data {
            LogData::Lines(lines) => lines.into_iter().map(|line| line.t).collect(),
            LogData::Line(line) => vec![line.t],
        };
        let seen = start + u64::try_from(lines.len()).unwrap_or(u64::MAX - start);
        Ok(TaskLog { lines, total: answer.total.unwrap_or(seen) })
    }

    /// The last lines of a task's log; the reason of a failure is usually above the last one. Two requests if the log
    /// is longer than `count`.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn task_log_tail(&self, upid: &Upid, count: u32) -> Result<Vec<String>, ApiError> {
        let head = self.task_log(upid, 0, count).await?;
        if head.total <= u64::from(count) {
            return Ok(head.lines);
        }
        Ok(self.task_log(upid, head.total - u64::from(count), count).await?.lines)
    }
}
