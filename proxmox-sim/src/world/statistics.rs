//! What `/cluster/resources` knows: each node broadcasts its machines every ten seconds.

use std::collections::BTreeMap;
use std::hash::{Hash as _, Hasher as _};
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
    pub(crate) nics: u64,
    /// Fingerprint of what it was made of.
    source: u64,
    /// When it was last broadcast, where that was not the last time.
    silent_since: Option<Duration>,
}

/// The last broadcast. Rows of machines that are gone stay: a number that is used again shows the
/// old machine's values until the next one.
#[derive(Debug, Default)]
pub(crate) struct Statistics {
    round: Option<u64>,
    /// When the last broadcast was.
    pub(super) at: Duration,
    /// Nothing has changed since then.
    unchanged: bool,
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
        if std::mem::replace(&mut self.unchanged, true) {
            self.at = until;
            self.pictures.repeat(until);
            return;
        }
        let before = std::mem::replace(&mut self.at, until);
        let silent = |machine: &Machine| nodes.get(&machine.node).is_some_and(|node| !node.online);
        self.rows.retain(|vmid, _| machines.contains_key(vmid));
        for (vmid, machine) in machines {
            let row = self.rows.get_mut(vmid);
            if silent(machine) {
                if let Some(row) = row {
                    row.silent_since = row.silent_since.or(Some(before));
                }
                continue;
            }
            let source = source(machine);
            match row {
                Some(row) if row.source == source => row.silent_since = None,
                _ => {
                    self.rows.insert(*vmid, Statistic::of(machine, source));
                }
            }
        }
        self.pictures.add(until, machines, nodes, &self.rows);
    }

    /// Remembers earlier broadcasts for that long.
    pub(crate) fn reach_back(&mut self, span: Duration) {
        self.pictures.reach_back(span);
        // The latest one may not be remembered yet.
        self.touch();
    }

    /// Something may have changed: the next broadcast looks at everything.
    pub(crate) fn touch(&mut self) {
        self.unchanged = false;
    }

    /// What is known of a machine now.
    pub(crate) fn get(&self, vmid: u32, now: Duration) -> Option<&Statistic> {
        self.rows.get(&vmid).filter(|row| now.saturating_sub(self.told_at(row)) <= LIFE)
    }

    /// When a row was last broadcast.
    pub(crate) fn told_at(&self, row: &Statistic) -> Duration {
        row.silent_since.unwrap_or(self.at)
    }
}

impl Statistic {
    fn of(machine: &Machine, source: u64) -> Self {
        Self {
            name: machine.name(),
            status: if machine.running.is_some() { "running" } else { "stopped" },
            since: machine.running.as_ref().map(|running| running.since),
            template: machine.is_template(),
            cpus: machine.cpus(),
            memory: machine.memory_bytes(),
            disk: machine.disk_bytes(),
            nics: machine.nics(),
            source,
            silent_since: None,
        }
    }
}

/// Fingerprint of everything that a row is made of: comparing it is much cheaper than making the row.
fn source(machine: &Machine) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    let config = &machine.config;
    for key in ["name", "template", "cores", "sockets", "memory"] {
        config.get(key).hash(&mut hasher);
    }
    machine.nics().hash(&mut hasher);
    machine.boot_slot().map(|slot| (slot, config.get(slot))).hash(&mut hasher);
    machine.running.as_ref().map(|running| running.since).hash(&mut hasher);
    hasher.finish()
}
