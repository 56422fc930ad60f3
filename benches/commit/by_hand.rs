//! What is the same for every database: which columns a commit changes, and to what.

use crate::Work;
use deploy_core::{Commit, Due, Lease, Operation, Step};
use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

/// So many commits share a transaction.
pub(crate) const GROUP: usize = 64;

/// A value of a column.
#[derive(Debug)]
pub(crate) enum Value<'a> {
    Text(&'a str),
    Json(Option<String>),
    Number(u32),
    Time(Option<Timestamp>),
    Id(Option<Uuid>),
}

/// The columns that a commit changes.
///
/// # Panics
/// Where it changes what a deployment without trouble does not.
pub(crate) fn changes(commit: &Commit) -> Vec<(&'static str, Value<'_>)> {
    assert!(commit.numbered.is_none() && commit.consume.is_none(), "not of a plain deployment: {commit:?}");
    let json = |column, value| (column, Value::Json(Some(value)));
    let due = |due| match due {
        Due::At(at) => Some(at),
        Due::OnCommand => None,
    };
    let changes = [
        commit.operation.map(|operation| ("operation", Value::Text(Operation::as_str(operation)))),
        commit.step.map(|step| ("step", Value::Text(Step::as_str(step)))),
        commit.progress.as_ref().map(|progress| json("progress", written(progress))),
        commit.failures.map(|failures| ("failures", Value::Number(failures))),
        commit.due.map(|at| ("due_at", Value::Time(due(at)))),
        commit.attention.as_ref().map(|told| ("attention", Value::Json(told.as_ref().map(written)))),
        commit.waiting.as_ref().map(|waiting| ("waiting", Value::Json(waiting.as_ref().map(written)))),
        commit.node.as_ref().map(|node| ("node", Value::Text(node.as_str()))),
        commit.smbios.map(|smbios| ("smbios", Value::Id(smbios.map(|smbios| smbios.0)))),
        commit.slots.as_ref().map(|slots| json("slots", written(slots))),
        commit.addresses.as_ref().map(|addresses| json("addresses", written(addresses))),
        commit.remembered.as_ref().map(|remembered| json("remembered", written(remembered))),
    ];
    changes.into_iter().flatten().collect()
}

/// The transactions: each with the place of its commits in the deployment.
pub(crate) fn groups(mut work: Work) -> impl Iterator<Item = (usize, Vec<(Lease, Commit)>)> {
    let places = work.first().map_or(0, |(_, commits)| commits.len());
    let starts = (0..work.len()).step_by(GROUP).collect::<Vec<_>>();
    let transactions =
        (0..places).flat_map(move |place| starts.clone().into_iter().map(move |start| (place, start)));
    transactions.map(move |(place, start)| {
        let group = work.iter_mut().skip(start).take(GROUP);
        (place, group.map(|(lease, commits)| (*lease, std::mem::take(&mut commits[place]))).collect())
    })
}

/// As JSON.
pub(crate) fn written<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("JSON")
}
