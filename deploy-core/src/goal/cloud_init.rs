//! What cloud-init is told.

use super::configured;
use crate::{
    Addressing, Assignment, Change, CloudInit, CloudInitGoal, Configure, DiskSlot, DnsName, GuestNetwork,
    GuestV4, GuestV6, Machine, MachineConfig, NicSlot, Remembered, StorageId, VmRecord, rules::Verdict,
};
use ipnet::{Ipv4Net, Ipv6Net};
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// User, password, keys, addresses and resolvers are as ordered, and there is a drive to tell them by.
pub(crate) fn cloud_init(record: &VmRecord, machine: &Machine) -> Verdict {
    let Some(spec) = &record.spec.cloud_init else { return Verdict::Met };
    let mut goal = match visible(record, spec, &machine.config) {
        Ok(goal) => goal,
        Err(impossible) => return Verdict::Impossible(impossible),
    };
    if spec.password.is_none() {
        return configured(Configure { cloud_init: goal, ..Configure::default() });
    }
    let visible_met = goal == CloudInitGoal::default();
    goal.password.clone_from(&spec.password);
    let change = Change::Configure(Box::new(Configure { cloud_init: goal, ..Configure::default() }));
    let written =
        record.remembered.contains(&Remembered::PasswordWritten) && machine.config.cloud_init.has_password;
    match (visible_met, written) {
        (true, true) => Verdict::Met,
        (true, false) if machine.config.cloud_init.has_password => {
            Verdict::Unseen(Remembered::PasswordWritten, change)
        }
        // Sent along with any other setting: the same hash, so that nothing changes for the guest.
        (true | false, _) => Verdict::Unmet(change),
    }
}

/// What can be read back and is not as ordered.
fn visible(record: &VmRecord, spec: &CloudInit, config: &MachineConfig) -> Result<CloudInitGoal, String> {
    let seen = &config.cloud_init;
    let networks = networks(record);
    let resolvers = resolvers(record, spec);
    Ok(CloudInitGoal {
        drive: match seen.drive {
            Some(_) => None,
            None => Some(drive(spec, config)?),
        },
        user: spec.user.clone().filter(|_| seen.user != spec.user),
        password: None,
        ssh_keys: Some(spec.ssh_keys.clone()).filter(|keys| *keys != seen.ssh_keys),
        remove_networks: seen.networks.keys().copied().filter(|nic| !networks.contains_key(nic)).collect(),
        networks: networks
            .into_iter()
            .filter(|(nic, network)| seen.networks.get(nic) != Some(network))
            .collect(),
        resolvers: Some(resolvers).filter(|resolvers| !resolvers.is_empty() && *resolvers != seen.resolvers),
        search_domain: search_domain(record, spec)
            .filter(|domain| seen.search_domain.as_ref() != Some(domain)),
        // PVE's default upgrades every package at the first boot, which takes minutes.
        upgrade: Some(false).filter(|_| seen.upgrade != Some(false)),
    })
}

/// The search domain of the order. Where the machine is called by its first label alone, PVE puts the guest's domain name
/// together from that and the search domain.
fn search_domain(record: &VmRecord, spec: &CloudInit) -> Option<DnsName> {
    let by_label = record.numbered.pve_name != record.numbered.fqdn;
    spec.search_domain.clone().or_else(|| record.numbered.fqdn.parent().filter(|_| by_label))
}

/// Where a drive is made that the template lacks.
fn drive(spec: &CloudInit, config: &MachineConfig) -> Result<(DiskSlot, StorageId), String> {
    let places = ["ide2", "ide0", "ide3", "sata5", "scsi30"];
    let slot = places
        .iter()
        .filter_map(|place| place.parse::<DiskSlot>().ok())
        .find(|slot| !config.is_taken(*slot))
        .ok_or_else(|| {
            format!("cloud_init: no slot is free for the drive; free one of {}", places.join(", "))
        })?;
    let storage =
        spec.drive_storage.clone().or_else(|| config.system_disk().map(|(_, disk)| disk.storage.clone()));
    let storage = storage.ok_or("cloud_init: the machine has no system disk to put the drive beside")?;
    Ok((slot, storage))
}

/// The resolvers of the order, or else those of the pools.
fn resolvers(record: &VmRecord, spec: &CloudInit) -> Vec<IpAddr> {
    if !spec.resolvers.is_empty() {
        return spec.resolvers.clone();
    }
    let mut resolvers = Vec::new();
    for resolver in record.addresses.iter().flat_map(|held| &held.resolvers) {
        if !resolvers.contains(resolver) {
            resolvers.push(*resolver);
        }
    }
    resolvers
}

/// The addresses of every NIC. A guest has one default route of each family: the first NIC's that has one.
fn networks(record: &VmRecord) -> BTreeMap<NicSlot, GuestNetwork> {
    let (mut routed_v4, mut routed_v6) = (false, false);
    let mut networks = BTreeMap::new();
    for (slot, nic) in NicSlot::in_order().zip(&record.spec.nics) {
        let network = match nic.addressing {
            Addressing::Unmanaged => continue,
            Addressing::Dhcp => GuestNetwork { v4: Some(GuestV4::Dhcp), v6: Some(GuestV6::Auto) },
            Addressing::Pools(_) => {
                let held = || record.addresses.iter().filter(move |held| held.nic == slot);
                GuestNetwork {
                    v4: held().find_map(|held| guest_v4(held, &mut routed_v4)),
                    v6: held().find_map(|held| guest_v6(held, &mut routed_v6)),
                }
            }
        };
        networks.insert(slot, network);
    }
    networks
}

fn guest_v4(held: &Assignment, routed: &mut bool) -> Option<GuestV4> {
    let IpAddr::V4(address) = held.address else { return None };
    let gateway: Option<Ipv4Addr> = match held.gateway {
        Some(IpAddr::V4(gateway)) if !*routed => Some(gateway),
        _ => None,
    };
    *routed |= gateway.is_some();
    Some(GuestV4::Static { address: Ipv4Net::new(address, held.prefix_len).ok()?, gateway })
}

fn guest_v6(held: &Assignment, routed: &mut bool) -> Option<GuestV6> {
    let IpAddr::V6(address) = held.address else { return None };
    let gateway: Option<Ipv6Addr> = match held.gateway {
        Some(IpAddr::V6(gateway)) if !*routed => Some(gateway),
        _ => None,
    };
    *routed |= gateway.is_some();
    Some(GuestV6::Static { address: Ipv6Net::new(address, held.prefix_len).ok()?, gateway })
}
