//! What `/cluster/resources` knows: each node broadcasts its machines every ten seconds.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Node;
use super::machine::Machine;
use super::picture::Pictures;

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
    /// When it was broadcast.
    at: Duration,
}

/// The last broadcast. Rows of machines that are gone stay: a number that is used again shows the
/// old machine's values until the next one.
#[derive(Debug, Default)]
pub(crate) struct Statistics {
    round: Option<u64>,
    pub(super) rows: BTreeMap<u32, Statistic>,
    /// Earlier broadcasts, for lists that are stale.
    pub(crate) pictures: Pictures,
}

/// Time between two broadcasts.
const ROUND: u64 = 10;
/// Older values are dropped: those of a node that is down.
const LIFE: Duration = Duration::from_secs(300);

impl Statistics {
    /// Takes a new picture when a round has begun since the last one.
    /// A node that is down broadcasts nothing.
    pub(crate) fn refresh(
        &mut self,
        until: Duration,
        machines: &BTreeMap<u32, Machine>,
        nodes: &BTreeMap<String, Node>,
    ) {
        let round = until.as_secs() / ROUND;
        if self.round.is_some_and(|last| last >= round) {
            return;
        }
        self.round = Some(round);
        let silent = |machine: &Machine| nodes.get(&machine.node).is_some_and(|node| !node.online);
        self.rows.retain(|vmid, _| machines.get(vmid).is_some_and(silent));
        let heard = machines.iter().filter(|(_, machine)| !silent(machine));
        self.rows.extend(heard.map(|(vmid, machine)| (*vmid, Statistic::of(machine, until))));
        self.pictures.add(until, machines, nodes, &self.rows);
    }

    /// What is known of a machine now.
    pub(crate) fn get(&self, vmid: u32, now: Duration) -> Option<&Statistic> {
        self.rows.get(&vmid).filter(|row| now.saturating_sub(row.at) <= LIFE)
    }
}

impl Statistic {
    fn of(machine: &Machine, at: Duration) -> Self {
        Self {
            name: machine.name(),
            status: if machine.running.is_some() { "running" } else { "stopped" },
            since: machine.running.as_ref().map(|running| running.since),
            template: machine.is_template(),
            cpus: machine.cpus(),
            memory: machine.memory_bytes(),
            disk: machine.disk_bytes(),
            at,
        }
    }
}
