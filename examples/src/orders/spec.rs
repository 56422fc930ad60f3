//! From a file's tables to an order.

use super::file::{AdditionalDisk, CloneKind, CloudInit, Draw, Nic, Package, SystemDisk};
use crate::input::Problem;
use deploy_core::{
    self as core, Addressing, Autostart, CloneMode, ClusterName, CpuCount, DiskLimits, Filtering, FromPools,
    Iops, Limit, MiBps, NicSpec, VmSpec,
};
use std::ops::Range;
use toml::Spanned;

/// The order that `wishes` describe; `place` is where the machine stands in the file.
pub(super) fn spec(cluster: &ClusterName, place: Range<usize>, wishes: &Package) -> Result<VmSpec, Problem> {
    let missing = |key: &str| {
        let message = format!("{key}: is missing; the machine or its package must say it");
        Problem::new(place.clone(), message)
    };
    let wishes = wishes.clone();
    let template = wishes.template.ok_or_else(|| missing("template"))?;
    let domain = wishes.domain.ok_or_else(|| missing("domain"))?.into_inner();
    Ok(VmSpec {
        cluster: cluster.clone(),
        pve_name: wishes.pve_name.map_or_else(|| domain.clone(), Spanned::into_inner),
        domain,
        contact: wishes.contact,
        node: wishes.node.unwrap_or_else(|| template.node.clone()),
        template,
        clone: clone_mode(&wishes.clone.ok_or_else(|| missing("clone"))?)?,
        migration_storage: wishes.migration_storage,
        pve_pool: wishes.pve_pool,
        tags: wishes.tags.unwrap_or_default(),
        autostart: if wishes.autostart == Some(true) { Autostart::On } else { Autostart::Off },
        sockets: wishes
            .sockets
            .map_or_else(one, Ok)
            .map_err(|invalid| Problem::new(place.clone(), invalid))?,
        cores: wishes.cores.ok_or_else(|| missing("cores"))?,
        memory: wishes.memory_mib.ok_or_else(|| missing("memory_mib"))?,
        system_disk: system_disk(&wishes.system_disk.ok_or_else(|| missing("system_disk"))?),
        additional_disks: wishes.additional_disks.unwrap_or_default().iter().map(additional_disk).collect(),
        nics: wishes.nics.unwrap_or_default().iter().map(nic).collect::<Result<_, _>>()?,
        firewall: wishes.firewall,
        cloud_init: wishes.cloud_init.map(cloud_init),
        ready_when: wishes.ready_when.map(Spanned::into_inner).unwrap_or_default(),
        when_vanished: wishes.when_vanished.unwrap_or_default(),
    })
}

fn one() -> Result<CpuCount, deploy_core::Invalid> {
    CpuCount::try_from(1)
}

fn clone_mode(clone: &Spanned<super::file::Clone>) -> Result<CloneMode, Problem> {
    match (clone.get_ref().mode, clone.get_ref().storage.clone()) {
        (CloneKind::Full, storage) => Ok(CloneMode::Full { storage }),
        (CloneKind::Linked, None) => Ok(CloneMode::Linked),
        (CloneKind::Linked, Some(storage)) => {
            let message = format!(
                "clone.storage: a linked clone cannot be on {storage}: it stays beside its template. Leave the storage \
                 out, or write mode = \"full\""
            );
            Err(Problem::new(clone.span(), message))
        }
    }
}

fn system_disk(disk: &SystemDisk) -> core::SystemDisk {
    let SystemDisk { size_gib, read_mibps, write_mibps, read_iops, write_iops } = *disk;
    core::SystemDisk { size: size_gib, limits: limits(read_mibps, write_mibps, read_iops, write_iops) }
}

fn additional_disk(disk: &AdditionalDisk) -> core::AdditionalDisk {
    core::AdditionalDisk {
        storage: disk.storage.clone(),
        size: disk.size_gib,
        limits: limits(disk.read_mibps, disk.write_mibps, disk.read_iops, disk.write_iops),
    }
}

fn limits(
    read: Option<MiBps>,
    write: Option<MiBps>,
    read_iops: Option<Iops>,
    write_iops: Option<Iops>,
) -> DiskLimits {
    DiskLimits {
        read: Limit::from(read),
        write: Limit::from(write),
        read_iops: Limit::from(read_iops),
        write_iops: Limit::from(write_iops),
    }
}

fn nic(nic: &Spanned<Nic>) -> Result<NicSpec, Problem> {
    let place = nic.span();
    let nic = nic.get_ref();
    let addressing = match (nic.dhcp, nic.v4.as_ref().map(draw), nic.v6.as_ref().map(draw)) {
        (false, None, None) => Addressing::Unmanaged,
        (true, None, None) => Addressing::Dhcp,
        (false, v4, v6) => Addressing::Pools(FromPools { v4, v6 }),
        (true, ..) => {
            let message = "nics.dhcp: the guest asks by DHCP or has addresses from pools, not both; leave out one of them";
            return Err(Problem::new(place, message));
        }
    };
    Ok(NicSpec {
        bridge: nic.bridge.clone(),
        vlan: nic.vlan,
        rate: Limit::from(nic.rate_mibps),
        filtering: if nic.firewall { Filtering::On } else { Filtering::Off },
        model: nic.model,
        addressing,
    })
}

fn draw(table: &Spanned<Draw>) -> core::Draw {
    let Draw { count, pools } = table.get_ref();
    core::Draw { count: *count, pools: pools.iter().map(|name| name.get_ref().clone()).collect() }
}

/// Without the password, which is hashed when all else is right.
fn cloud_init(table: CloudInit) -> core::CloudInit {
    let CloudInit { user, password: _, ssh_keys, resolvers, search_domain, drive_storage } = table;
    core::CloudInit { user, password: None, ssh_keys, resolvers, search_domain, drive_storage }
}
