//! A machine's firewall, from PVE's words into the engine's.

use super::meaning::read;
use crate::{ApiError, Client};
use deploy_core::{FirewallOptions, MachineFirewall, NicSlot, RuleKey, SeenRule};
use ipnet::IpNet;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// The name of a NIC's anti-spoofing set. PVE: Firewall, "Standard IP set ipfilter-net*".
pub(super) fn filter_name(nic: NicSlot) -> String {
    format!("ipfilter-{nic}")
}

/// Options, our rules, and the members of the anti-spoofing sets.
pub(super) async fn firewall(client: &Client, node: &str, vmid: u32) -> Result<MachineFirewall, ApiError> {
    let options = read(|| client.firewall_options(node, vmid)).await?;
    let rules = read(|| client.firewall_rules(node, vmid)).await?;
    let sets = read(|| client.ipsets(node, vmid)).await?;
    let mut filters = BTreeMap::new();
    for nic in NicSlot::in_order() {
        let name = filter_name(nic);
        if sets.iter().any(|set| set.name == name) {
            let members = read(|| client.ipset_members(node, vmid, &name)).await?;
            let nets: BTreeSet<IpNet> = members
                .iter()
                .filter(|member| !member.nomatch)
                .filter_map(|member| net(&member.cidr))
                .collect();
            filters.insert(nic, nets);
        }
    }
    let ours = rules.iter().filter_map(|rule| {
        Some(SeenRule { position: rule.pos?, key: RuleKey::in_comment(rule.comment.as_deref()?)? })
    });
    Ok(MachineFirewall {
        options: FirewallOptions {
            enabled: options.enable,
            ip_filter: options.ipfilter,
            mac_filter: options.macfilter,
            dhcp: options.dhcp,
            ndp: options.ndp,
            router_advertisements: options.radv,
            policy_in: options.policy_in.and_then(|policy| policy.parse().ok()),
            policy_out: options.policy_out.and_then(|policy| policy.parse().ok()),
        },
        rules_revision: rules.iter().find_map(|rule| rule.digest.as_deref()?.parse().ok()),
        rules: ours.collect(),
        filters,
    })
}

/// PVE writes a single address without a prefix.
fn net(cidr: &str) -> Option<IpNet> {
    cidr.parse().ok().or_else(|| cidr.parse::<IpAddr>().ok().map(IpNet::from))
}

/// The text by which PVE knows a member.
pub(super) fn member_text(net: IpNet) -> String {
    if net.prefix_len() == net.max_prefix_len() { net.addr().to_string() } else { net.trunc().to_string() }
}
