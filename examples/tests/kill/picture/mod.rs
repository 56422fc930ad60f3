//! The database, looked at from outside while nobody or somebody works with it.

mod postgres;
mod sqlite;

use crate::{desk::Desk, server::Server};
use serde_json::Value;
use std::{collections::BTreeMap, net::IpAddr};

/// Everything at one moment.
#[derive(Default)]
pub(crate) struct Picture {
    /// By reference.
    pub(crate) machines: BTreeMap<String, Row>,
    pub(crate) pools: Vec<Pool>,
    /// Numbers that are nobody else's: of machines, and (with `true`) resting ones.
    pub(crate) numbers: Vec<(u32, String, bool)>,
    pub(crate) notices_left: u32,
    /// Machines that a worker has in hand.
    pub(crate) leased: u32,
}

/// A machine.
pub(crate) struct Row {
    pub(crate) key: String,
    pub(crate) vmid: u32,
    pub(crate) node: String,
    pub(crate) step: String,
    pub(crate) progress: Value,
    pub(crate) attention: Option<String>,
    pub(crate) macs: Vec<String>,
    pub(crate) smbios: Option<String>,
    /// In the order in which they were taken.
    pub(crate) addresses: Vec<(usize, IpAddr)>,
    pub(crate) log: Vec<Line>,
}

/// A line of the deploy log.
pub(crate) struct Line {
    pub(crate) operation: String,
    pub(crate) step: String,
    pub(crate) event: Value,
    pub(crate) times: u32,
}

/// The addresses of a pool, by what they are.
pub(crate) struct Pool {
    pub(crate) name: String,
    pub(crate) usable: u128,
    pub(crate) free: u128,
    pub(crate) resting: u128,
    pub(crate) held: u128,
}

impl Row {
    /// The steps of an operation that the log says are done, as often as it says so.
    pub(crate) fn done(&self, operation: &str) -> Vec<&str> {
        let done = |line: &&Line| line.operation == operation && line.event["event"] == "done";
        self.log.iter().filter(done).flat_map(|line| (0..line.times).map(|_| line.step.as_str())).collect()
    }

    /// The log, for people.
    pub(crate) fn story(&self) -> String {
        let lines =
            self.log.iter().map(|line| format!("    {:<30} {}x {}", line.step, line.times, line.event));
        lines.collect::<Vec<_>>().join("\n")
    }
}

impl Picture {
    /// What is there. A server is waited for.
    pub(crate) async fn of(desk: &Desk, server: Option<&Server>) -> Self {
        match server {
            Some(server) => postgres::look(server.url()).await,
            None => sqlite::look(&desk.database()),
        }
    }

    /// Gives each machine its log and its addresses.
    fn furnish(
        &mut self,
        mut logs: BTreeMap<String, Vec<Line>>,
        mut held: BTreeMap<String, Vec<(usize, IpAddr)>>,
    ) {
        for row in self.machines.values_mut() {
            row.log = logs.remove(&row.key).unwrap_or_default();
            row.addresses = held.remove(&row.key).unwrap_or_default();
        }
        assert!(held.is_empty(), "addresses of nobody: {held:?}");
    }
}
