//! What a look still says after a change.

use crate::{Change, Look, Machine, MachineFirewall, Remembered, SetFirewall, VmRecord};

/// What still holds of a machine that was seen, once a change of it was answered; `None` where it must be looked at anew.
///
/// Most changes touch the configuration, and everything hangs on that. What is done to the machine's process does not, nor do HA
/// and the firewall: they have files of their own. What is left out here is looked at when it is needed.
pub(crate) fn left_by(
    change: &Change,
    machine: Option<Box<Machine>>,
    answers_tell: bool,
) -> Option<Box<Machine>> {
    let mut machine = machine?;
    match change {
        Change::Start => {
            let touched = Look::POWER.and(Look::PENDING).and(Look::AGENT).and(Look::HA);
            machine.look = machine.look.without(touched);
            (machine.power, machine.pending, machine.agent, machine.ha) = (None, None, None, None);
        }
        Change::Reset => {
            machine.look = machine.look.without(Look::POWER.and(Look::AGENT));
            (machine.power, machine.agent) = (None, None);
        }
        // The manager may be starting or stopping it just now.
        Change::LeaveHa => {
            machine.look = machine.look.without(Look::HA.and(Look::POWER));
            (machine.ha, machine.power) = (None, None);
        }
        Change::SetFirewall(set) => {
            // What is removed by its position may have been another one.
            let told = answers_tell && set.remove_rule.is_none();
            machine.firewall = machine.firewall.take().filter(|_| told).map(|seen| made(seen, set));
            if machine.firewall.is_none() {
                machine.look = machine.look.without(Look::FIREWALL);
            } else if set.options.is_some() {
                machine.look = machine.look.and(Look::FIREWALL_OPTIONS);
            }
            // A rule that is carried out twice on its way stands twice, and no answer says so.
            if !set.add_rules.is_empty() {
                machine.look = machine.look.without(Look::RULES);
            }
        }
        Change::Clone { .. }
        | Change::JoinPool(_)
        | Change::Migrate { .. }
        | Change::Configure(_)
        | Change::Import { .. }
        | Change::Resize { .. }
        | Change::Stop(_)
        | Change::CreateSnapshot { .. }
        | Change::DeleteSnapshot(_)
        | Change::RollBack(_)
        | Change::Backup { .. }
        | Change::DeleteBackup(_)
        | Change::RestoreBackup { .. }
        | Change::Destroy(_) => return None,
    }
    Some(machine)
}

/// Whether what there will be follows from what was seen and what will be answered: no request of an earlier try may still
/// arrive. Asked before the intent is written down.
pub(crate) fn answers_tell(record: &VmRecord) -> bool {
    let doubt = |known: &Remembered| {
        matches!(known, Remembered::RulesInDoubt | Remembered::RulesAwaited | Remembered::FirewallInDoubt)
    };
    record.failures == 0 && !record.remembered.iter().any(doubt)
}

/// A firewall with the parts that were made, each request of which was answered: but for rules, making them once more does
/// nothing.
fn made(seen: MachineFirewall, set: &SetFirewall) -> MachineFirewall {
    let MachineFirewall { options, rules, rules_revision, mut filters } = seen;
    for nic in &set.create_filters {
        filters.entry(*nic).or_default();
    }
    for (nic, net) in &set.add_members {
        filters.entry(*nic).or_default().insert(*net);
    }
    for (nic, net) in &set.remove_members {
        filters.entry(*nic).or_default().remove(net);
    }
    MachineFirewall { options: set.options.or(options), rules, rules_revision, filters }
}
