//! The machine's firewall.

use super::*;

fn guarded(rules: Vec<FirewallRule>) -> VmRecord {
    at(Step::SetFirewall, VmSpec { firewall: Some(firewall(rules)), ..networked() })
}

fn wanted(record: &VmRecord, machine: &Machine) -> SetFirewall {
    match change(seen(record, machine)) {
        Change::SetFirewall(set) => *set,
        other => panic!("{other:?}"),
    }
}

#[test]
fn sets_are_filled_with_what_the_machine_was_given() {
    let record = guarded(vec![]);
    let mut machine = plain_machine(&record);
    let copied: ipnet::IpNet = "192.0.2.9/32".parse().unwrap();
    machine.firewall.as_mut().unwrap().filters.insert(slot(0), [copied].into());
    machine.firewall.as_mut().unwrap().filters.insert(slot(7), [copied].into());
    let set = wanted(&record, &machine);
    let members: Vec<String> = set.add_members.iter().map(|(_, net)| net.to_string()).collect();
    assert_eq!(members, ["198.51.100.10/32", "198.51.100.11/32", "2001:db8::10/128"]);
    assert_eq!(set.remove_members, BTreeSet::from([(slot(0), copied)]), "a copied set must not let through");
    assert_eq!(set.create_filters, [].into());
    assert_eq!(set.options.unwrap().ip_filter, Some(true));
}

#[test]
fn address_filtering_is_off_where_it_would_cut_a_nic_off() {
    let spec = VmSpec { nics: vec![nic(from_pools(1, 0)), nic(Addressing::Dhcp)], ..networked() };
    let record = at(Step::SetFirewall, VmSpec { firewall: Some(firewall(vec![])), ..spec });
    let options = wanted(&record, &plain_machine(&record)).options.unwrap();
    assert_eq!((options.ip_filter, options.dhcp, options.mac_filter), (Some(false), Some(true), Some(true)));
}

#[test]
fn a_rule_ordered_twice_is_added_once_and_one_that_is_there_not_again() {
    let record = guarded(vec![rule(22), rule(80), rule(22), rule(443)]);
    let mut machine = plain_machine(&record);
    let there = SeenRule { position: 4, key: rule(80).key() };
    machine.firewall.as_mut().unwrap().rules.push(there);
    assert_eq!(wanted(&record, &machine).add_rules, [rule(22), rule(443)]);
}

/// The one on top came late; the one below stands where it belongs. Of what is not ours nothing is taken.
#[test]
fn of_a_rule_that_stands_twice_the_upper_goes() {
    let record = guarded(vec![rule(22), rule(80)]);
    let mut machine = plain_machine(&record);
    let others = rule(9999);
    let keys = [rule(80), rule(22), rule(80), others.clone(), others];
    let rules = (0..).zip(&keys).map(|(position, rule)| SeenRule { position, key: rule.key() });
    machine.firewall.as_mut().unwrap().rules = rules.collect();
    let set = wanted(&record, &machine);
    assert_eq!(set.remove_rule, Some((0, Some(p("f1")))), "guarded, for positions move");
    assert!(set.add_rules.is_empty());
}

#[test]
fn without_an_order_for_it_a_firewall_is_left() {
    let record = at(Step::SetFirewall, networked());
    assert!(is_done(&seen(&record, &plain_machine(&record))));
}
