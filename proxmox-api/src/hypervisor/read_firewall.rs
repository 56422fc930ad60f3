//! A machine's firewall, from PVE's words into the engine's.

use super::meaning::read;
use crate::{ApiError, Client};
use deploy_core::{FirewallOptions, Look, MachineFirewall, NicSlot, RuleKey, SeenRule};
use ipnet::IpNet;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// The name of a NIC's anti-spoofing set. PVE: Firewall, "Standard IP set ipfilter-net*".
pub(super) fn filter_name(nic: NicSlot) -> String {
    format!("ipfilter-{nic}")
}

/// What is wanted of the options, our rules, and the members of the anti-spoofing sets.
pub(super) async fn firewall(
    client: &Client,
    node: &str,
    vmid: u32,
    wanted: Look,
) -> Result<MachineFirewall, ApiError> {
    let options = async {
        if !wanted.covers(Look::FIREWALL_OPTIONS) {
            return Ok(None);
        }
        read(|| client.firewall_options(node, vmid)).await.map(|options| Some(read_options(&options)))
    };
    let rules = async {
        if !wanted.covers(Look::RULES) {
            return Ok(Vec::new());
        }
        read(|| client.firewall_rules(node, vmid)).await
    };
    let sets = async {
        if !wanted.covers(Look::FILTERS) {
            return Ok(Vec::new());
        }
        read(|| client.ipsets(node, vmid)).await
    };
    let (options, rules, sets) = tokio::try_join!(options, rules, sets)?;
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
        options,
        rules_revision: rules.iter().find_map(|rule| rule.digest.as_deref()?.parse().ok()),
        rules: ours.collect(),
        filters,
    })
}

fn read_options(options: &crate::FirewallOptions) -> FirewallOptions {
    let policy = |word: &Option<String>| word.as_deref().and_then(|policy| policy.parse().ok());
    FirewallOptions {
        enabled: options.enable,
        ip_filter: options.ipfilter,
        mac_filter: options.macfilter,
        dhcp: options.dhcp,
        ndp: options.ndp,
        router_advertisements: options.radv,
        policy_in: policy(&options.policy_in),
        policy_out: policy(&options.policy_out),
    }
}

/// PVE writes a single address without a prefix.
fn net(cidr: &str) -> Option<IpNet> {
    cidr.parse().ok().or_else(|| cidr.parse::<IpAddr>().ok().map(IpNet::from))
}

/// The text by which PVE knows a member.
pub(super) fn member_text(net: IpNet) -> String {
    if net.prefix_len() == net.max_prefix_len() { net.addr().to_string() } else { net.trunc().to_string() }
}
