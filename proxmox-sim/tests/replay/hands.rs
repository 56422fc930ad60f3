//! What was done on the servers without a request that is in the recording.

use std::collections::BTreeMap;

use proxmox_sim::{Grant, Switch, Version};

use crate::rows::Row;
use crate::unrecorded;

/// A deed between two rows.
#[derive(Debug, Clone)]
pub(crate) enum Deed {
    Switch(Switch),
    /// A call that nobody recorded; what it starts is waited for.
    Call(&'static str, &'static str, &'static [(&'static str, &'static str)]),
    /// The same without waiting.
    Begin(&'static str, &'static str, &'static [(&'static str, &'static str)]),
    /// SIGKILL for the worker that the case started.
    Kill(&'static str),
    Pause(f64),
}

/// Why something is done that no row asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Why {
    /// The notes that came with the recordings say so: done by hand, or a remark among the rows.
    Noted,
    /// A call of a run of a script that was not kept. A later row shows what it did.
    Unrecorded,
    /// Time and chance on the servers: a pause, a lock that the clean-up after a stop still held.
    Chance,
}

/// What is done before a row, and the later row without which nobody would know.
#[derive(Debug, Clone)]
pub(crate) struct Help {
    pub(crate) before: &'static str,
    pub(crate) only: Option<Version>,
    pub(crate) why: Why,
    pub(crate) deeds: Vec<Deed>,
    /// A case whose answer we have.
    pub(crate) shown_by: &'static str,
}

/// How often each kind of help was given.
pub(crate) type Given = BTreeMap<Why, usize>;

/// Everything that was done before a row.
pub(crate) fn before(rows: &[Row], n: usize, version: Version) -> Vec<Help> {
    let row = &rows[n];
    let remark = |deeds| Help { before: "", only: None, why: Why::Noted, deeds, shown_by: "" };
    if let Some(note) = row.note.as_deref().filter(|_| row.method.is_none()) {
        return granted(note).into_iter().map(|deed| remark(vec![deed])).collect();
    }
    let next = rows.get(n + 1).and_then(|row| row.note.as_deref());
    if let Some(stops) = next.filter(|_| row.case.ends_with("-tasks")).and_then(carried_out) {
        let stop = Deed::Call("POST", "/nodes/pve1/qemu/5005/status/stop", &[]);
        return vec![remark(vec![stop; stops])];
    }
    let table = unrecorded::TABLE.iter();
    let meant = |help: &&Help| help.before == row.case && help.only.is_none_or(|only| only == version);
    table.filter(meant).cloned().collect()
}

/// Rights were given as each refusal named them, and noted down.
fn granted(note: &str) -> Option<Deed> {
    let (privilege, rest) = note.strip_prefix("granted ")?.split_once(" on ")?;
    let (path, reason) = rest.split_once(" because ")?;
    let token = if reason.starts_with("half") { "half@pve!dep" } else { "lp@pve!dep" };
    let grant = Grant { path: path.to_owned(), privileges: vec![privilege.to_owned()] };
    Some(Deed::Switch(Switch::Grant { token: token.to_owned(), grant }))
}

/// Of stops whose senders hung up, how many were carried out: the remark after the list says it.
fn carried_out(note: &str) -> Option<usize> {
    let (_, counted) = note.strip_prefix("POST status/stop")?.split_once("reading: ")?;
    counted.split(" tasks of ").next()?.parse().ok()
}

/// Whether the request never arrived as a whole, so that no server carried it out.
pub(crate) fn never_whole(row: &Row, version: Version) -> bool {
    // One of the requests whose sender was reset did not arrive: the list of tasks after it is empty.
    let lost = version == Version::V9_2 && row.case == "golden/lost/start-rst/send";
    lost || row.note.as_deref().is_some_and(|note| note.ends_with("mode partial"))
}

/// Whether the state of a task was asked for without waiting for its end.
pub(crate) fn hurried(row: &Row) -> bool {
    matches!(row.case.as_str(), "clone-running/task-status" | "clone-abort/status-other-user")
}

/// Whether the row was sent at the same time as its neighbours.
pub(crate) fn together(row: &Row) -> bool {
    let Some((script, name)) = row.case.split_once('/') else {
        return false;
    };
    let numbered = name.bytes().all(|b| b.is_ascii_digit());
    match script {
        "clone-race" | "parallel-clone" | "parallel-delete" => numbered,
        "clone-running2" => {
            !name.contains("/task-")
                && !matches!(name, "full-clone-start" | "cluster-tasks")
                && !name.starts_with("final-")
        }
        _ => false,
    }
}
