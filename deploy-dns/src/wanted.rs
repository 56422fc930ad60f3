//! Which records a machine shall have.

use crate::Zones;
use deploy_core::{DnsData, DnsEntry, DnsName, DnsRecord, Operation, VmRecord, reverse_name};
use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv6Addr},
};

/// The records that a machine shall have, in their order: its addresses at its name, and a name at each of its addresses,
/// which is its own unless `names` has another one for that address. None once it is being terminated.
///
/// Addresses that nobody outside can reach (RFC 1918, RFC 4193) are not put at its name beside others of their family:
/// whoever looks the name up takes any of them.
pub fn wanted(record: &VmRecord, names: &[(IpAddr, DnsName)], zones: &Zones) -> Vec<DnsEntry> {
    if record.operation == Operation::Terminate {
        return Vec::new();
    }
    let fqdn = &record.numbered.fqdn;
    let held: BTreeSet<IpAddr> = record.addresses.iter().map(|held| held.address).collect();
    let mut entries = Vec::new();
    for address in &held {
        if is_shown(*address, &held) {
            entries.extend(in_zones(zones, fqdn, &DnsData::address(*address)));
        }
        let name = names.iter().find(|(named, _)| named == address).map_or(fqdn, |(_, name)| name);
        entries.extend(in_zones(zones, &reverse_name(*address), &DnsData::Ptr(name.clone())));
    }
    entries.sort_unstable_by(|one, other| one.record.cmp(&other.record));
    entries
}

fn in_zones(zones: &Zones, name: &DnsName, data: &DnsData) -> Vec<DnsEntry> {
    let entry = |zone: &crate::Zone| {
        let record = DnsRecord {
            provider: zone.provider.clone(),
            zone: zone.name.clone(),
            name: name.clone(),
            data: data.clone(),
        };
        DnsEntry::planned(record, zone.ttl)
    };
    zones.of(name).into_iter().map(entry).collect()
}

/// Whether an address is put at the machine's name.
fn is_shown(address: IpAddr, held: &BTreeSet<IpAddr>) -> bool {
    let same_family = |other: &&IpAddr| other.is_ipv4() == address.is_ipv4();
    !is_private(address) || held.iter().filter(same_family).all(|other| is_private(*other))
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_private(),
        IpAddr::V6(v6) => Ipv6Addr::is_unique_local(&v6),
    }
}
