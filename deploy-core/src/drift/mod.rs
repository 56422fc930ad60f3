//! What differs from the order: the goals that are not met, field by field.
//!
//! The goals compare the order with the machine already; what one of them would change is what differs. So nothing is compared
//! twice, and nothing is called drift that the engine would leave as it is.

mod disks;
mod firewall;
mod listed;
mod nics;
mod settings;

pub use listed::drift_listed;

use crate::{
    Autostart, Change, Configure, GiB, Look, Machine, Operation, Power, Progress, Step, VmRecord, goal,
    rules::{CONFIGURED_TOGETHER, Verdict},
};
use serde::{Deserialize, Serialize};
use std::fmt::{self, Display};

/// Something that is otherwise than ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drift {
    /// What, by the order's names where it has one, such as `memory` or `system_disk.size`; parts of a machine by their slots,
    /// such as `scsi1.size` or `net0.vlan`.
    pub field: String,
    /// What was ordered, in words.
    pub ordered: String,
    /// What is there, in words.
    pub seen: String,
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} instead of {}", self.field, self.seen, self.ordered)
    }
}

/// What differs, in the order of the steps, of what the machine was asked to show. While a machine is on its way that is what
/// is still to be done; of one that is being taken away nothing is, nor of one that is not adopted yet.
///
/// What PVE cannot show differs where it is not remembered as done (a password). Settings that wait for the next start of a
/// machine that runs count as set: [`Machine::pending`] names them.
pub fn drift(record: &VmRecord, machine: &Machine) -> Vec<Drift> {
    if record.operation == Operation::Terminate
        || record.step == Step::Removed
        || record.life.adopts.is_some()
    {
        return Vec::new();
    }
    // What is done about it depends on what was tried; what differs does not.
    let record = &VmRecord { progress: Progress::Untried, failures: 0, ..record.clone() };
    let mut found = Differences::default();
    placed(record, machine, &mut found);
    configured(record, machine, &mut found);
    if machine.look.covers(Look::FIREWALL)
        && let Verdict::Unmet(Change::SetFirewall(missing)) = goal::firewall(record, machine)
    {
        firewall::differences(&missing, machine, &mut found);
    }
    found.0
}

/// Node, pool, power and autostart.
fn placed(record: &VmRecord, machine: &Machine, found: &mut Differences) {
    if let Verdict::Unmet(Change::Migrate { to, .. }) = goal::migrated(record, machine) {
        found.push("node", &to, &machine.node);
    }
    if let (Some(pool), Some(seen)) = (&record.spec.pve_pool, &machine.pool)
        && seen.as_ref() != Some(pool)
    {
        found.push("pve_pool", pool, &shown(seen.as_ref(), "none that we may see"));
    }
    let Some((autostart, shall_run)) = at_rest(record) else { return };
    if machine.config.autostart != autostart {
        let words = |autostart| if autostart == Autostart::On { "on" } else { "off" };
        found.push("autostart", &words(autostart), &words(machine.config.autostart));
    }
    let ordered = if shall_run { "running" } else { "stopped" };
    match (&machine.power, shall_run) {
        (Some(Power::Stopped), true) => found.push("power", &ordered, &"stopped"),
        (Some(Power::Running), false) => found.push("power", &ordered, &"running"),
        (Some(Power::Suspended(word)), _) => found.push("power", &ordered, word),
        (Some(Power::Stopped | Power::Running) | None, _) => {}
    }
}

/// Whether a machine at rest starts with its node, and whether it runs. On its way it is off and does not start by itself,
/// whatever was ordered.
fn at_rest(record: &VmRecord) -> Option<(Autostart, bool)> {
    match record.step {
        Step::Ready => Some((record.spec.autostart, !record.life.stopped)),
        Step::Suspended => Some((Autostart::Off, false)),
        _ => None,
    }
}

/// Everything that is in a machine's configuration.
fn configured(record: &VmRecord, machine: &Machine, found: &mut Differences) {
    for (step, goal) in CONFIGURED_TOGETHER {
        match goal(record, machine) {
            Verdict::Unmet(Change::Configure(missing)) => settings(&missing, machine, found),
            Verdict::Unseen(..) => found.push("cloud_init.password", &"as ordered", &"not known to be that"),
            Verdict::Impossible(why) => disks::impossible(*step, &why, found),
            Verdict::Met
            | Verdict::Unmet(_)
            | Verdict::Note(_)
            | Verdict::UnderWay(_)
            | Verdict::Incomplete(..)
            | Verdict::IfOurs(..)
            | Verdict::Refused(_)
            | Verdict::Locked(_) => {}
        }
    }
    disks::sizes(record, machine, found);
}

fn settings(missing: &Configure, machine: &Machine, found: &mut Differences) {
    settings::differences(missing, &machine.config, found);
    disks::differences(missing, &machine.config, found);
    nics::differences(missing, &machine.config, found);
}

/// What was found so far.
#[derive(Default)]
struct Differences(Vec<Drift>);

impl Differences {
    fn push(&mut self, field: impl Into<String>, ordered: &dyn Display, seen: &dyn Display) {
        self.0.push(Drift { field: field.into(), ordered: ordered.to_string(), seen: seen.to_string() });
    }

    /// Notes a part where it differs.
    fn compare(&mut self, field: impl Into<String>, ordered: String, seen: String) {
        if ordered != seen {
            self.0.push(Drift { field: field.into(), ordered, seen });
        }
    }
}

/// A value, or the words for that there is none.
fn shown<T: Display>(value: Option<T>, none: &str) -> String {
    value.map_or_else(|| none.to_owned(), |value| value.to_string())
}

/// Values one after the other.
fn list<T: Display>(values: impl IntoIterator<Item = T>) -> String {
    let values: Vec<String> = values.into_iter().map(|value| value.to_string()).collect();
    if values.is_empty() { "none".to_owned() } else { values.join(", ") }
}

/// The size of a disk as ordered, beside the one it has.
fn size(field: String, ordered: GiB, seen: Option<crate::Bytes>, found: &mut Differences) {
    found.push(field, &ordered, &shown(seen, "not known"));
}
