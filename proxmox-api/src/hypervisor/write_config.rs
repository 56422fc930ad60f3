//! Settings, from the engine's words into PVE's.

use crate::{
    DiskSize, DriveConfig, DriveLimits, IpConfig, Ipv4Setting, Ipv6Setting, NetConfig, Params, PropertyError,
    PropertyString, Volume, encode_ssh_keys,
};
use deploy_core::{
    Autostart, CloudInitGoal, Configure, Disk, DiskGoal, DiskLimits, Filtering, GuestNetwork, GuestV4,
    GuestV6, Limit, MiBps, Nic, SshKey,
};
use std::{collections::BTreeMap, net::IpAddr};

/// What to set and what to delete.
pub(super) struct Update {
    pub(super) set: Params,
    pub(super) delete: Vec<String>,
}

/// One update that carries all of `configure`.
pub(super) fn update(configure: &Configure) -> Result<Update, PropertyError> {
    let Configure { description, name, tags, autostart, protected, sockets, cores, memory, balloon, .. } =
        configure;
    let mut delete = Vec::new();
    let mut set = Params::new()
        .opt("description", description.as_ref())
        .opt("name", name.as_ref())
        .opt_flag("onboot", autostart.map(|autostart| autostart == Autostart::On))
        .opt_flag("protection", *protected)
        .opt("sockets", sockets.map(deploy_core::CpuCount::get))
        .opt("cores", cores.map(deploy_core::CpuCount::get))
        .opt("memory", memory.map(deploy_core::MiB::get))
        .opt("balloon", balloon.map(deploy_core::MiB::get));
    match tags {
        Some(tags) if tags.is_empty() => delete.push("tags".to_owned()),
        Some(tags) => {
            let tags: Vec<&str> = tags.iter().map(deploy_core::Tag::as_str).collect();
            set = set.set("tags", tags.join(";"));
        }
        None => {}
    }
    for (slot, disk) in &configure.disks {
        set = set.set(slot.to_string(), drive(disk)?.for_writing());
    }
    for (slot, nic) in &configure.nics {
        set = set.set(slot.to_string(), net(nic)?.to_string());
    }
    delete.extend(configure.remove_disks.iter().map(ToString::to_string));
    delete.extend(configure.remove_unused.iter().map(ToString::to_string));
    delete.extend(configure.remove_nics.iter().map(ToString::to_string));
    Ok(cloud_init(&configure.cloud_init, set, delete))
}

fn cloud_init(goal: &CloudInitGoal, mut set: Params, mut delete: Vec<String>) -> Update {
    if let Some((slot, storage)) = &goal.drive {
        let volume = Volume::CloudInit { storage: storage.to_string() };
        set = set.set(slot.to_string(), DriveConfig::new(volume).for_writing());
    }
    set = set
        .opt("ciuser", goal.user.as_ref())
        .opt("cipassword", goal.password.as_ref().map(deploy_core::PasswordHash::expose))
        .opt("searchdomain", goal.search_domain.as_ref())
        .opt_flag("ciupgrade", goal.upgrade);
    match goal.ssh_keys.as_deref() {
        Some([]) => delete.push("sshkeys".to_owned()),
        Some(keys) => {
            let lines: Vec<&str> = keys.iter().map(SshKey::as_str).collect();
            set = set.set("sshkeys", encode_ssh_keys(&lines.join("\n")));
        }
        None => {}
    }
    if let Some(resolvers) = &goal.resolvers {
        let list: Vec<String> = resolvers.iter().map(IpAddr::to_string).collect();
        set = set.set("nameserver", list.join(" "));
    }
    for (nic, network) in &goal.networks {
        set = set.set(format!("ipconfig{}", nic.get()), guest_network(network).to_string());
    }
    delete.extend(goal.remove_networks.iter().map(|nic| format!("ipconfig{}", nic.get())));
    Update { set, delete }
}

fn options(
    options: &BTreeMap<String, String>,
    default_key: &'static str,
) -> Result<PropertyString, PropertyError> {
    let mut all = PropertyString::new(default_key);
    for (key, value) in options {
        all.set(key, value)?;
    }
    Ok(all)
}

fn drive(goal: &DiskGoal) -> Result<DriveConfig, PropertyError> {
    let mut drive = match goal {
        DiskGoal::Keep(Disk { volume, options: kept, .. }) => {
            let volume: Volume = match volume.parse() {
                Ok(volume) => volume,
                Err(_) => Volume::Other(volume.clone()),
            };
            DriveConfig { others: options(kept, "file")?, ..DriveConfig::new(volume) }
        }
        DiskGoal::Create { storage, size, .. } => DriveConfig::new(Volume::Allocate {
            storage: storage.to_string(),
            size: DiskSize::from_gib(u64::from(size.get())),
        }),
    };
    let (DiskGoal::Keep(Disk { limits, .. }) | DiskGoal::Create { limits, .. }) = goal;
    drive.limits = drive_limits(*limits);
    Ok(drive)
}

fn drive_limits(limits: DiskLimits) -> DriveLimits {
    DriveLimits {
        mbps_rd: rate(limits.read),
        mbps_wr: rate(limits.write),
        iops_rd: limits.read_iops.at().map(|iops| u64::from(iops.get())),
        iops_wr: limits.write_iops.at().map(|iops| u64::from(iops.get())),
        ..DriveLimits::default()
    }
}

/// A copy of `image` in the place of a disk, as that one is but for its volume and size.
pub(super) fn copy(image: &str, replaced: &Disk) -> Result<String, PropertyError> {
    let Disk { volume, storage, limits, options: kept, .. } = replaced;
    let mut others = options(kept, "file")?;
    others.set("import-from", image)?;
    // Without it a storage of files takes its own default, in which there may be no snapshots.
    if let Some(format) =
        ["qcow2", "raw", "vmdk"].iter().find(|format| volume.ends_with(&format!(".{format}")))
    {
        others.set("format", format)?;
    }
    let size = DiskSize::from_gib(0);
    let fresh = DriveConfig::new(Volume::Allocate { storage: storage.to_string(), size });
    Ok(DriveConfig { others, limits: drive_limits(*limits), ..fresh }.for_writing())
}

/// Exact to a thousandth; the shortest decimal of the nearest `f64` is the same number again.
#[allow(clippy::cast_precision_loss)] // at most 10^9
fn rate(rate: Limit<MiBps>) -> Option<f64> {
    rate.at().map(|rate| rate.thousandths() as f64 / 1000.0)
}

fn net(nic: &Nic) -> Result<NetConfig, PropertyError> {
    Ok(NetConfig {
        model: nic.model.clone(),
        macaddr: nic.mac.to_string().parse().ok(),
        bridge: nic.bridge.as_ref().map(ToString::to_string),
        tag: nic.vlan.map(deploy_core::VlanId::get),
        rate: rate(nic.rate),
        firewall: nic.filtering == Filtering::On,
        others: options(&nic.options, "model")?,
    })
}

fn guest_network(network: &GuestNetwork) -> IpConfig {
    let mut config = IpConfig::new();
    match network.v4 {
        Some(GuestV4::Dhcp) => config.ip = Some(Ipv4Setting::Dhcp),
        Some(GuestV4::Static { address, gateway }) => {
            config.ip = Some(Ipv4Setting::Static(address));
            config.gw = gateway;
        }
        None => {}
    }
    match network.v6 {
        Some(GuestV6::Dhcp) => config.ip6 = Some(Ipv6Setting::Dhcp),
        Some(GuestV6::Auto) => config.ip6 = Some(Ipv6Setting::Auto),
        Some(GuestV6::Static { address, gateway }) => {
            config.ip6 = Some(Ipv6Setting::Static(address));
            config.gw6 = gateway;
        }
        None => {}
    }
    config
}
