//! What `/cluster/resources` knows: each node broadcasts its machines every ten seconds.

use std::collections::BTreeMap;
use std::time::Duration;

use super::machine::Machine;

/// One machine as last broadcast.
#[derive(Debug, Clone)]
pub(crate) struct Statistic {
    pub(crate) name: String,
    pub(crate) status: &'static str,
    pub(crate) since: Option<Duration>,
    pub(crate) template: bool,
    pub(crate) cpus: u64,
    pub(crate) memory: u64,
    pub(crate) disk: u64,
}

/// The last broadcast. Rows of machines that are gone stay: a number that is used again shows the
/// old machine's values until the next one.
#[derive(Debug, Default)]
pub(crate) struct Statistics {
    round: Option<u64>,
    rows: BTreeMap<u32, Statistic>,
}

/// Time between two broadcasts.
const ROUND: u64 = 10;

impl Statistics {
    /// Takes a new picture when a round has begun since the last one.
    pub(crate) fn refresh(&mut self, until: Duration, machines: &BTreeMap<u32, Machine>) {
        let round = until.as_secs() / ROUND;
        if self.round.is_some_and(|last| last >= round) {
            return;
        }
        self.round = Some(round);
        self.rows = machines.iter().map(|(vmid, machine)| (*vmid, Statistic::of(machine))).collect();
    }

    pub(crate) fn get(&self, vmid: u32) -> Option<&Statistic> {
        self.rows.get(&vmid)
    }
}

impl Statistic {
    pub(crate) fn of(machine: &Machine) -> Self {
        Self {
            name: machine.name(),
            status: if machine.running.is_some() { "running" } else { "stopped" },
            since: machine.running.as_ref().map(|running| running.since),
            template: machine.is_template(),
            cpus: machine.cpus(),
            memory: machine.memory_bytes(),
            disk: machine.disk_bytes(),
        }
    }
}
