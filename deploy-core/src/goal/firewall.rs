//! The machine's firewall, before its first start.

use crate::{
    Addressing, Change, Filtering, FirewallOptions, FirewallSpec, Machine, MachineFirewall, NicSlot, NicSpec,
    NoteDown, Remembered, SetFirewall, VmRecord, rules::Verdict,
};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};

/// Anti-spoofing sets, rules and options are as ordered.
pub(crate) fn firewall(record: &VmRecord, machine: &Machine) -> Verdict {
    let retires = !record.life.retiring.is_empty();
    if record.spec.firewall.is_none() && !retires {
        return Verdict::Met;
    }
    let Some(seen) = &machine.firewall else {
        return Verdict::UnderWay("the firewall was not shown".to_owned());
    };
    let missing = match &record.spec.firewall {
        Some(spec) => missing(record, spec, seen),
        None => SetFirewall { remove_members: retired(record, seen), ..SetFirewall::default() },
    };
    if missing != SetFirewall::default() {
        return Verdict::Unmet(Change::SetFirewall(Box::new(missing)));
    }
    // A member that arrives late would let the machine use an address that may be somebody else's by then.
    let doubts = [Remembered::FirewallInDoubt, Remembered::RulesInDoubt];
    let doubted = doubts.iter().any(|doubt| record.remembered.contains(doubt));
    if doubted && retires { Verdict::Note(NoteDown::AwaitFirewall) } else { Verdict::Met }
}

/// Members of any set that the machine has no more, also of NICs that are gone.
fn retired(record: &VmRecord, seen: &MachineFirewall) -> BTreeSet<(NicSlot, IpNet)> {
    let retires = |net: &IpNet| record.life.retiring.iter().any(|held| IpNet::from(held.address) == *net);
    let members = seen.filters.iter().flat_map(|(nic, nets)| nets.iter().map(move |net| (*nic, *net)));
    members.filter(|(_, net)| retires(net)).collect()
}

fn missing(record: &VmRecord, spec: &FirewallSpec, seen: &MachineFirewall) -> SetFirewall {
    let filters = if spec.anti_spoofing { filters(record) } else { BTreeMap::new() };
    SetFirewall {
        create_filters: filters.keys().copied().filter(|nic| !seen.filters.contains_key(nic)).collect(),
        add_members: difference(&filters, &seen.filters),
        // A template's sets are copied by the clone: whatever else they hold would let this machine use
        // somebody else's address. Sets of NICs without addresses of ours are left alone.
        remove_members: difference(&seen.filters, &filters)
            .into_iter()
            .filter(|(nic, _)| filters.contains_key(nic))
            .chain(retired(record, seen))
            .collect(),
        remove_rule: surplus(spec, seen),
        add_rules: missing_rules(spec, seen),
        options: Some(options(record, spec, &filters)).filter(|wanted| seen.options != Some(*wanted)),
    }
}

fn filtered_nics(record: &VmRecord) -> impl Iterator<Item = (NicSlot, &NicSpec)> {
    NicSlot::in_order().zip(&record.spec.nics).filter(|(_, nic)| nic.filtering == Filtering::On)
}

/// The addresses that each filtered NIC may send from.
fn filters(record: &VmRecord) -> BTreeMap<NicSlot, BTreeSet<IpNet>> {
    filtered_nics(record)
        .filter(|(_, nic)| matches!(nic.addressing, Addressing::Pools(_)))
        .map(|(slot, _)| {
            let held = record.addresses.iter().filter(|held| held.nic == slot);
            (slot, held.map(|held| IpNet::from(held.address)).collect())
        })
        .collect()
}

type Members = BTreeMap<NicSlot, BTreeSet<IpNet>>;

fn difference(of: &Members, without: &Members) -> BTreeSet<(NicSlot, IpNet)> {
    let is_there = |nic: &NicSlot, net: &IpNet| without.get(nic).is_some_and(|members| members.contains(net));
    of.iter()
        .flat_map(|(nic, members)| members.iter().map(move |net| (*nic, *net)))
        .filter(|(nic, net)| !is_there(nic, net))
        .collect()
}

/// Rules that are not there, each once.
fn missing_rules(spec: &FirewallSpec, seen: &MachineFirewall) -> Vec<crate::FirewallRule> {
    let mut known: BTreeSet<_> = seen.rules.iter().map(|rule| rule.key).collect();
    spec.rules.iter().filter(|rule| known.insert(rule.key())).cloned().collect()
}

/// The topmost rule of ours that stands once more further down, because a request whose answer was lost arrived after
/// all: it was put on top, before rules that are to be matched first, and the other one is where it belongs. One at a
/// time, guarded by the revision: positions move with every removal.
fn surplus(spec: &FirewallSpec, seen: &MachineFirewall) -> Option<(u32, Option<crate::Revision>)> {
    let ours: BTreeSet<_> = spec.rules.iter().map(crate::FirewallRule::key).collect();
    let mut below = BTreeSet::new();
    let twice = seen.rules.iter().rev().filter(|rule| ours.contains(&rule.key) && !below.insert(rule.key));
    twice.last().map(|rule| (rule.position, seen.rules_revision.clone()))
}

/// The options. Address filtering by option holds for every NIC, and with an empty set where it has none of its own, so
/// it is switched on only where every filtered NIC has addresses of ours; the sets of those that do filter on their own.
fn options(record: &VmRecord, spec: &FirewallSpec, filters: &Members) -> FirewallOptions {
    let everywhere = filtered_nics(record).all(|(slot, _)| filters.contains_key(&slot));
    let dhcp = record.spec.nics.iter().any(|nic| nic.addressing == Addressing::Dhcp);
    FirewallOptions {
        enabled: Some(true),
        ip_filter: Some(spec.anti_spoofing && everywhere && !filters.is_empty()),
        mac_filter: Some(spec.anti_spoofing),
        dhcp: Some(dhcp),
        ndp: Some(true),
        router_advertisements: Some(false),
        policy_in: Some(spec.policy_in),
        policy_out: Some(spec.policy_out),
    }
}
