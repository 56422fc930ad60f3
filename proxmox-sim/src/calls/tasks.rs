//! Tasks.

use serde_json::json;

use super::{Answered, Call, Outcome, data, with_total};
use crate::Version;
use crate::reply::Refusal;
use crate::task::Task;
use crate::upid::Upid;
use crate::world::World;

/// Whether a task is the caller's own, or the caller may see all of them on the node.
fn visible(call: &Call, task: &Task) -> bool {
    task.upid.user == call.caller.name || call.caller.may(&format!("/nodes/{}", task.upid.node), "Sys.Audit")
}

pub(super) fn cluster(world: &World, call: &Call) -> Answered {
    // A token never sees its own tasks here: the comparison is with the user without the token.
    let all = call.caller.may("/", "Sys.Audit");
    let mut rows = Vec::new();
    for node in world.nodes.keys() {
        let here = |task: &&Task| task.upid.node == *node;
        // A node broadcasts what runs and the latest of what is done.
        let done = world.tasks.listed_finished().filter(here).take(25);
        let running = world.tasks.listed_running().filter(here);
        let seen = running
            .chain(done)
            .filter(|task| all || task.upid.user.split('!').next() == Some(call.caller.name.as_str()));
        rows.extend(seen.map(Task::broadcast));
    }
    super::list(rows)
}

pub(super) fn node(world: &World, call: &Call) -> Answered {
    let source = call.text("source").unwrap_or("archive");
    let number = |name: &str| call.arguments.number(name);
    let statuses = call.arguments.list("statusfilter");
    let matches = |task: &&Task| {
        let upid = &task.upid;
        let right_source = match source {
            "active" => task.running(),
            "archive" => !task.running(),
            _ => true,
        };
        let failed = !matches!(task.outcome(), "running" | "ok");
        upid.node == call.node()
            && right_source
            && visible(call, task)
            && call.text("typefilter").is_none_or(|kind| upid.kind == kind)
            && call.text("vmid").is_none_or(|vmid| upid.id == vmid)
            && call.text("userfilter").is_none_or(|user| upid.user.contains(user))
            && number("since").is_none_or(|since| upid.starttime >= since)
            && number("until").is_none_or(|until| upid.starttime <= until)
            && (statuses.is_empty() || statuses.iter().any(|s| s == task.outcome()))
            && (!call.flag("errors") || failed)
    };
    let found: Vec<&Task> = world.tasks.listed().filter(matches).collect();
    let start = usize::try_from(number("start").unwrap_or(0)).unwrap_or(usize::MAX);
    let limit = usize::try_from(number("limit").unwrap_or(50)).unwrap_or(usize::MAX);
    let rows: Vec<_> = found.iter().skip(start).take(limit).map(|task| task.row()).collect();
    with_total(&rows, found.len())
}

/// The task named in the path; one that another node has is unknown here.
fn find<'a>(world: &'a World, call: &Call) -> Result<(u64, &'a Task), Refusal> {
    let text = call.arguments.require("upid");
    let upid = Upid::parse(text).ok_or_else(|| Refusal::parameter("upid", "unable to parse worker upid"))?;
    if upid.node != call.node() {
        return Err(Refusal::parameter("upid", "no such task"));
    }
    world.tasks.find(text).ok_or_else(|| Refusal::parameter("upid", "no such task"))
}

pub(super) fn status(world: &World, call: &Call) -> Answered {
    let (_, task) = find(world, call)?;
    if !visible(call, task) {
        call.caller.need(&format!("/nodes/{}", call.node()), &["Sys.Audit"])?;
    }
    data(task.status())
}

pub(super) fn log(world: &World, call: &Call) -> Answered {
    let text = call.arguments.require("upid");
    if Upid::parse(text).is_none() {
        return Err(Refusal::parameter("upid", "unable to parse worker upid"));
    }
    let Ok((_, task)) = find(world, call) else {
        let row = json!({"n": 1, "t": "unable to open file - No such file or directory"});
        return match world.version {
            Version::V7_4 | Version::V8_4 => Ok(Outcome::Body(json!({ "data": row, "total": 1 }))),
            Version::V9_2 => with_total(&[row], 1),
        };
    };
    if !visible(call, task) {
        call.caller.need(&format!("/nodes/{}", call.node()), &["Sys.Audit"])?;
    }
    let number = |name: &str| call.arguments.number(name).and_then(|n| usize::try_from(n).ok());
    let start = number("start").unwrap_or(0);
    let limit = number("limit").filter(|limit| *limit > 0);
    let limit = limit.unwrap_or(if call.text("limit").is_some() { usize::MAX } else { 50 });
    let lines = task.log.iter().enumerate().skip(start).take(limit);
    let mut rows: Vec<_> = lines.map(|(n, line)| json!({"n": n + 1, "t": line})).collect();
    if task.log.is_empty() {
        rows.push(json!({"n": 1, "t": "no content"}));
    }
    with_total(&rows, task.log.len().max(1))
}

pub(super) fn stop(world: &World, call: &Call) -> Answered {
    let (key, task) = find(world, call)?;
    if task.upid.user != call.caller.name {
        call.caller.need(&format!("/nodes/{}", call.node()), &["Sys.Modify"])?;
    }
    Ok(Outcome::Stop(key))
}
