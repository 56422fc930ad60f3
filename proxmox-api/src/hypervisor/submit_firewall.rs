//! A machine's firewall, as PVE's calls.

use super::{
    meaning::not_submitted,
    read_firewall::{filter_name, member_text},
};
use crate::{Already, ApiError, Client, Failure, FirewallOptions, FirewallRule};
use deploy_core::{Direction, SetFirewall, SubmitError, Submitted};

/// Sends what is missing, in the order that never leaves a running machine with an empty anti-spoofing set: sets and their
/// members, then rules, and last the options that switch filtering on. Stops at the first failure; the next look shows
/// what is left.
pub(super) async fn set(
    client: &Client,
    node: &str,
    vmid: u32,
    set: &SetFirewall,
) -> Result<Submitted, SubmitError> {
    let done = |result: Result<(), ApiError>| match result {
        Err(error) if is_done(&error) => Ok(()),
        result => result.map_err(|error| not_submitted(&error)),
    };
    for nic in &set.create_filters {
        done(client.create_ipset(node, vmid, &filter_name(*nic), None).await)?;
    }
    for (nic, net) in &set.add_members {
        done(client.add_ipset_member(node, vmid, &filter_name(*nic), &member_text(*net), None).await)?;
    }
    for (nic, net) in &set.remove_members {
        done(client.delete_ipset_member(node, vmid, &filter_name(*nic), &member_text(*net), None).await)?;
    }
    if let Some((position, revision)) = &set.remove_rule {
        let digest = revision.as_ref().map(deploy_core::Revision::as_str);
        done(client.delete_firewall_rule(node, vmid, *position, digest).await)?;
    }
    // PVE puts every new rule at the top.
    for rule in set.add_rules.iter().rev() {
        done(client.add_firewall_rule(node, vmid, &pve_rule(rule)).await)?;
    }
    if let Some(options) = &set.options {
        done(client.set_firewall_options(node, vmid, &pve_options(*options), &[]).await)?;
    }
    Ok(Submitted::Applied)
}

/// Only "exists already" is what was wanted; a rule that is already gone has moved the others.
fn is_done(error: &ApiError) -> bool {
    error.class() == Failure::Already(Already::Exists)
}

/// A rule of ours: switched on, which is not PVE's default, and with its key in the comment.
fn pve_rule(rule: &deploy_core::FirewallRule) -> FirewallRule {
    FirewallRule {
        pos: None,
        kind: match rule.direction {
            Direction::In => "in",
            Direction::Out => "out",
        }
        .to_owned(),
        action: rule.action.as_str().to_owned(),
        enable: true,
        macro_name: rule.macro_name.clone(),
        source: rule.source.clone(),
        dest: rule.dest.clone(),
        proto: rule.protocol.clone(),
        dport: rule.dest_port.clone(),
        sport: rule.source_port.clone(),
        icmp_type: None,
        iface: None,
        log: None,
        comment: Some(rule.key().to_string()),
        digest: None,
    }
}

fn pve_options(options: deploy_core::FirewallOptions) -> FirewallOptions {
    FirewallOptions {
        enable: options.enabled,
        macfilter: options.mac_filter,
        ipfilter: options.ip_filter,
        dhcp: options.dhcp,
        ndp: options.ndp,
        radv: options.router_advertisements,
        policy_in: options.policy_in.map(|policy| policy.as_str().to_owned()),
        policy_out: options.policy_out.map(|policy| policy.as_str().to_owned()),
        ..FirewallOptions::default()
    }
}
