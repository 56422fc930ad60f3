//! A machine's firewall, as PVE's calls.

use super::{
    meaning::not_submitted,
    read_firewall::{filter_name, member_text},
};
use crate::{Already, ApiError, Client, Failure, FirewallOptions, FirewallRule};
use deploy_core::{Direction, Sent, SetFirewall, SubmitError, Submitted};

/// Sends what is missing. Sets and their members do not wait for the rules nor these for them, but each set for its members, and
/// all for the options that switch filtering on: a machine never filters by an empty set. Each of the two stops at its first
/// failure; the next look shows what is left.
pub(super) async fn set(
    client: &Client,
    node: &str,
    vmid: u32,
    set: &SetFirewall,
) -> Result<Submitted, SubmitError> {
    // Both are answered before anything is said of one: a request that is dropped may have been carried out.
    let (filters, rules) = tokio::join!(filters(client, node, vmid, set), rules(client, node, vmid, set));
    // What may still arrive matters most, then what a human must mend.
    match (filters, rules) {
        (Ok(()), Ok(())) => {}
        (Err(error), Ok(())) | (Ok(()), Err(error)) => return Err(error),
        (Err(one), Err(other)) => return Err(std::cmp::max_by_key(one, other, weight)),
    }
    if let Some(options) = &set.options {
        done(client.set_firewall_options(node, vmid, &pve_options(*options), &[]).await)?;
    }
    Ok(Submitted::Applied)
}

fn weight(error: &SubmitError) -> (bool, bool) {
    (error.sent == Sent::Unknown, error.class.needs_attention())
}

async fn filters(client: &Client, node: &str, vmid: u32, set: &SetFirewall) -> Result<(), SubmitError> {
    for nic in &set.create_filters {
        done(client.create_ipset(node, vmid, &filter_name(*nic), None).await)?;
    }
    for (nic, net) in &set.add_members {
        done(client.add_ipset_member(node, vmid, &filter_name(*nic), &member_text(*net), None).await)?;
    }
    for (nic, net) in &set.remove_members {
        done(client.delete_ipset_member(node, vmid, &filter_name(*nic), &member_text(*net), None).await)?;
    }
    Ok(())
}

async fn rules(client: &Client, node: &str, vmid: u32, set: &SetFirewall) -> Result<(), SubmitError> {
    if let Some((position, revision)) = &set.remove_rule {
        let digest = revision.as_ref().map(deploy_core::Revision::as_str);
        done(client.delete_firewall_rule(node, vmid, *position, digest).await)?;
    }
    // PVE puts every new rule at the top.
    for rule in set.add_rules.iter().rev() {
        done(client.add_firewall_rule(node, vmid, &pve_rule(rule)).await)?;
    }
    Ok(())
}

fn done(result: Result<(), ApiError>) -> Result<(), SubmitError> {
    match result {
        Err(error) if is_done(&error) => Ok(()),
        result => result.map_err(|error| not_submitted(&error)),
    }
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
