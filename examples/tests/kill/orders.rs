//! What is ordered: machines of eight kinds, which together have every option, and pools that just suffice.

use rand::{Rng, rngs::StdRng};
use serde::Serialize;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The first number of our range.
pub(crate) const FIRST: u32 = 2000;

/// Numbers beyond one for each machine: strangers take some, and whoever meets one gets another.
const SPARE: u32 = 8;

/// Everything that is ordered in the course of a run.
pub(crate) struct Orders {
    pub(crate) cluster: Cluster,
    pub(crate) machines: Vec<Order>,
}

#[derive(Serialize)]
struct File<'a> {
    cluster: Option<&'a Cluster>,
    machines: &'a [Order],
}

#[derive(Serialize)]
pub(crate) struct Cluster {
    pub(crate) name: &'static str,
    vmids: Vmids,
    quarantine_minutes: u32,
    pools: Vec<Pool>,
}

#[derive(Serialize)]
struct Vmids {
    first: u32,
    last: u32,
}

#[derive(Serialize)]
struct Pool {
    name: &'static str,
    bridge: &'static str,
    vlan: Option<u16>,
    ranges: [String; 1],
    prefix_len: u8,
    gateway: &'static str,
    resolvers: [&'static str; 1],
    rest_minutes: u32,
}

#[derive(Serialize)]
pub(crate) struct Order {
    pub(crate) reference: String,
    domain: &'static str,
    template: Template,
    clone: Clone,
    pub(crate) node: &'static str,
    pub(crate) pve_pool: Option<&'static str>,
    pub(crate) tags: Vec<&'static str>,
    pub(crate) autostart: bool,
    pub(crate) sockets: u32,
    pub(crate) cores: u32,
    pub(crate) memory_mib: u32,
    pub(crate) system_disk: SystemDisk,
    pub(crate) additional_disks: Vec<Disk>,
    pub(crate) nics: Vec<Nic>,
    pub(crate) firewall: Option<Firewall>,
    pub(crate) cloud_init: Option<CloudInit>,
    ready_when: Option<&'static str>,
}

#[derive(Serialize)]
struct Template {
    vmid: u32,
    node: &'static str,
}

#[derive(Serialize)]
struct Clone {
    mode: &'static str,
    storage: Option<&'static str>,
}

#[derive(Serialize)]
pub(crate) struct SystemDisk {
    pub(crate) size_gib: u64,
    #[serde(flatten)]
    pub(crate) limits: Limits,
}

#[derive(Serialize)]
pub(crate) struct Disk {
    pub(crate) storage: &'static str,
    pub(crate) size_gib: u64,
    #[serde(flatten)]
    pub(crate) limits: Limits,
}

#[derive(Serialize, Default)]
pub(crate) struct Limits {
    pub(crate) read_mibps: Option<f64>,
    pub(crate) write_mibps: Option<f64>,
    pub(crate) read_iops: Option<u32>,
    pub(crate) write_iops: Option<u32>,
}

#[derive(Serialize, Default)]
pub(crate) struct Nic {
    pub(crate) bridge: &'static str,
    pub(crate) vlan: Option<u16>,
    pub(crate) rate_mibps: Option<f64>,
    pub(crate) firewall: bool,
    pub(crate) dhcp: bool,
    pub(crate) v4: Option<Draw>,
    pub(crate) v6: Option<Draw>,
}

#[derive(Serialize)]
pub(crate) struct Draw {
    pub(crate) count: u8,
}

#[derive(Serialize)]
pub(crate) struct Firewall {
    pub(crate) policy_in: &'static str,
    pub(crate) policy_out: &'static str,
    pub(crate) anti_spoofing: bool,
    pub(crate) rules: Vec<Rule>,
}

#[derive(Serialize, Default)]
pub(crate) struct Rule {
    pub(crate) direction: &'static str,
    pub(crate) action: &'static str,
    #[serde(rename = "macro")]
    pub(crate) macro_name: Option<&'static str>,
    pub(crate) protocol: Option<&'static str>,
    pub(crate) source: Option<&'static str>,
    pub(crate) dest_port: Option<&'static str>,
}

#[derive(Serialize)]
pub(crate) struct CloudInit {
    pub(crate) user: &'static str,
    pub(crate) password: Option<&'static str>,
    pub(crate) ssh_keys: Vec<&'static str>,
}

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGF56157Dy8Uh/epttkDanamS9jT5CR1rxuSwD9QZgCa ann@example.net";

impl Orders {
    pub(crate) fn new(machines: usize, rng: &mut StdRng) -> Self {
        let machines: Vec<_> = (0..machines).map(|n| Order::new(n, rng)).collect();
        let count = u32::try_from(machines.len()).unwrap();
        let vmids = Vmids { first: FIRST, last: FIRST + count + SPARE - 1 };
        let pools = pools(&machines);
        Self { cluster: Cluster { name: "demo", vmids, quarantine_minutes: 60, pools }, machines }
    }

    pub(crate) fn is_ours(&self, vmid: u32) -> bool {
        (self.cluster.vmids.first..=self.cluster.vmids.last).contains(&vmid)
    }

    /// The file with the first so many machines.
    pub(crate) fn text(&self, machines: usize) -> String {
        toml::to_string(&File { cluster: None, machines: &self.machines[..machines] }).unwrap()
    }

    /// The file with everything.
    pub(crate) fn whole(&self) -> String {
        toml::to_string(&File { cluster: Some(&self.cluster), machines: &self.machines }).unwrap()
    }
}

/// Pools with exactly as many addresses as are ordered: one that is lost is missed.
fn pools(machines: &[Order]) -> Vec<Pool> {
    let drawn = |bridge: &str, draw: fn(&Nic) -> &Option<Draw>| -> u32 {
        let nics = machines.iter().flat_map(|order| &order.nics).filter(|nic| nic.bridge == bridge);
        nics.filter_map(|nic| draw(nic).as_ref()).map(|draw| u32::from(draw.count)).sum()
    };
    let v4 = |first: Ipv4Addr, count: u32| {
        [format!("{first}-{}", Ipv4Addr::from(u32::from(first) + count.max(1) - 1))]
    };
    let first_v6: Ipv6Addr = "2001:db8:1::1000".parse().unwrap();
    let last_v6 = Ipv6Addr::from(u128::from(first_v6) + u128::from(drawn("vmbr0", |nic| &nic.v6).max(1)) - 1);
    let pool = |name, bridge, vlan, ranges, prefix_len, gateway, resolver| Pool {
        name,
        bridge,
        vlan,
        ranges,
        prefix_len,
        gateway,
        resolvers: [resolver],
        rest_minutes: 60,
    };
    let public = v4(Ipv4Addr::new(10, 20, 1, 0), drawn("vmbr0", |nic| &nic.v4));
    let customers = v4(Ipv4Addr::new(10, 120, 1, 0), drawn("vmbr1", |nic| &nic.v4));
    let public_v6 = [format!("{first_v6}-{last_v6}")];
    vec![
        pool("public-v4", "vmbr0", None, public, 16, "10.20.0.1", "192.0.2.53"),
        pool("public-v6", "vmbr0", None, public_v6, 64, "fe80::1", "2001:db8:53::53"),
        pool("customers", "vmbr1", Some(120), customers, 16, "10.120.0.1", "192.0.2.54"),
    ]
}

impl Order {
    fn new(n: usize, rng: &mut StdRng) -> Self {
        let plain = Self::plain(format!("order-{n:03}"), rng);
        let guest = |password| Some(CloudInit { user: "admin", password, ssh_keys: vec![KEY] });
        let public = |v4, v6, firewall| Nic {
            bridge: "vmbr0",
            firewall,
            v4: Some(Draw { count: v4 }),
            v6: (v6 > 0).then_some(Draw { count: v6 }),
            ..Nic::default()
        };
        let customers = || Nic {
            bridge: "vmbr1",
            vlan: Some(120),
            rate_mibps: Some(12.5),
            v4: Some(Draw { count: 1 }),
            ..Nic::default()
        };
        match n % 8 {
            // A linked clone that stays, with a password.
            0 => Self {
                autostart: true,
                nics: vec![public(1, 0, true)],
                firewall: Some(firewall(rng.random_range(1..=4), true)),
                cloud_init: guest(Some("geheim & ;=%")),
                ..plain
            },
            // A linked clone that moves, with both families.
            1 => Self { node: "pve2", nics: vec![public(1, 1, false)], cloud_init: guest(None), ..plain },
            // A full clone that moves, in a PVE pool, with limited additional disks and a VLAN.
            2 => Self {
                clone: full("shared"),
                node: "pve3",
                pve_pool: Some("demo"),
                system_disk: SystemDisk { limits: limits(rng), ..plain.system_disk },
                additional_disks: vec![disk("shared", rng), disk("shared", rng)],
                nics: vec![customers()],
                cloud_init: guest(None),
                ..plain
            },
            // A full clone of another node's local template, by DHCP.
            3 => Self {
                template: Template { vmid: 9001, node: "pve2" },
                clone: full("shared"),
                node: "pve1",
                nics: vec![Nic { bridge: "vmbr0", dhcp: true, firewall: true, ..Nic::default() }],
                firewall: Some(firewall(2, false)),
                cloud_init: guest(None),
                ..plain
            },
            // A linked clone on a local storage, with a disk on another one.
            4 => Self {
                template: Template { vmid: 9001, node: "pve2" },
                node: "pve2",
                additional_disks: vec![disk("local-lvm", rng), disk("shared", rng)],
                nics: vec![Nic { bridge: "vmbr0", dhcp: true, ..Nic::default() }],
                cloud_init: guest(None),
                ..plain
            },
            // Two NICs in two networks, each filtered by a set of its own.
            5 => Self {
                template: Template { vmid: 9002, node: "pve1" },
                nics: vec![public(2, 1, true), Nic { firewall: true, ..customers() }],
                firewall: Some(firewall(4, true)),
                cloud_init: guest(None),
                ..plain
            },
            // Several addresses, and not ready before the guest tells one.
            6 => Self {
                nics: vec![public(2, 2, true)],
                firewall: Some(firewall(3, true)),
                cloud_init: guest(None),
                ready_when: Some("address_seen"),
                ..plain
            },
            // One NIC less than the template has, and nothing told to the guest.
            _ => Self {
                template: Template { vmid: 9002, node: "pve1" },
                clone: full("shared"),
                pve_pool: Some("demo"),
                system_disk: SystemDisk { limits: limits(rng), ..plain.system_disk },
                nics: vec![Nic { bridge: "vmbr1", rate_mibps: Some(100.0), ..Nic::default() }],
                ..plain
            },
        }
    }

    /// A linked clone that stays where it is made.
    fn plain(reference: String, rng: &mut StdRng) -> Self {
        Self {
            reference,
            domain: "{reference}.example.net",
            template: Template { vmid: 9000, node: "pve1" },
            clone: Clone { mode: "linked", storage: None },
            node: "pve1",
            pve_pool: None,
            tags: vec!["killed", "often"],
            autostart: rng.random(),
            sockets: rng.random_range(1..=2),
            cores: rng.random_range(1..=4),
            memory_mib: 512 * rng.random_range(1..=8),
            system_disk: SystemDisk { size_gib: rng.random_range(4..=20), limits: Limits::default() },
            additional_disks: Vec::new(),
            nics: Vec::new(),
            firewall: None,
            cloud_init: None,
            ready_when: None,
        }
    }
}

fn full(storage: &'static str) -> Clone {
    Clone { mode: "full", storage: Some(storage) }
}

fn disk(storage: &'static str, rng: &mut StdRng) -> Disk {
    Disk { storage, size_gib: rng.random_range(1..=50), limits: limits(rng) }
}

fn limits(rng: &mut StdRng) -> Limits {
    Limits {
        read_mibps: rng.random::<bool>().then_some(200.0),
        write_mibps: Some(100.5),
        read_iops: Some(rng.random_range(100..=5000)),
        write_iops: rng.random::<bool>().then_some(2500),
    }
}

fn firewall(rules: usize, anti_spoofing: bool) -> Firewall {
    let rule = |direction, action| Rule { direction, action, ..Rule::default() };
    let known = [
        Rule { macro_name: Some("SSH"), source: Some("198.51.100.0/24"), ..rule("in", "ACCEPT") },
        Rule { protocol: Some("tcp"), dest_port: Some("80,443"), ..rule("in", "ACCEPT") },
        Rule { protocol: Some("udp"), dest_port: Some("123"), ..rule("out", "REJECT") },
        Rule { protocol: Some("tcp"), dest_port: Some("25"), ..rule("out", "DROP") },
    ];
    let rules = known.into_iter().take(rules).collect();
    Firewall { policy_in: "DROP", policy_out: "ACCEPT", anti_spoofing, rules }
}
