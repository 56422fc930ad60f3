//! What the cluster shows.

use super::{Cluster, LookFault, ModelFirewall, ModelMachine, Volume};
use deploy_core::{
    Agent, ErrorClass, HaState, Holder, Leftover, Look, LookError, Machine, MachineFirewall, MachineId,
    Obscured, Power, Revision, SeenRule, Sighting, Summary, TaskId, TaskState, Vmid,
};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

impl Cluster {
    pub(super) fn sight(&mut self, vmid: Vmid, look: Look) -> Sighting {
        self.counters.looks += 1;
        if let Some(fault) = self.faults.next_look() {
            return Sighting::Unknown(obscured(fault));
        }
        match self.machines.get(&vmid) {
            Some(machine) if self.nodes_down.contains(&machine.node) => {
                Sighting::Unknown(obscured(LookFault::Unreachable))
            }
            Some(machine) => Sighting::Seen(Box::new(self.show(vmid, machine, look))),
            None => Sighting::ProvenAbsent,
        }
    }

    pub(super) fn task_state(&mut self, task: &TaskId) -> TaskState {
        match self.faults.next_look() {
            Some(fault) => TaskState::Unknown(obscured(fault).message),
            None => self.tasks.state(task),
        }
    }

    pub(super) fn holder(&mut self, vmid: Vmid) -> Holder {
        match self.faults.next_look() {
            Some(fault) => Holder::Unknown(obscured(fault).message),
            None => self.tasks.at_work_on(vmid).map_or(Holder::Nobody, Holder::Task),
        }
    }

    pub(super) fn leftovers(&mut self, id: &MachineId) -> Result<Vec<Leftover>, LookError> {
        if let Some(fault) = self.faults.next_look() {
            let Obscured { class, message } = obscured(fault);
            return Err(LookError { class, message });
        }
        let named: BTreeSet<&str> = self.machines.values().flat_map(ModelMachine::named_volumes).collect();
        let left = self.volumes.iter().filter(|(name, _)| !named.contains(name.as_str()));
        let leftover = |(name, volume): (&String, &Volume)| Leftover {
            node: id.node.clone(),
            volume: name.clone(),
            size: None,
            made_at: volume.made_at,
        };
        Ok(left.filter(|(_, volume)| volume.vmid == id.vmid).map(leftover).collect())
    }

    pub(super) fn inventory(&mut self) -> Result<Vec<Summary>, LookError> {
        self.list_fault()?;
        let summary = |(vmid, machine): (&Vmid, &ModelMachine)| Summary {
            vmid: *vmid,
            node: machine.node.clone(),
            name: machine.config.name.as_ref().map(ToString::to_string),
            power: Some(machine.power.clone()),
            lock: machine.lock.clone(),
            template: machine.template,
        };
        Ok(self.machines.iter().map(summary).collect())
    }

    /// What becomes of the next list.
    pub(super) fn list_fault(&mut self) -> Result<(), LookError> {
        self.faults.next_look().map_or(Ok(()), |fault| {
            let Obscured { class, message } = obscured(fault);
            Err(LookError { class, message })
        })
    }

    fn show(&self, vmid: Vmid, machine: &ModelMachine, look: Look) -> Machine {
        let mut config = machine.config.clone();
        config.revision = revision(machine.revision);
        config.template = machine.template;
        config.cloud_init.has_password = machine.password.is_some();
        Machine {
            node: machine.node.clone(),
            look,
            lock: machine.lock.clone(),
            config,
            power: look.covers(Look::POWER).then(|| machine.power.clone()),
            pending: look.covers(Look::PENDING).then(|| machine.pending.clone()),
            firewall: look.touches(Look::FIREWALL).then(|| show_firewall(&machine.firewall, look)),
            agent: look.covers(Look::AGENT).then(|| self.agent(machine)),
            backups: look.covers(Look::BACKUPS).then(|| self.backups(vmid)),
            ha: look.covers(Look::HA).then(|| ha(machine)),
            snapshots: look
                .covers(Look::SNAPSHOTS)
                .then(|| machine.snapshots.iter().map(|snapshot| snapshot.shown.clone()).collect()),
            pool: look.covers(Look::POOL).then(|| machine.pool.clone().filter(|_| self.shows_pools)),
        }
    }

    fn agent(&self, machine: &ModelMachine) -> Agent {
        let up = |since: Timestamp| self.now >= since + self.timing.boot;
        if machine.config.agent && machine.power == Power::Running && machine.running_since.is_some_and(up) {
            Agent::Answers(machine.guest_addresses())
        } else {
            Agent::Silent
        }
    }
}

fn ha(machine: &ModelMachine) -> HaState {
    machine.ha.clone().map_or(HaState::Unmanaged, |state| HaState::Managed(Some(state)))
}

fn show_firewall(firewall: &ModelFirewall, look: Look) -> MachineFirewall {
    let (shows_rules, shows_filters) = (look.covers(Look::RULES), look.covers(Look::FILTERS));
    let rules = (0..).zip(&firewall.rules).filter(|_| shows_rules);
    MachineFirewall {
        options: look.covers(Look::FIREWALL_OPTIONS).then_some(firewall.options),
        rules: rules.filter_map(|(position, rule)| Some(SeenRule { position, key: rule.key()? })).collect(),
        rules_revision: revision(firewall.revision).filter(|_| shows_rules),
        filters: if shows_filters { firewall.filters.clone() } else { BTreeMap::new() },
    }
}

pub(super) fn revision(number: u64) -> Option<Revision> {
    format!("r{number}").parse().ok()
}

pub(super) fn obscured(fault: LookFault) -> Obscured {
    let (class, message) = match fault {
        LookFault::Unreachable => (ErrorClass::Unreachable, "no route to host"),
        LookFault::Forbidden => (ErrorClass::Unauthorized, "permission check failed (VM.Audit)"),
    };
    Obscured { class, message: message.to_owned() }
}
