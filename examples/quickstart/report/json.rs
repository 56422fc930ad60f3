//! For programs.

use super::Machine;
use crate::{
    proof::Left,
    simulator::{Counters, Inspection},
};
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Serialize)]
struct Document<'a> {
    status: &'a str,
    cluster: &'a str,
    simulated: bool,
    machines: &'a [Machine],
    /// Requests by method and path, over all runs with this simulated cluster.
    requests: Option<&'a BTreeMap<String, u64>>,
    /// Successful clones by number.
    clones: Option<&'a BTreeMap<u32, u64>>,
    /// Faults that requests met, by kind.
    faults: Option<&'a BTreeMap<String, u64>>,
    /// What the simulated cluster really has of these machines.
    found: Option<&'a Inspection>,
    /// What is left after they were taken away.
    left: Option<&'a Left>,
}

/// The document.
pub(crate) fn document(
    status: &str,
    cluster: &str,
    machines: &[Machine],
    seen: Option<&(Counters, Inspection)>,
    left: Option<&Left>,
) -> serde_json::Result<String> {
    serde_json::to_string_pretty(&Document {
        status,
        cluster,
        simulated: seen.is_some(),
        machines,
        requests: seen.map(|(counters, _)| &counters.requests),
        clones: seen.map(|(counters, _)| &counters.clones),
        faults: seen.map(|(counters, _)| &counters.faults),
        found: seen.map(|(_, inspection)| inspection),
        left,
    })
}
