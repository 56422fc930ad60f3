//! A machine's configuration, from PVE's words into the engine's.

use crate::{
    DriveConfig, IpConfig, Ipv4Setting, Ipv6Setting, NetConfig, PropertyString, VmConfig, decode_ssh_keys,
};
use deploy_core::{
    Autostart, Bytes, Disk, DiskLimits, DiskSlot, Filtering, Firmware, GuestNetwork, GuestV4, GuestV6, Iops,
    Limit, MachineCloudInit, MachineConfig, MiBps, Nic, NicSlot, SmbiosUuid, UnusedSlot,
};
use std::{collections::BTreeMap, net::IpAddr};

/// What the engine must know. What cannot be read counts as absent, so that the goals write it anew; drives that cannot
/// be read count as taken slots, so that nothing is put in their place.
pub(super) fn machine_config(config: &VmConfig) -> MachineConfig {
    let mut machine = MachineConfig {
        revision: config.digest().and_then(|digest| digest.parse().ok()),
        template: config.is_template(),
        smbios: config.smbios_uuid().map(SmbiosUuid),
        description: config.description().unwrap_or_default().to_owned(),
        name: config.name().and_then(|name| name.parse().ok()),
        tags: config.tags().iter().filter_map(|tag| tag.parse().ok()).collect(),
        autostart: if config.flag("onboot") == Some(true) { Autostart::On } else { Autostart::Off },
        protected: config.is_protected(),
        sockets: config.sockets().and_then(|count| u64::from(count).try_into().ok()),
        cores: config.cores().and_then(|count| u64::from(count).try_into().ok()),
        memory: config.memory_mib().and_then(|memory| memory.try_into().ok()),
        balloon: config.number("balloon"),
        agent: config.get("agent").is_some_and(agent_enabled),
        firmware: if config.get("bios") == Some("ovmf") { Firmware::Uefi } else { Firmware::Bios },
        scsi_controller: config.get("scsihw").map(str::to_owned),
        boot: boot(config),
        unused: config.unused().filter_map(unused).collect(),
        parent: config.get("parent").and_then(|name| name.parse().ok()),
        cloud_init: cloud_init(config),
        nics: config.nets().filter_map(|index| nic(config, index)).collect(),
        ..MachineConfig::default()
    };
    for (slot, value) in config.drives() {
        let Ok(slot) = slot.parse::<DiskSlot>() else { continue };
        match value
            .parse::<DriveConfig>()
            .ok()
            .filter(|drive| !drive.is_cdrom())
            .and_then(|drive| disk(&drive))
        {
            Some(disk) => {
                machine.disks.insert(slot, disk);
            }
            None => {
                machine.drives.insert(slot);
            }
        }
    }
    machine
}

/// `agent` is `1`, or a property string whose default key is `enabled`.
fn agent_enabled(value: &str) -> bool {
    PropertyString::parse(value, "enabled").is_ok_and(|agent| agent.flag("enabled") == Some(true))
}

/// Older configurations name the disk by `bootdisk`; where both are there PVE goes by the order.
fn boot(config: &VmConfig) -> Vec<DiskSlot> {
    let order = config.boot_order().unwrap_or_default();
    let named = order.devices.iter().map(String::as_str).chain(config.get("bootdisk"));
    named.filter_map(|device| device.parse().ok()).collect()
}

fn unused((entry, volume): (&str, &str)) -> Option<(UnusedSlot, String)> {
    Some((UnusedSlot(entry.strip_prefix("unused")?.parse().ok()?), volume.to_owned()))
}

fn disk(drive: &DriveConfig) -> Option<Disk> {
    let mut options: BTreeMap<String, String> =
        drive.others.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let mut keep = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            options.insert(key.to_owned(), value);
        }
    };
    keep("media", drive.media.clone());
    keep("mbps", drive.limits.mbps.map(|rate| rate.to_string()));
    keep("iops", drive.limits.iops.map(|rate| rate.to_string()));
    Some(Disk {
        volume: drive.volume.volid()?,
        storage: drive.volume.storage()?.parse().ok()?,
        size: drive.size.map(|size| Bytes(size.bytes())),
        limits: DiskLimits {
            read: rate(drive.limits.mbps_rd),
            write: rate(drive.limits.mbps_wr),
            read_iops: operations(drive.limits.iops_rd),
            write_iops: operations(drive.limits.iops_wr),
        },
        options,
    })
}

/// A limit finer than we can order is none of ours: it is overwritten by whatever is ordered.
fn rate(rate: Option<f64>) -> Limit<MiBps> {
    rate.and_then(|rate| MiBps::try_from(rate).ok()).into()
}

fn operations(count: Option<u64>) -> Limit<Iops> {
    count.and_then(|count| Iops::try_from(count).ok()).into()
}

fn nic(config: &VmConfig, index: u8) -> Option<(NicSlot, Nic)> {
    let NetConfig { model, macaddr, bridge, tag, rate: limit, firewall, others } =
        config.net(index).ok()??;
    let nic = Nic {
        model,
        mac: macaddr?.to_string().parse().ok()?,
        bridge: bridge.and_then(|bridge| bridge.parse().ok()),
        vlan: tag.and_then(|tag| tag.try_into().ok()),
        rate: rate(limit),
        filtering: if firewall { Filtering::On } else { Filtering::Off },
        options: others.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
    };
    Some((NicSlot::try_from(index).ok()?, nic))
}

fn cloud_init(config: &VmConfig) -> MachineCloudInit {
    let addresses = |text: &str| {
        text.split([' ', ',', ';']).filter_map(|address| address.parse::<IpAddr>().ok()).collect()
    };
    MachineCloudInit {
        drive: config.cloud_init_slot().and_then(|slot| slot.parse().ok()),
        user: config.get("ciuser").and_then(|user| user.parse().ok()),
        has_password: config.get("cipassword").is_some(),
        ssh_keys: config
            .get("sshkeys")
            .and_then(|keys| decode_ssh_keys(keys).ok())
            .map(|keys| keys.lines().filter_map(|key| key.parse().ok()).collect())
            .unwrap_or_default(),
        networks: NicSlot::in_order()
            .filter_map(|slot| Some((slot, guest_network(&config.ipconfig(slot.get()).ok()??))))
            .collect(),
        resolvers: config.get("nameserver").map(addresses).unwrap_or_default(),
        search_domain: config.get("searchdomain").and_then(|domain| domain.parse().ok()),
        upgrade: config.flag("ciupgrade"),
    }
}

fn guest_network(network: &IpConfig) -> GuestNetwork {
    GuestNetwork {
        v4: match network.ip {
            Some(Ipv4Setting::Static(address)) => Some(GuestV4::Static { address, gateway: network.gw }),
            Some(Ipv4Setting::Dhcp) => Some(GuestV4::Dhcp),
            Some(Ipv4Setting::Other(_)) | None => None,
        },
        v6: match network.ip6 {
            Some(Ipv6Setting::Static(address)) => Some(GuestV6::Static { address, gateway: network.gw6 }),
            Some(Ipv6Setting::Dhcp) => Some(GuestV6::Dhcp),
            Some(Ipv6Setting::Auto) => Some(GuestV6::Auto),
            Some(Ipv6Setting::Other(_)) | None => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::machine_config;
    use crate::VmConfig;

    #[test]
    fn the_system_disk_of_an_older_configuration_is_what_bootdisk_names() {
        let disks = r#""scsi0": "local:vm-1-disk-1,size=9G", "virtio0": "local:vm-1-disk-0,size=8G""#;
        let system = |boot: &str| {
            let config: VmConfig = serde_json::from_str(&format!("{{{disks}, {boot}}}")).unwrap();
            machine_config(&config).system_disk().map(|(slot, _)| slot.to_string())
        };
        assert_eq!(system(r#""boot": "cdn", "bootdisk": "virtio0""#).as_deref(), Some("virtio0"));
        assert_eq!(system(r#""boot": "order=scsi0;net0", "bootdisk": "virtio0""#).as_deref(), Some("scsi0"));
    }
}
