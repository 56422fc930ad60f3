//! Orders and templates, by hand and at random.

use deploy_core::*;
use deploy_testkit::world::{Cluster, ModelMachine, ModelRule};
use proptest::{collection::vec, option, prelude::*, sample::select};
use std::{collections::BTreeMap, str::FromStr};

/// Parses what a test knows to be right.
pub(crate) fn p<T: FromStr<Err = Invalid>>(text: &str) -> T {
    text.parse().unwrap()
}

pub(crate) fn gib(size: u64) -> GiB {
    size.try_into().unwrap()
}

pub(crate) fn vmid(number: u32) -> Vmid {
    number.try_into().unwrap()
}

pub(crate) fn slot(index: u8) -> NicSlot {
    index.try_into().unwrap()
}

pub(crate) const TEMPLATE: u32 = 9000;
pub(crate) const NUMBER: u32 = 1001;
pub(crate) const HASH: &str =
    "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1";
pub(crate) const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAy/9Hyhzjwk59BsmVXonf/i4mfksTeSpqRvgFv0AB0n ann@laptop";

/// The hash of some password.
pub(crate) fn hash() -> PasswordHash {
    PasswordHash::try_from(HASH.to_owned()).unwrap()
}

/// The plainest order.
pub(crate) fn plain() -> VmSpec {
    VmSpec {
        cluster: p("main"),
        domain: p("vps-{vmid}.example.net"),
        pve_name: p("vps-{vmid}.example.net"),
        contact: None,
        node: p("n1"),
        template: Template { vmid: vmid(TEMPLATE), node: p("n1") },
        clone: CloneMode::Linked,
        migration_storage: None,
        pve_pool: None,
        tags: [].into(),
        autostart: Autostart::Off,
        sockets: 1.try_into().unwrap(),
        cores: 2.try_into().unwrap(),
        memory: 1024.try_into().unwrap(),
        system_disk: SystemDisk { size: gib(20), limits: DiskLimits::default() },
        additional_disks: vec![],
        nics: vec![],
        firewall: None,
        cloud_init: None,
        ready_when: ReadyWhen::Running,
        when_vanished: WhenVanished::Leave,
    }
}

pub(crate) fn nic(addressing: Addressing) -> NicSpec {
    NicSpec {
        bridge: p("vmbr0"),
        vlan: None,
        rate: Limit::Unlimited,
        filtering: Filtering::On,
        model: NicModel::Virtio,
        addressing,
    }
}

pub(crate) fn from_pools(v4: u8, v6: u8) -> Addressing {
    let draw = |count| (count > 0).then(|| Draw { count, pools: vec![] });
    Addressing::Pools(FromPools { v4: draw(v4), v6: draw(v6) })
}

pub(crate) fn rule(port: u16) -> FirewallRule {
    FirewallRule {
        direction: Direction::In,
        action: RuleAction::Accept,
        macro_name: None,
        protocol: Some("tcp".to_owned()),
        source: None,
        dest: None,
        source_port: None,
        dest_port: Some(port.to_string()),
    }
}

pub(crate) fn firewall(rules: Vec<FirewallRule>) -> FirewallSpec {
    FirewallSpec {
        policy_in: PacketPolicy::Drop,
        policy_out: PacketPolicy::Accept,
        rules,
        anti_spoofing: true,
    }
}

/// An order, complete and with its number.
pub(crate) fn order(spec: VmSpec) -> VmRecord {
    spec.check().unwrap();
    let order = NewRecord {
        key: VmKey(uuid::Uuid::from_u128(0xdead_beef)),
        external_ref: p("order-1"),
        macs: (0..).zip(&spec.nics).map(|(n, _)| MacAddr::local([0, 0, 0, 0, 1, n])).collect(),
        spec,
        metadata: serde_json::Value::Null,
        created_at: jiff::Timestamp::UNIX_EPOCH,
        adopts: None,
    };
    order.numbered(vmid(NUMBER)).unwrap()
}

/// An order and the cluster that it meets.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools)] // independent of each other
pub(crate) struct Case {
    pub(crate) spec: VmSpec,
    pub(crate) template: ModelMachine,
    pub(crate) configures_by_task: bool,
    pub(crate) shows_pools: bool,
    pub(crate) follows_shutdown: bool,
    pub(crate) stranger: bool,
    pub(crate) falls: u32,
}

impl Case {
    pub(crate) fn set_up(&self, cluster: &mut Cluster) {
        let Self { follows_shutdown, falls, .. } = *self;
        let template = ModelMachine { follows_shutdown, falls, ..self.template.clone() };
        cluster.add(vmid(TEMPLATE), template);
        cluster.configures_by_task = self.configures_by_task;
        cluster.shows_pools = self.shows_pools;
        let mut stranger = ModelMachine::template(p("n2"));
        stranger.template = false;
        stranger.power = Power::Running;
        "a neighbour's".clone_into(&mut stranger.config.description);
        stranger.config.smbios = Some(SmbiosUuid(uuid::Uuid::from_u128(2)));
        for disk in stranger.config.disks.values_mut() {
            "local:strange-disk-0".clone_into(&mut disk.volume);
        }
        cluster.add(vmid(if self.stranger { NUMBER } else { 500 }), stranger);
    }
}

pub(crate) fn cases() -> impl Strategy<Value = Case> {
    (specs(), templates(), any::<[bool; 4]>(), 0..8_u8, 0..8_u32).prop_map(
        |(mut spec, mut template, flags, stranger, falls)| {
            let [configures_by_task, shows_pools, follows_shutdown, agent] = flags;
            let pools = spec.nics.iter().any(|nic| matches!(nic.addressing, Addressing::Pools(_)));
            if spec.ready_when == ReadyWhen::AddressSeen && (!pools || spec.cloud_init.is_none()) {
                spec.ready_when = ReadyWhen::AgentAnswers;
            }
            // What waits for an agent that is switched off waits for a human.
            let waits = matches!(spec.ready_when, ReadyWhen::AgentAnswers | ReadyWhen::AddressSeen);
            template.config.agent = agent || waits;
            Case {
                spec,
                template,
                configures_by_task,
                shows_pools,
                follows_shutdown,
                stranger: stranger == 0,
                falls: falls.saturating_sub(4),
            }
        },
    )
}

fn limits() -> impl Strategy<Value = DiskLimits> {
    let rate = || option::of(1..5000_u64).prop_map(|t| t.map(|t| MiBps::from_thousandths(t).unwrap()).into());
    let iops = || option::of(1..5000_u64).prop_map(|n| n.map(|n| Iops::try_from(n).unwrap()).into());
    (rate(), rate(), iops(), iops()).prop_map(|(read, write, read_iops, write_iops)| DiskLimits {
        read,
        write,
        read_iops,
        write_iops,
    })
}

fn addressings() -> impl Strategy<Value = Addressing> {
    prop_oneof![
        1 => Just(Addressing::Unmanaged),
        1 => Just(Addressing::Dhcp),
        3 => (1..3_u8, 0..3_u8).prop_map(|(v4, v6)| from_pools(v4, v6)),
        1 => (1..3_u8).prop_map(|v6| from_pools(0, v6)),
    ]
}

fn nics() -> impl Strategy<Value = Vec<NicSpec>> {
    let nic = (
        select(vec!["vmbr0", "vmbr1"]),
        option::of(1..4095_u16),
        option::of(1..99_999_u64),
        any::<bool>(),
        select(NicModel::ALL.map(|(model, _)| model).to_vec()),
        addressings(),
    );
    let nic = nic.prop_map(|(bridge, vlan, rate, filtering, model, addressing)| NicSpec {
        bridge: p(bridge),
        vlan: vlan.map(|tag| tag.try_into().unwrap()),
        rate: rate.map(|t| MiBps::from_thousandths(t).unwrap()).into(),
        filtering: if filtering { Filtering::On } else { Filtering::Off },
        model,
        addressing,
    });
    vec(nic, 0..3)
}

fn firewalls() -> impl Strategy<Value = FirewallSpec> {
    let policy = || select(vec![PacketPolicy::Accept, PacketPolicy::Drop, PacketPolicy::Reject]);
    // Few ports, so that some rules are ordered twice.
    (policy(), policy(), vec((20..26_u16).prop_map(rule), 0..5), any::<bool>()).prop_map(
        |(policy_in, policy_out, rules, anti_spoofing)| FirewallSpec {
            policy_in,
            policy_out,
            rules,
            anti_spoofing,
        },
    )
}

fn cloud_inits() -> impl Strategy<Value = CloudInit> {
    any::<[bool; 6]>().prop_map(|[user, password, key, resolver, search, storage]| CloudInit {
        user: user.then(|| p("ann")),
        password: password.then(hash),
        ssh_keys: key.then(|| p(KEY)).into_iter().collect(),
        resolvers: resolver.then(|| "203.0.113.53".parse().unwrap()).into_iter().collect(),
        search_domain: search.then(|| p("example.net")),
        drive_storage: storage.then(|| p("snippets")),
    })
}

fn additional_disks() -> impl Strategy<Value = Vec<AdditionalDisk>> {
    let disk = (select(vec!["local", "fast"]), 1..60_u64, limits());
    vec(
        disk.prop_map(|(storage, size, limits)| AdditionalDisk {
            storage: p(storage),
            size: gib(size),
            limits,
        }),
        0..3,
    )
}

pub(crate) fn specs() -> impl Strategy<Value = VmSpec> {
    let ready = vec![ReadyWhen::Auto, ReadyWhen::Running, ReadyWhen::AgentAnswers, ReadyWhen::AddressSeen];
    let modes = vec![
        CloneMode::Linked,
        CloneMode::Full { storage: None },
        CloneMode::Full { storage: Some(p("fast")) },
    ];
    (
        (select(vec!["n1", "n2"]), select(modes), any::<[bool; 4]>(), select(ready)),
        (1..3_u64, 1..9_u64, 16..9000_u64, 10..40_u64, limits()),
        (additional_disks(), nics(), option::of(firewalls()), option::of(cloud_inits())),
    )
        .prop_map(|((node, clone, [pool, tag, autostart, contact], ready_when), hardware, parts)| {
            let (sockets, cores, memory, size, limits) = hardware;
            let (additional_disks, nics, firewall, cloud_init) = parts;
            let filtered = nics.iter().any(|nic: &NicSpec| nic.filtering == Filtering::On);
            let firewall = firewall.filter(|_| filtered);
            VmSpec {
                node: p(node),
                clone,
                contact: contact.then(|| p("ann@example.org")),
                pve_pool: pool.then(|| p("customers")),
                tags: tag.then(|| p("gold")).into_iter().collect(),
                autostart: if autostart { Autostart::On } else { Autostart::Off },
                sockets: sockets.try_into().unwrap(),
                cores: cores.try_into().unwrap(),
                memory: memory.try_into().unwrap(),
                system_disk: SystemDisk { size: gib(size), limits },
                additional_disks,
                nics,
                firewall,
                cloud_init,
                ready_when,
                ..plain()
            }
        })
}

/// Templates as people leave them: with NICs of their own, drives, limits, passwords, rules.
pub(crate) fn templates() -> impl Strategy<Value = ModelMachine> {
    (0..4_u8, any::<[bool; 8]>(), limits()).prop_map(
        |(nics, [burst, cdrom, drive, taken, password, autostart, balloon, rules], limits)| {
            let mut template = ModelMachine::template(p("n1"));
            let config = &mut template.config;
            for n in 0..nics {
                config.nics.insert(slot(n), template_nic(n));
            }
            let disk = config.disks.get_mut(&p("scsi0")).unwrap();
            disk.limits = limits;
            disk.options.insert("discard".to_owned(), "on".to_owned());
            if burst {
                disk.options.insert("iops_rd_max".to_owned(), "900".to_owned());
            }
            if cdrom {
                config.drives.insert(p("ide2"));
            }
            if drive {
                config.drives.insert(p("ide0"));
                config.cloud_init.drive = Some(p("ide0"));
                template.drive_volumes.insert(p("ide0"), "local:base-cloudinit".to_owned());
            }
            if taken {
                config.drives.insert(p("scsi1"));
            }
            if password {
                template.password = Some(PasswordHash::try_from(HASH.replace("salt", "SALT")).unwrap());
                config.cloud_init.user = Some(p("root"));
                config.cloud_init.networks.insert(slot(3), GuestNetwork::default());
            }
            config.autostart = if autostart { Autostart::On } else { Autostart::Off };
            config.balloon = balloon.then_some(2048);
            config.memory = Some(4096.try_into().unwrap());
            if rules {
                template.firewall.rules.push(ModelRule::Foreign("SSH from the office".to_owned()));
                template.firewall.filters.insert(slot(0), ["192.0.2.9/32".parse().unwrap()].into());
            }
            template
        },
    )
}

pub(crate) fn template_nic(n: u8) -> Nic {
    Nic {
        model: "rtl8139".to_owned(),
        mac: MacAddr::local([9, 9, 9, 9, 9, n]),
        bridge: Some(p("vmbr9")),
        vlan: None,
        rate: Limit::Unlimited,
        filtering: Filtering::Off,
        options: BTreeMap::from([("queues".to_owned(), n.to_string())]),
    }
}
