//! CPU, memory, what describes a machine, and what cloud-init is told.

use super::{Differences, list, shown};
use crate::{
    CloudInitGoal, Configure, GuestNetwork, GuestV4, GuestV6, MachineCloudInit, MachineConfig, OwnerMark,
};

pub(super) fn differences(missing: &Configure, seen: &MachineConfig, found: &mut Differences) {
    let Configure { description, name, tags, sockets, cores, memory, balloon, .. } = missing;
    if let Some(sockets) = sockets {
        found.push("sockets", &sockets.get(), &shown(seen.sockets.map(crate::CpuCount::get), "not set"));
    }
    if let Some(cores) = cores {
        found.push("cores", &cores.get(), &shown(seen.cores.map(crate::CpuCount::get), "not set"));
    }
    if let Some(memory) = memory {
        found.push("memory", memory, &shown(seen.memory, "not set"));
    }
    if let Some(balloon) = balloon {
        let seen = seen.balloon.map(|mib| format!("{mib} MiB"));
        found.push("balloon", &format!("at most {balloon}"), &shown(seen, "not set"));
    }
    if let Some(name) = name {
        found.push("pve_name", name, &shown(seen.name.as_ref(), "none"));
    }
    if let Some(tags) = tags {
        found.push("tags", &list(tags), &list(&seen.tags));
    }
    if let Some(description) = description {
        let mark = |description: &str| shown(OwnerMark::find(description), "none");
        found.push("mark", &mark(description), &mark(&seen.description));
    }
    cloud_init(&missing.cloud_init, &seen.cloud_init, found);
}

fn cloud_init(missing: &CloudInitGoal, seen: &MachineCloudInit, found: &mut Differences) {
    let CloudInitGoal { drive, user, password, ssh_keys, networks, remove_networks, .. } = missing;
    if let Some((slot, storage)) = drive {
        found.push("cloud_init.drive", &format!("{slot} on {storage}"), &"none");
    }
    if let Some(user) = user {
        found.push("cloud_init.user", user, &shown(seen.user.as_ref(), "none"));
    }
    // Sent along with whatever else differs; that it differs itself is seen only where there is none. No hash is shown.
    if password.is_some() && !seen.has_password {
        found.push("cloud_init.password", &"set", &"not set");
    }
    if let Some(keys) = ssh_keys {
        found.push("cloud_init.ssh_keys", &keys.len(), &format!("{} others", seen.ssh_keys.len()));
    }
    for (nic, network) in networks {
        let seen = shown(seen.networks.get(nic).map(words), "nothing");
        found.push(format!("cloud_init.{nic}"), &words(network), &seen);
    }
    for nic in remove_networks {
        let seen = shown(seen.networks.get(nic).map(words), "nothing");
        found.push(format!("cloud_init.{nic}"), &"nothing", &seen);
    }
    if let Some(resolvers) = &missing.resolvers {
        found.push("cloud_init.resolvers", &list(resolvers), &list(&seen.resolvers));
    }
    if let Some(domain) = &missing.search_domain {
        found.push("cloud_init.search_domain", domain, &shown(seen.search_domain.as_ref(), "none"));
    }
    if let Some(upgrade) = missing.upgrade {
        let words = |upgrade: bool| if upgrade { "on" } else { "off" };
        found.push("cloud_init.upgrade", &words(upgrade), &words(seen.upgrade.unwrap_or(true)));
    }
}

/// A network in words.
fn words(network: &GuestNetwork) -> String {
    let v4 = network.v4.as_ref().map(|v4| match v4 {
        GuestV4::Dhcp => "IPv4 by DHCP".to_owned(),
        GuestV4::Static { address, gateway } => format!("{address}{}", via(gateway.as_ref())),
    });
    let v6 = network.v6.as_ref().map(|v6| match v6 {
        GuestV6::Dhcp => "IPv6 by DHCP".to_owned(),
        GuestV6::Auto => "IPv6 by router advertisement".to_owned(),
        GuestV6::Static { address, gateway } => format!("{address}{}", via(gateway.as_ref())),
    });
    list(v4.into_iter().chain(v6))
}

fn via(gateway: Option<&impl std::fmt::Display>) -> String {
    gateway.map(|gateway| format!(" via {gateway}")).unwrap_or_default()
}
