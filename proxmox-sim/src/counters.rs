//! Counting what was asked and done.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::faults::Fault;
use crate::reply::Refusal;
use crate::request::Request;

/// Counters since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Requests by method and path, the path with its variables in braces. Each counts when it
    /// comes in, also when a fault then loses it.
    pub requests: BTreeMap<String, u64>,
    /// Tasks by type.
    pub tasks: BTreeMap<String, TaskCount>,
    /// Successful clones by the VMID they made.
    pub clones: BTreeMap<u32, u64>,
    /// Successful destructions by VMID.
    pub destroyed: BTreeMap<u32, u64>,
    /// Workers that waited too long for a lock, also those that an injected fault kept from it.
    pub lock_timeouts: u64,
    /// Faults and mishaps that struck, by the names of their weights.
    pub faults: BTreeMap<String, u64>,
    /// What no server would have taken: unknown calls and parameters, wrong types and values. The
    /// first thousand of them.
    pub off_schema: Vec<OffSchema>,
}

/// Something that the table of a call does not allow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OffSchema {
    /// HTTP method.
    pub method: String,
    /// Path as it was sent.
    pub path: String,
    /// The parameter; empty when there is no such call.
    pub parameter: String,
    /// What the answer said.
    pub text: String,
}

/// Tasks of one type, by how they ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct TaskCount {
    /// Ended well.
    pub ok: u64,
    /// Ended with an error, or were killed.
    pub failed: u64,
}

impl Counters {
    /// All requests.
    pub fn total_requests(&self) -> u64 {
        self.requests.values().sum()
    }

    pub(crate) fn request(&mut self, method: &str, path: &str) {
        *self.requests.entry(format!("{method} {path}")).or_default() += 1;
    }

    pub(crate) fn off_schema(&mut self, request: &Request, refusal: &Refusal) {
        const MOST: usize = 1000;
        let path = request.api_path().unwrap_or_else(|| request.path.clone());
        let entry = |(parameter, text): (&String, &String)| OffSchema {
            method: request.method.clone(),
            path: path.clone(),
            parameter: parameter.clone(),
            text: text.clone(),
        };
        match refusal {
            Refusal::Parameters(errors) => self.off_schema.extend(errors.iter().map(entry)),
            other => self.off_schema.push(entry((&String::new(), &other.task_text()))),
        }
        self.off_schema.truncate(MOST);
    }

    pub(crate) fn task(&mut self, kind: &str, ok: bool) {
        let count = self.tasks.entry(kind.to_owned()).or_default();
        if ok {
            count.ok += 1;
        } else {
            count.failed += 1;
        }
    }

    pub(crate) fn made(&mut self, kind: &str, vmid: u32) {
        let by_vmid = if kind == "qmdestroy" { &mut self.destroyed } else { &mut self.clones };
        *by_vmid.entry(vmid).or_default() += 1;
    }

    /// Counts a fault that a request meets. What befalls its worker, or finds nothing old to show,
    /// counts when it strikes.
    pub(crate) fn fault(&mut self, fault: Fault) {
        let name = match fault {
            Fault::LoseRequest => "lose_request",
            Fault::LoseAnswer => "lose_answer",
            Fault::Late(_) => "late",
            Fault::Refused => "refused",
            Fault::Gateway(_) => "gateway",
            Fault::Busy => "busy",
            Fault::Slow(_) => "slow",
            Fault::Duplicate(_, false) => "duplicate",
            Fault::Duplicate(_, true) => "lost_duplicate",
            Fault::LockTimeout => "lock_timeout",
            Fault::StaleList(_) | Fault::Worker(_) => return,
        };
        self.struck(name);
    }

    /// Counts a fault by its name.
    pub(crate) fn struck(&mut self, name: &str) {
        *self.faults.entry(name.to_owned()).or_default() += 1;
    }
}
