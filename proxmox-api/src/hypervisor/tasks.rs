//! The states of tasks, many with one call.

use super::meaning::{class, read, words};
use crate::{Already, Client, Failure, TaskExit, TaskFilter, TaskStatus, Upid, classify};
use deploy_core::{Ended, ErrorClass, TaskId, TaskState};
use std::collections::BTreeMap;

/// The state of each task, in the order asked. Several tasks of a node cost one list call; what the list no longer shows,
/// and a single task, is asked for by name.
pub(super) async fn states(client: &Client, tasks: &[TaskId]) -> Vec<TaskState> {
    let mut by_node: BTreeMap<String, Vec<Upid>> = BTreeMap::new();
    for upid in tasks.iter().filter_map(upid) {
        by_node.entry(upid.node().to_owned()).or_default().push(upid);
    }
    let mut known: BTreeMap<String, TaskState> = BTreeMap::new();
    for (node, upids) in by_node {
        if upids.len() > 1 {
            list(client, &node, &upids, &mut known).await;
        }
        for upid in upids {
            if !known.contains_key(upid.as_str()) {
                let state = one(client, &upid).await;
                known.insert(upid.as_str().to_owned(), state);
            }
        }
    }
    for (upid, state) in &mut known {
        if let (TaskState::Ended(ended @ Ended::Failed { .. }), Ok(upid)) = (state, upid.parse::<Upid>()) {
            explain(client, &upid, ended).await;
        }
    }
    let lost = || TaskState::Ended(Ended::Lost("its id is not one of PVE's".to_owned()));
    tasks.iter().map(|task| known.get(task.as_str()).cloned().unwrap_or_else(lost)).collect()
}

/// A backup that failed says no more than that; why is in its log.
async fn explain(client: &Client, upid: &Upid, ended: &mut Ended) {
    const LINES: u32 = 50;
    if upid.kind() != "vzdump" {
        return;
    }
    // Without it the little that is known is told.
    let Ok(log) = read(|| client.task_log_tail(upid, LINES)).await else { return };
    let why = log.iter().find_map(|line| line.strip_prefix("ERROR: Backup of VM ")?.split_once(" failed - "));
    if let Some((_, why)) = why {
        *ended = Ended::Failed { class: task_class(classify(why)), message: why.to_owned() };
    }
}

fn upid(task: &TaskId) -> Option<Upid> {
    task.as_str().parse().ok()
}

async fn list(client: &Client, node: &str, upids: &[Upid], known: &mut BTreeMap<String, TaskState>) {
    // Running ones come first, then the newest: this many reach back far enough for tasks that just ended.
    let limit = u32::try_from(upids.len()).unwrap_or(u32::MAX).saturating_mul(2).max(50);
    let filter = TaskFilter { limit: Some(limit), ..TaskFilter::default() };
    match read(|| client.tasks(node, &filter)).await {
        Ok(entries) => {
            for entry in entries.into_iter().filter(|entry| upids.contains(&entry.upid)) {
                known.insert(entry.upid.as_str().to_owned(), state(entry.status));
            }
        }
        Err(error) => {
            // Asking for each by name would only add to what troubles the node.
            let words = words(&error);
            known.extend(
                upids.iter().map(|upid| (upid.as_str().to_owned(), TaskState::Unknown(words.clone()))),
            );
        }
    }
}

async fn one(client: &Client, upid: &Upid) -> TaskState {
    match read(|| client.task_status(upid)).await {
        Ok(status) => state(status),
        // Rotated away, or never known there.
        Err(error) if error.status() == Some(400) => TaskState::Ended(Ended::Lost(words(&error))),
        Err(error) => TaskState::Unknown(words(&error)),
    }
}

fn state(status: TaskStatus) -> TaskState {
    let exit = match status {
        TaskStatus::Running => return TaskState::Running,
        TaskStatus::Stopped(exit) => exit,
    };
    TaskState::Ended(match (exit.class(), exit) {
        (None, TaskExit::Warnings(count)) => Ended::Warnings(format!("{count}, see the task's log")),
        // Not the machine, which has a class of its own: a volume that an earlier worker left stands in the way.
        (Some(Failure::Already(Already::Exists)), exit) if !exit.to_string().contains("snapshot name '") => {
            Ended::Failed { class: ErrorClass::Refused, message: exit.to_string() }
        }
        (None | Some(Failure::Already(_)), _) => Ended::Ok,
        (Some(_), TaskExit::UnexpectedStatus) => {
            Ended::Lost("its worker died without a word (killed, or the node rebooted)".to_owned())
        }
        (Some(failure), exit) => Ended::Failed { class: task_class(failure), message: exit.to_string() },
    })
}

/// A task that failed is over, so that its outcome is never unknown in the way that a lost answer's is.
fn task_class(failure: Failure) -> ErrorClass {
    match class(failure) {
        ErrorClass::Unknown => ErrorClass::Failed,
        class => class,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_task_is_what_it_says() {
        let ended = |text: &str| match state(TaskStatus::Stopped(text.parse().unwrap())) {
            TaskState::Ended(ended) => ended,
            other => panic!("{other:?}"),
        };
        assert_eq!(ended("OK"), Ended::Ok);
        assert!(matches!(ended("WARNINGS: 2"), Ended::Warnings(_)));
        assert_eq!(ended("VM 100 already running"), Ended::Ok, "that was what was wanted");
        assert!(matches!(ended("unexpected status"), Ended::Lost(_)));
        let left = "clone failed: disk image '/mnt/images/100/vm-100-cloudinit.qcow2' already exists";
        let refused = Ended::Failed { class: ErrorClass::Refused, message: left.to_owned() };
        assert_eq!(ended(left), refused, "a volume in the way is no machine");
    }
}
