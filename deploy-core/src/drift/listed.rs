//! What differs by what a list of the whole cluster tells.

use super::{Differences, Drift, at_rest, placed, settings};
use crate::{
    Bytes, Change, Look, Machine, MachineConfig, MiB, Operation, Surveyed, VmRecord, goal, rules::Verdict,
};

/// What differs of node, power, CPU, memory, name and tags; of everything else a list tells nothing. What it does not know yet
/// of a fresh machine differs in nothing, and a machine that is paused runs.
pub fn drift_listed(record: &VmRecord, listed: &Surveyed) -> Vec<Drift> {
    if record.operation == Operation::Terminate || record.life.adopts.is_some() {
        return Vec::new();
    }
    let machine = as_listed(record, listed);
    let mut found = Differences::default();
    placed(record, &machine, &mut found);
    // Sockets and cores are told as one number.
    let ordered = u32::from(record.spec.sockets.get()) * u32::from(record.spec.cores.get());
    if let Some(cpus) = listed.cpus.filter(|cpus| *cpus != ordered) {
        found.push("cpus", &ordered, &cpus);
    }
    if let Verdict::Unmet(Change::Configure(missing)) = goal::cpu_ram(record, &machine) {
        settings(&missing, &machine, &mut found);
    }
    // Also one that is no name: PVE makes one up where there is none.
    if let (Some(name), Some(drift)) =
        (&listed.name, found.0.iter_mut().find(|drift| drift.field == "pve_name"))
    {
        drift.seen.clone_from(name);
    }
    found.0
}

/// The machine as ordered, but for what the list tells, so that the same goals compare it.
fn as_listed(record: &VmRecord, listed: &Surveyed) -> Machine {
    let spec = &record.spec;
    let memory = |bytes: Bytes| MiB::try_from(bytes.0 >> 20).ok();
    let name = match &listed.name {
        Some(name) => name.parse().ok(),
        None => Some(record.numbered.pve_name.clone()),
    };
    Machine {
        node: listed.node.clone(),
        look: Look::CONFIG,
        lock: None,
        config: MachineConfig {
            description: record.mark().to_string(),
            name,
            tags: listed.tags.clone(),
            // Not told.
            autostart: at_rest(record).map_or(spec.autostart, |(autostart, _)| autostart),
            sockets: Some(spec.sockets),
            cores: Some(spec.cores),
            memory: listed.memory.map_or(Some(spec.memory), memory),
            ..MachineConfig::default()
        },
        power: listed.power.clone(),
        pending: None,
        firewall: None,
        agent: None,
        backups: None,
        ha: None,
        snapshots: None,
        pool: None,
    }
}
