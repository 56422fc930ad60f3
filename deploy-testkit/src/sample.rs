//! Sample data: small where a test does not care, complete where it does.

use deploy_core::{
    AdditionalDisk, AddressRange, Addressing, Adopted, Autostart, CloneMode, CloudInit, ClusterName,
    ClusterSettings, Direction, DiskLimits, Draw, Family, Filtering, FirewallRule, FirewallSpec, FromPools,
    Iops, Limit, MacAddr, MiBps, NewRecord, NicModel, NicSlot, NicSpec, PacketPolicy, PasswordHash, Pool,
    ReadyWhen, SmbiosUuid, SystemDisk, Template, VlanId, VmKey, VmSpec, Vmid, VmidRange, Want, WhenVanished,
    WorkerId, WorkerInfo,
};
use jiff::{SignedDuration, Timestamp};
use std::{collections::BTreeSet, fmt::Debug, net::IpAddr, str::FromStr};

const SSH_KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKCOlVqGcnIRWNPdN/kse+Zw86bAhC9L0W7k4tCF12lY ann@laptop";

/// Parses a text that a test knows to be right.
///
/// # Panics
/// Where it is not.
pub fn parsed<T>(text: &str) -> T
where
    T: FromStr,
    T::Err: Debug,
{
    text.parse().unwrap_or_else(|error| panic!("{text:?}: {error:?}"))
}

fn valid<T, V>(value: V) -> T
where
    T: TryFrom<V>,
    T::Error: Debug,
{
    T::try_from(value).unwrap_or_else(|error| panic!("{error:?}"))
}

/// Noon of the first day of 2026, when tests begin.
pub fn epoch() -> Timestamp {
    parsed("2026-01-01T12:00:00Z")
}

/// The cluster of the samples: `pve`.
pub fn cluster_name() -> ClusterName {
    parsed("pve")
}

/// A number of a machine.
pub fn vmid(number: u32) -> Vmid {
    valid(number)
}

/// The sample cluster, which gives the numbers from `first` to `last` and lets them rest for an hour.
pub fn cluster(first: u32, last: u32) -> ClusterSettings {
    ClusterSettings {
        name: cluster_name(),
        vmids: VmidRange::new(vmid(first), vmid(last)).unwrap_or_else(|error| panic!("{error:?}")),
        quarantine: SignedDuration::from_hours(1),
    }
}

/// The key of the n-th order.
pub fn key(n: u32) -> VmKey {
    VmKey(uuid::Uuid::from_u128(0x5a3e_0000_0000_4000_8000_0000_0000_0000 << 64 | u128::from(n)))
}

/// The n-th worker.
pub fn worker(n: u32) -> WorkerInfo {
    WorkerInfo {
        id: WorkerId(uuid::Uuid::from_u128(0x3030_0000_0000_4000_8000_0000_0000_0000 << 64 | u128::from(n))),
        info: format!("host-{n}, process {n}"),
    }
}

/// The smallest order: a system disk, nothing else.
pub fn spec() -> VmSpec {
    VmSpec {
        cluster: cluster_name(),
        domain: parsed("vps-{vmid}.example.net"),
        pve_name: parsed("vps-{vmid}"),
        contact: None,
        node: parsed("node1"),
        template: Template { vmid: vmid(9000), node: parsed("node1") },
        clone: CloneMode::Linked,
        migration_storage: None,
        pve_pool: None,
        tags: BTreeSet::new(),
        autostart: Autostart::Off,
        sockets: valid(1),
        cores: valid(2),
        memory: valid(2048),
        system_disk: SystemDisk { size: valid(20), limits: DiskLimits::default() },
        additional_disks: Vec::new(),
        nics: Vec::new(),
        firewall: None,
        cloud_init: None,
        ready_when: ReadyWhen::Running,
        when_vanished: WhenVanished::Leave,
    }
}

/// An order with every option set to something that is not its default, so that whatever is lost on the way is noticed.
pub fn full_spec() -> VmSpec {
    VmSpec {
        cluster: cluster_name(),
        domain: parsed("{reference}-{vmid}-{node}.{cluster}.example.net"),
        pve_name: parsed("{reference}-{vmid}-{node}"),
        contact: Some(parsed("ann@example.org")),
        node: parsed("node2"),
        template: Template { vmid: vmid(9001), node: parsed("node1") },
        clone: CloneMode::Full { storage: Some(parsed("local-lvm")) },
        migration_storage: Some(parsed("ceph-vm")),
        pve_pool: Some(parsed("customers/gold")),
        tags: BTreeSet::from([parsed("gold"), parsed("web_2")]),
        autostart: Autostart::On,
        sockets: valid(2),
        cores: valid(4),
        memory: valid(8192),
        system_disk: SystemDisk { size: valid(40), limits: limits(1500, 500) },
        additional_disks: vec![
            AdditionalDisk { storage: parsed("ceph-vm"), size: valid(100), limits: limits(62_500, 2000) },
            AdditionalDisk { storage: parsed("backup-hdd"), size: valid(500), limits: DiskLimits::default() },
        ],
        nics: nics(),
        firewall: Some(firewall()),
        cloud_init: Some(cloud_init()),
        ready_when: ReadyWhen::AddressSeen,
        when_vanished: WhenVanished::Redeploy,
    }
}

fn limits(thousandths: u64, iops: u64) -> DiskLimits {
    let rate = MiBps::from_thousandths(thousandths).unwrap_or_else(|error| panic!("{error:?}"));
    DiskLimits {
        read: Limit::At(rate),
        write: Limit::Unlimited,
        read_iops: Limit::Unlimited,
        write_iops: Limit::At(valid::<Iops, u64>(iops)),
    }
}

fn nics() -> Vec<NicSpec> {
    let draw = |count, pool: &str| Some(Draw { count, pools: vec![parsed(pool)] });
    let pools = FromPools { v4: draw(2, "public-v4"), v6: draw(1, "public-v6") };
    vec![
        NicSpec {
            bridge: parsed("vmbr0"),
            vlan: Some(valid::<VlanId, u16>(100)),
            rate: Limit::At(valid::<MiBps, f64>(12.5)),
            filtering: Filtering::On,
            model: NicModel::Virtio,
            addressing: Addressing::Pools(pools),
        },
        NicSpec {
            bridge: parsed("vnet7"),
            vlan: None,
            rate: Limit::Unlimited,
            filtering: Filtering::Off,
            model: NicModel::E1000e,
            addressing: Addressing::Dhcp,
        },
    ]
}

fn firewall() -> FirewallSpec {
    FirewallSpec {
        policy_in: PacketPolicy::Reject,
        policy_out: PacketPolicy::Drop,
        rules: vec![FirewallRule {
            direction: Direction::In,
            action: PacketPolicy::Accept,
            macro_name: None,
            protocol: Some("tcp".to_owned()),
            source: Some("198.51.100.0/24".to_owned()),
            dest: None,
            source_port: None,
            dest_port: Some("80,443".to_owned()),
        }],
        anti_spoofing: true,
    }
}

fn cloud_init() -> CloudInit {
    CloudInit {
        user: Some(parsed("ann")),
        password: Some(valid::<PasswordHash, String>(format!("$6$saltsaltsalt${}", "h".repeat(86)))),
        ssh_keys: vec![parsed(SSH_KEY)],
        resolvers: vec![parsed("192.0.2.53"), parsed("2001:db8::53")],
        search_domain: Some(parsed("example.net")),
        drive_storage: Some(parsed("local-lvm")),
    }
}

/// The n-th order of the smallest machine, under the reference `order-n`.
pub fn order(n: u32) -> NewRecord {
    order_of(n, spec())
}

/// The n-th order of any machine, under the reference `order-n`, with a MAC for each NIC.
pub fn order_of(n: u32, spec: VmSpec) -> NewRecord {
    let macs = (0_u64..)
        .zip(&spec.nics)
        .map(|(nic, _)| {
            let mut octets = [0x02; 6];
            octets[1..].copy_from_slice(&(u64::from(n) << 5 | nic).to_be_bytes()[3..]);
            MacAddr::local(octets)
        })
        .collect();
    NewRecord {
        key: key(n),
        external_ref: parsed(&format!("order-{n}")),
        macs,
        spec,
        metadata: serde_json::json!({ "customer": n, "note": "from the shop", "vat": 0.19, "tags": [null, true] }),
        created_at: epoch(),
        adopts: None,
    }
}

/// The machine with this number that somebody made.
pub fn adopted(number: u32) -> Adopted {
    Adopted {
        vmid: vmid(number.max(100)),
        smbios: SmbiosUuid(uuid::Uuid::from_u128(u128::from(number))),
        node: parsed("node3"),
        addresses: vec![(valid::<NicSlot, u8>(0), parsed("192.0.2.77"))],
    }
}

/// The n-th order, to adopt the machine with this number.
pub fn adoption(n: u32, number: u32) -> NewRecord {
    NewRecord { adopts: Some(adopted(number)), ..order(n) }
}

/// A range of addresses.
pub fn range(first: &str, last: &str) -> AddressRange {
    AddressRange { first: parsed(first), last: parsed(last) }
}

/// A pool of the sample cluster with these ranges; an address rests for ten minutes.
pub fn pool(name: &str, prefix_len: u8, ranges: &[AddressRange]) -> Pool {
    let family = ranges.first().map_or(Family::V4, |range| Family::of(range.first));
    let (gateway, resolver): (&str, &str) = match family {
        Family::V4 => ("192.0.2.1", "192.0.2.53"),
        Family::V6 => ("2001:db8::1", "2001:db8::53"),
    };
    Pool {
        name: parsed(name),
        cluster: cluster_name(),
        bridge: parsed("vmbr0"),
        vlan: Some(valid::<VlanId, u16>(100)),
        family,
        prefix_len,
        gateway: Some(parsed::<IpAddr>(gateway)),
        resolvers: vec![parsed(resolver)],
        ranges: ranges.to_vec(),
        exclusions: Vec::new(),
        rest: SignedDuration::from_mins(10),
    }
}

/// So many addresses for `net0` from these pools.
pub fn want(family: Family, count: u8, pools: &[&str]) -> Want {
    Want {
        besides: Vec::new(),
        exactly: Vec::new(),
        nic: valid::<NicSlot, u8>(0),
        family,
        count,
        pools: pools.iter().map(|name| parsed(name)).collect(),
    }
}

/// A number of GiB, MiB, CPUs, for orders that a test changes.
pub fn count<T>(number: u64) -> T
where
    T: TryFrom<u64>,
    T::Error: Debug,
{
    valid(number)
}

/// Exactly these addresses for `net0` from these pools.
pub fn exactly(addresses: &[&str], pools: &[&str]) -> Want {
    let exactly: Vec<IpAddr> = addresses.iter().map(|address| parsed(address)).collect();
    let family = exactly.first().map_or(Family::V4, |address| Family::of(*address));
    Want { exactly, ..want(family, valid::<u8, usize>(addresses.len()), pools) }
}
