//! The firewall: anti-spoofing sets, rules, options.

use super::{Differences, list, shown};
use crate::{
    Direction, FirewallOptions, FirewallRule, Machine, MachineFirewall, NicSlot, PacketPolicy, SetFirewall,
};
use ipnet::IpNet;
use std::collections::BTreeSet;

pub(super) fn differences(missing: &SetFirewall, machine: &Machine, found: &mut Differences) {
    let nothing = MachineFirewall::default();
    let seen = machine.firewall.as_ref().unwrap_or(&nothing);
    let SetFirewall { create_filters, add_members, remove_members, remove_rule, add_rules, options } =
        missing;
    let changed = add_members.iter().chain(remove_members).map(|(nic, _)| nic);
    for nic in create_filters.iter().chain(changed).collect::<BTreeSet<_>>() {
        members(*nic, missing, seen, found);
    }
    for rule in add_rules {
        found.push("firewall.rules", &words(rule), &"missing");
    }
    if let Some((position, _)) = remove_rule {
        found.push(
            "firewall.rules",
            &"each rule once",
            &format!("the one at position {position} stands twice"),
        );
    }
    if let Some(wanted) = options {
        let seen = parts(seen.options.unwrap_or_default());
        for ((part, ordered), (_, seen)) in parts(*wanted).into_iter().zip(seen) {
            found.compare(format!("firewall.{part}"), ordered, seen);
        }
    }
}

/// The addresses that a NIC may send from.
fn members(nic: NicSlot, missing: &SetFirewall, seen: &MachineFirewall, found: &mut Differences) {
    let there = seen.filters.get(&nic);
    let mut ordered: BTreeSet<IpNet> = there.cloned().unwrap_or_default();
    ordered.retain(|net| !missing.remove_members.contains(&(nic, *net)));
    ordered.extend(missing.add_members.iter().filter(|(of, _)| *of == nic).map(|(_, net)| net));
    found.push(format!("firewall.{nic}"), &list(ordered), &shown(there.map(list), "no set"));
}

fn words(rule: &FirewallRule) -> String {
    let direction = match rule.direction {
        Direction::In => "in",
        Direction::Out => "out",
    };
    let what = rule.macro_name.as_ref().or(rule.protocol.as_ref());
    let port = rule.dest_port.as_ref().map(|port| format!(" to port {port}"));
    let what = what.map(|what| format!(" {what}"));
    format!("{direction} {}{}{}", rule.action.as_str(), what.unwrap_or_default(), port.unwrap_or_default())
}

fn parts(options: FirewallOptions) -> [(&'static str, String); 8] {
    let FirewallOptions {
        enabled,
        ip_filter,
        mac_filter,
        dhcp,
        ndp,
        router_advertisements,
        policy_in,
        policy_out,
    } = options;
    let flag = |flag: Option<bool>| shown(flag.map(|on| if on { "on" } else { "off" }), "not set");
    let policy = |policy: Option<PacketPolicy>| shown(policy.map(PacketPolicy::as_str), "not set");
    [
        ("enabled", flag(enabled)),
        ("ip_filter", flag(ip_filter)),
        ("mac_filter", flag(mac_filter)),
        ("dhcp", flag(dhcp)),
        ("ndp", flag(ndp)),
        ("router_advertisements", flag(router_advertisements)),
        ("policy_in", policy(policy_in)),
        ("policy_out", policy(policy_out)),
    ]
}
