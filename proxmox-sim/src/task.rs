//! Tasks: what `/nodes/{node}/tasks` shows.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Value, json};

use crate::upid::Upid;

/// A worker, running or finished.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) upid: Upid,
    /// Unix time of its end, and how it ended.
    pub(crate) end: Option<(u64, String)>,
    pub(crate) log: Vec<String>,
}

/// All tasks of the cluster, in the order in which they began.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    all: BTreeMap<u64, Task>,
    keys: BTreeMap<String, u64>,
    running: BTreeSet<u64>,
    /// Order in which tasks ended: newest finished first is how they are listed.
    ended: VecDeque<u64>,
    next: u64,
    /// How many finished tasks are remembered.
    history: usize,
}

/// Names a task within [`Tasks`].
pub(crate) type TaskKey = u64;

impl Task {
    pub(crate) fn running(&self) -> bool {
        self.end.is_none()
    }

    fn user_and_token(&self) -> (&str, Option<&str>) {
        match self.upid.user.split_once('!') {
            Some((user, token)) => (user, Some(token)),
            None => (&self.upid.user, None),
        }
    }

    /// A row of a list. A running one shows the whole user, a finished one splits off the token.
    pub(crate) fn row(&self) -> Value {
        let upid = &self.upid;
        let mut row = json!({
            "upid": upid.to_string(), "node": upid.node, "pid": upid.pid, "pstart": upid.pstart,
            "starttime": upid.starttime, "type": upid.kind, "id": upid.id,
        });
        match &self.end {
            None => {
                row["user"] = json!(upid.user);
                row["status"] = json!("RUNNING");
                row["saved"] = json!("0");
            }
            Some((endtime, status)) => {
                self.put_user(&mut row);
                row["endtime"] = json!(endtime);
                row["status"] = json!(status);
            }
        }
        row
    }

    /// A row of the cluster's list, which is what the nodes broadcast.
    pub(crate) fn broadcast(&self) -> Value {
        let upid = &self.upid;
        let mut row = json!({
            "upid": upid.to_string(), "node": upid.node, "starttime": upid.starttime, "type": upid.kind,
            "id": upid.id, "saved": "0",
        });
        self.put_user(&mut row);
        match &self.end {
            None => row["pid"] = json!(upid.pid),
            Some((endtime, status)) => {
                row["endtime"] = json!(endtime);
                row["status"] = json!(status);
                row["saved"] = json!("1");
            }
        }
        row
    }

    /// The answer to `status`.
    pub(crate) fn status(&self) -> Value {
        let upid = &self.upid;
        let mut row = json!({
            "upid": upid.to_string(), "node": upid.node, "pid": upid.pid, "pstart": upid.pstart,
            "starttime": upid.starttime, "type": upid.kind, "id": upid.id,
            "status": if self.running() { "running" } else { "stopped" },
        });
        self.put_user(&mut row);
        if let Some((_, status)) = &self.end {
            row["exitstatus"] = json!(status);
        }
        row
    }

    fn put_user(&self, row: &mut Value) {
        let (user, token) = self.user_and_token();
        row["user"] = json!(user);
        if let Some(token) = token {
            row["tokenid"] = json!(token);
        }
    }

    /// Which word of `statusfilter` it falls under.
    pub(crate) fn outcome(&self) -> &'static str {
        match self.end.as_ref().map(|(_, status)| status.as_str()) {
            None => "running",
            Some("OK") => "ok",
            Some("unexpected status") => "unknown",
            Some(text) if text.starts_with("WARNINGS") => "warning",
            Some(_) => "error",
        }
    }
}

impl Tasks {
    pub(crate) fn remembering(history: usize) -> Self {
        Self { history, ..Self::default() }
    }

    pub(crate) fn begin(&mut self, upid: Upid) -> TaskKey {
        self.next += 1;
        self.running.insert(self.next);
        self.keys.insert(upid.to_string(), self.next);
        self.all.insert(self.next, Task { upid, end: None, log: Vec::new() });
        self.next
    }

    /// Ends a task: `Err` is the text of the error.
    pub(crate) fn finish(&mut self, key: TaskKey, now: u64, outcome: Result<u32, &str>) {
        let Some(task) = self.all.get_mut(&key) else {
            return;
        };
        let (line, status) = match outcome {
            Ok(0) => ("TASK OK".to_owned(), "OK".to_owned()),
            Ok(n) => (format!("TASK WARNINGS: {n}"), format!("WARNINGS: {n}")),
            Err(text) => {
                // One newline at the end is cut, the others become spaces.
                let text = text.strip_suffix('\n').unwrap_or(text).replace('\n', " ");
                (format!("TASK ERROR: {text}"), text)
            }
        };
        task.log.push(line);
        task.end = Some((now, status));
        self.archive(key);
    }

    /// The worker was killed and left no result.
    pub(crate) fn vanish(&mut self, key: TaskKey, now: u64) {
        if let Some(task) = self.all.get_mut(&key) {
            task.end = Some((now, "unexpected status".to_owned()));
            self.archive(key);
        }
    }

    /// The oldest finished tasks are forgotten: asked for, there is no such task.
    fn archive(&mut self, key: TaskKey) {
        self.running.remove(&key);
        self.ended.push_back(key);
        while self.ended.len() > self.history {
            let oldest = self.ended.pop_front().and_then(|oldest| self.all.remove(&oldest));
            if let Some(task) = oldest {
                self.keys.remove(&task.upid.to_string());
            }
        }
    }

    pub(crate) fn log(&mut self, key: TaskKey, line: String) {
        if let Some(task) = self.all.get_mut(&key) {
            task.log.push(line);
        }
    }

    pub(crate) fn user(&self, key: TaskKey) -> Option<String> {
        self.all.get(&key).map(|task| task.upid.user.clone())
    }

    pub(crate) fn find(&self, upid: &str) -> Option<(TaskKey, &Task)> {
        let key = *self.keys.get(upid)?;
        self.all.get(&key).map(|task| (key, task))
    }

    /// Running ones first, then the finished ones, newest first.
    pub(crate) fn listed(&self) -> impl Iterator<Item = &Task> {
        self.listed_running().chain(self.listed_finished())
    }

    /// The running ones, newest first.
    pub(crate) fn listed_running(&self) -> impl Iterator<Item = &Task> {
        self.running.iter().rev().filter_map(|key| self.all.get(key))
    }

    /// The finished ones, the one that ended last first.
    pub(crate) fn listed_finished(&self) -> impl Iterator<Item = &Task> {
        self.ended.iter().rev().filter_map(|key| self.all.get(key))
    }
}
