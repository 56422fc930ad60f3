//! Whatever goes wrong on the way, an order comes to rest as it was ordered.

use crate::{
    bench::{Bench, Run, Trouble, tried},
    ledger::WriteFault,
    orders::{Case, NUMBER, TEMPLATE, cases, order, p, plain, vmid},
};
use deploy_core::*;
use deploy_testkit::world::{Faults, ModelMachine, ModelRule};
use proptest::{collection::vec, option, prelude::*};
use std::collections::{BTreeMap, BTreeSet};

/// More turns within one second than any order needs would be a loop without a pause.
const HOT: u32 = 120;

fn write_faults() -> impl Strategy<Value = Vec<Option<WriteFault>>> {
    let fault = prop_oneof![
        8 => Just(None),
        1 => Just(Some(WriteFault::NotWritten)),
        1 => Just(Some(WriteFault::WrittenUnanswered)),
        1 => Just(Some(WriteFault::LostUnanswered)),
    ];
    vec(fault, 0..60)
}

pub(crate) fn troubles() -> impl Strategy<Value = Trouble> {
    (
        any::<u64>(),
        0..60_usize,
        0..70_u8,
        write_faults(),
        vec(option::weighted(0.2, 0..8_u8), 0..80),
        0..3_u32,
    )
        .prop_map(|(seed, length, percent, writes, crashes, refusals)| Trouble {
            faults: Faults::seeded(seed, length, percent),
            writes,
            crashes,
            refusals,
            commands: BTreeMap::new(),
        })
}

pub(crate) fn bench(case: &Case) -> Bench {
    Bench::new(order(case.spec.clone()), |cluster| case.set_up(cluster))
}

proptest! {
    #![proptest_config(tried(300))]

    #[test]
    fn an_order_comes_to_rest_as_ordered(case in cases(), trouble in troubles()) {
        let bench = bench(&case);
        let run = bench.run(trouble);
        assert_orderly(&bench, &run);
        let record = bench.record();
        prop_assert_eq!(record.step, Step::Ready);
        prop_assert_eq!(record.attention.clone(), None);
        prop_assert_eq!(record.failures, 0);
        prop_assert_eq!(completed(&bench), Operation::Create.steps().split_last().unwrap().1.to_vec());
        assert_as_ordered(&bench, &case, &record);
    }

    /// The commands that a panel may give while it is on its way change nothing in what comes of it.
    #[test]
    fn trying_again_on_command_changes_nothing(
        case in cases(),
        trouble in troubles(),
        turns in vec(1..150_u32, 1..6),
    ) {
        let bench = bench(&case);
        let commands = turns.into_iter().map(|turn| (turn, Command::Retry)).collect();
        // Of the commands that come after the rest none is legal.
        let run = bench.run(Trouble { commands, ..trouble });
        assert_orderly(&bench, &run);
        let record = bench.record();
        prop_assert_eq!(record.step, Step::Ready);
        assert_as_ordered(&bench, &case, &record);
    }

    /// Nothing but the record, the observation and the time has a say in what is done.
    #[test]
    fn the_same_trouble_is_met_in_the_same_way(case in cases(), trouble in troubles()) {
        let (first, second) = (bench(&case), bench(&case));
        let runs = (first.run(trouble.clone()), second.run(trouble));
        prop_assert_eq!(&runs.0, &runs.1);
        let commits = |bench: &Bench| bench.ledger.with(|state| state.commits.clone());
        prop_assert_eq!(commits(&first), commits(&second));
    }
}

/// A guest that never stays up is started again with growing delays, and a human hears of it.
#[test]
fn a_guest_that_does_not_stay_up_is_a_failure() {
    for autostart in [Autostart::Off, Autostart::On] {
        let spec = VmSpec { autostart, ready_when: ReadyWhen::AgentAnswers, ..plain() };
        let mut template = ModelMachine::template(p("n1"));
        template.config.agent = true;
        template.falls = 30;
        let bench = Bench::new(order(spec), |cluster| cluster.add(vmid(TEMPLATE), template));
        bench.run(Trouble::default());
        assert_eq!(bench.record().step, Step::Ready);
        let told = |notice: &Notice| matches!(notice, Notice::NeedsAttention(_));
        assert!(bench.ledger.with(|state| state.notices.iter().any(told)), "{autostart:?}: nobody was told");
        assert!(bench.clock.now().as_second() > 1800, "{autostart:?}: {} is too soon", bench.clock.now());
    }
}

/// What holds of every run.
pub(crate) fn assert_orderly(bench: &Bench, run: &Run) {
    assert_harmless(bench, run);
    let ready = bench.ledger.with(|state| state.notices.iter().filter(|n| **n == Notice::Ready).count());
    assert!(ready <= 1, "{ready} notices that it is ready");
}

/// What holds of every run, whatever is commanded.
pub(crate) fn assert_harmless(bench: &Bench, run: &Run) {
    let violations = bench.ledger.with(|state| state.violations.clone());
    assert!(violations.is_empty(), "{violations:#?}\n{}", told(bench));
    assert!(run.busiest_second <= HOT, "{} turns within one second", run.busiest_second);
    let counters = bench.world.with(|cluster| cluster.counters.clone());
    assert_eq!(counters.misdirected, 0, "changes of somebody else's machine: {counters:?}");
    assert_eq!(counters.unguarded, 0, "settings without a revision: {counters:?}");
    assert_eq!(counters.overwritten, 0, "volumes left behind: {counters:?}");
    assert_eq!(counters.clones_over, 0, "clones to a number that is taken: {counters:?}");
    // What could not be read is left, and named.
    let receipt = bench.record().life.receipt;
    let is_untold = |backup: &&Backup| {
        let named = format!("backup {}: not known: ", backup.volume);
        !receipt.iter().any(|line| line.to_string().starts_with(&named))
    };
    assert_eq!(counters.backups_left.iter().find(is_untold), None, "backups left behind: {counters:?}");
    let strangers = bench.world.with(|cluster| {
        let numbers = [NUMBER, 500].map(vmid);
        numbers.iter().filter_map(|vmid| cluster.machines.get(vmid)).filter(|m| is_stranger(m)).count()
    });
    assert_eq!(strangers, 1, "the stranger is as it was");
}

/// The log, for whoever reads why a test failed.
pub(crate) fn told(bench: &Bench) -> String {
    let line = |line: &LogLine| format!("{} {} {}\n", line.at, line.step, line.event);
    bench.ledger.with(|state| state.log.iter().map(line).collect())
}

fn is_stranger(machine: &ModelMachine) -> bool {
    machine.config.description == "a neighbour's" && machine.power == Power::Running && machine.revision == 1
}

/// The steps that were done, in the order of their log lines.
fn completed(bench: &Bench) -> Vec<Step> {
    let done = |line: &LogLine| matches!(line.event, LogEvent::Done { .. });
    bench.ledger.with(|state| state.log.iter().filter(|line| done(line)).map(|line| line.step).collect())
}

/// Compares the machine that came of it with what was ordered, field by field.
fn assert_as_ordered(bench: &Bench, case: &Case, record: &VmRecord) {
    let ready = bench.ledger.with(|state| state.notices.iter().filter(|n| **n == Notice::Ready).count());
    assert_eq!(ready, 1, "notices that it is ready");
    let number = record.numbered.vmid;
    let clones = bench.world.with(|cluster| cluster.counters.clones.clone());
    assert_eq!(clones, BTreeMap::from([(number, 1)]), "clones");
    assert_machine(bench, case, record, &Power::Running);
    let autostart = bench.world.with(|cluster| cluster.machines[&number].config.autostart);
    assert_eq!(autostart, case.spec.autostart);
}

/// Compares the machine with what was ordered, but for whether it starts with its node.
pub(crate) fn assert_machine(bench: &Bench, case: &Case, record: &VmRecord, power: &Power) {
    let number = record.numbered.vmid;
    assert_eq!(case.stranger, number != vmid(NUMBER), "a stranger's number is not ours");
    assert_eq!(record.numbered.pve_name, p(&format!("vps-{number}.example.net")), "names follow the number");
    assert_eq!(record.numbered.fqdn, p(&format!("vps-{number}.example.net")));
    bench.world.with(|cluster| {
        assert_eq!(cluster.marked(record.mark()), [number], "machines of the order");
        let machine = &cluster.machines[&number];
        assert_eq!(machine.named_volumes().len(), cluster.volumes_of(number), "volumes without a slot");
        assert_eq!(cluster.machines[&vmid(TEMPLATE)].config, case.template.config, "the template");
        assert_eq!(machine.config.smbios, record.smbios);
        assert_eq!((&machine.node, &machine.power, &machine.lock), (&case.spec.node, power, &None));
        assert_eq!(machine.pool, case.spec.pve_pool);
        assert_settings(machine, case, record);
        assert_disks(machine, case, record);
        assert_nics(machine, case, record);
        assert_firewall(machine, case, record);
        assert_cloud_init(machine, case, record);
    });
}

fn assert_settings(machine: &ModelMachine, case: &Case, record: &VmRecord) {
    let (config, spec) = (&machine.config, &case.spec);
    assert_eq!(config.name.as_ref(), Some(&record.numbered.pve_name));
    assert_eq!((config.sockets, config.cores), (Some(spec.sockets), Some(spec.cores)));
    assert_eq!(config.memory, Some(spec.memory));
    assert!(config.balloon.is_none_or(|balloon| balloon <= spec.memory.get()), "{:?}", config.balloon);
    assert_eq!(config.tags, spec.tags);
}

fn assert_disks(machine: &ModelMachine, case: &Case, record: &VmRecord) {
    let (disks, spec) = (&machine.config.disks, &case.spec);
    assert_eq!(disks.len(), 1 + spec.additional_disks.len());
    let system = &disks[&p::<DiskSlot>("scsi0")];
    assert_eq!(system.size, Some(spec.system_disk.size.bytes()));
    assert_eq!(system.limits, spec.system_disk.limits);
    assert_eq!(system.options, BTreeMap::from([("discard".to_owned(), "on".to_owned())]));
    assert_eq!(record.slots.len(), spec.additional_disks.len());
    for (slot, wanted) in record.slots.iter().zip(&spec.additional_disks) {
        assert!(!case.template.config.is_taken(*slot), "{slot} was taken");
        let disk = &disks[slot];
        assert_eq!((&disk.storage, disk.size), (&wanted.storage, Some(wanted.size.bytes())));
        assert_eq!(disk.limits, wanted.limits);
    }
}

fn assert_nics(machine: &ModelMachine, case: &Case, record: &VmRecord) {
    let wanted =
        NicSlot::in_order().zip(case.spec.nics.iter().zip(&record.macs)).map(|(slot, (spec, mac))| {
            let model = NicModel::ALL.iter().find(|(model, _)| *model == spec.model).unwrap().1;
            let nic = Nic {
                model: model.to_owned(),
                mac: *mac,
                bridge: Some(spec.bridge.clone()),
                vlan: spec.vlan,
                rate: spec.rate,
                filtering: spec.filtering,
                options: case
                    .template
                    .config
                    .nics
                    .get(&slot)
                    .map(|nic| nic.options.clone())
                    .unwrap_or_default(),
            };
            (slot, nic)
        });
    assert_eq!(machine.config.nics, wanted.collect());
}

fn assert_firewall(machine: &ModelMachine, case: &Case, record: &VmRecord) {
    let foreign = |rules: &[ModelRule]| -> Vec<ModelRule> {
        rules.iter().filter(|rule| rule.key().is_none()).cloned().collect()
    };
    assert_eq!(foreign(&machine.firewall.rules), foreign(&case.template.firewall.rules));
    let Some(spec) = &case.spec.firewall else {
        assert_eq!(machine.firewall, case.template.firewall);
        return;
    };
    let mut seen = BTreeSet::new();
    let wanted: Vec<RuleKey> =
        spec.rules.iter().map(FirewallRule::key).filter(|key| seen.insert(*key)).collect();
    let there: Vec<RuleKey> = machine.firewall.rules.iter().filter_map(ModelRule::key).collect();
    assert_eq!(there, wanted, "each rule once, in the order of the order");
    let options = machine.firewall.options;
    assert_eq!(options.enabled, Some(true));
    assert_eq!((options.policy_in, options.policy_out), (Some(spec.policy_in), Some(spec.policy_out)));
    assert_eq!(options.mac_filter, Some(spec.anti_spoofing));
    assert_eq!(options.router_advertisements, Some(false));
    for (slot, nic) in NicSlot::in_order().zip(&case.spec.nics) {
        let guarded = spec.anti_spoofing && nic.filtering == Filtering::On;
        if guarded && matches!(nic.addressing, Addressing::Pools(_)) {
            let held = record.addresses.iter().filter(|held| held.nic == slot);
            let wanted: BTreeSet<ipnet::IpNet> = held.map(|held| held.address.into()).collect();
            assert!(!wanted.is_empty());
            assert_eq!(machine.firewall.filters[&slot], wanted, "{slot} may send from what it was given");
        } else if nic.filtering == Filtering::On {
            assert_ne!(options.ip_filter, Some(true), "{slot} would be cut off");
        }
    }
}

fn assert_cloud_init(machine: &ModelMachine, case: &Case, record: &VmRecord) {
    let told = &machine.config.cloud_init;
    let Some(spec) = &case.spec.cloud_init else {
        assert_eq!((told, &machine.password), (&case.template.config.cloud_init, &case.template.password));
        return;
    };
    assert!(told.drive.is_some_and(|slot| machine.drive_volumes.contains_key(&slot)), "there is a drive");
    if spec.user.is_some() {
        assert_eq!(told.user, spec.user);
    }
    if spec.password.is_some() {
        assert_eq!(machine.password, spec.password);
    }
    assert_eq!(told.ssh_keys, spec.ssh_keys);
    assert_eq!(told.upgrade, Some(false));
    let mut slots: Vec<NicSlot> = told.networks.keys().copied().collect();
    for (slot, nic) in NicSlot::in_order().zip(&case.spec.nics) {
        let first =
            |family| record.addresses.iter().find(|a| a.nic == slot && Family::of(a.address) == family);
        match &nic.addressing {
            Addressing::Unmanaged => continue,
            Addressing::Dhcp => assert_eq!(told.networks[&slot].v4, Some(GuestV4::Dhcp)),
            Addressing::Pools(_) => {
                let network = &told.networks[&slot];
                let v4 = network.v4.map(|v4| match v4 {
                    GuestV4::Static { address, .. } => address.addr().into(),
                    GuestV4::Dhcp => panic!("{slot} asks by DHCP"),
                });
                let v6 = network.v6.map(|v6| match v6 {
                    GuestV6::Static { address, .. } => address.addr().into(),
                    GuestV6::Dhcp | GuestV6::Auto => panic!("{slot} listens for its address"),
                });
                assert_eq!(v4, first(Family::V4).map(|held| held.address));
                assert_eq!(v6, first(Family::V6).map(|held| held.address));
            }
        }
        slots.retain(|told| *told != slot);
    }
    assert!(slots.is_empty(), "{slots:?} were not ordered");
    let routes =
        told.networks.values().filter(|n| matches!(n.v4, Some(GuestV4::Static { gateway: Some(_), .. })));
    assert!(routes.count() <= 1, "a guest has one default route");
}
