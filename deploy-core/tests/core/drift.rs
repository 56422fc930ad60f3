//! What differs from the order is found, field by field, and nothing else is.

use crate::{
    bench::{Bench, Trouble, now_or, tried},
    comes_to_rest,
    orders::{NUMBER, TEMPLATE, cases, firewall, from_pools, gib, hash, nic, order, p, plain, rule, vmid},
};
use deploy_core::*;
use deploy_testkit::world::{ModelMachine, ModelRule};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Some of everything.
fn spec() -> VmSpec {
    VmSpec {
        tags: BTreeSet::from([p("gold")]),
        autostart: Autostart::On,
        additional_disks: vec![
            AdditionalDisk { storage: p("local"), size: gib(5), limits: DiskLimits::default() },
            AdditionalDisk { storage: p("local"), size: gib(7), limits: DiskLimits::default() },
        ],
        nics: vec![NicSpec { filtering: Filtering::On, ..nic(from_pools(2, 1)) }],
        firewall: Some(firewall(vec![rule(22), rule(443)])),
        cloud_init: Some(CloudInit { password: Some(hash()), ..cloud_init() }),
        ..plain()
    }
}

fn cloud_init() -> CloudInit {
    serde_json::from_value(serde_json::json!({ "user": "admin" })).unwrap()
}

fn ready() -> Bench {
    let bench =
        Bench::new(order(spec()), |cluster| cluster.add(vmid(TEMPLATE), ModelMachine::template(p("n1"))));
    bench.run(Trouble::default());
    assert_eq!(bench.record().step, Step::Ready);
    bench
}

fn close(bench: &Bench) -> Vec<Drift> {
    let record = bench.record();
    match now_or(bench.world.inspect(&record.machine_id()), 9).unwrap() {
        Inspection::Seen(inspected) => drift(&record, &inspected.machine),
        other => panic!("{other:?}"),
    }
}

fn by_list(bench: &Bench) -> Vec<Drift> {
    let record = bench.record();
    let survey = now_or(bench.world.survey(&record.spec.cluster), 9).unwrap().unwrap();
    drift_listed(&record, &survey.guests[&record.numbered.vmid])
}

/// What both find after somebody has changed the machine; `field: seen instead of ordered`.
fn after(change: impl FnOnce(&mut ModelMachine)) -> (Vec<String>, Vec<String>) {
    let bench = ready();
    bench.world.with(|cluster| change(cluster.machines.get_mut(&vmid(NUMBER)).unwrap()));
    let words = |drift: Vec<Drift>| drift.iter().map(ToString::to_string).collect();
    (words(close(&bench)), words(by_list(&bench)))
}

/// What a list cannot tell.
fn hidden(change: impl FnOnce(&mut ModelMachine)) -> Vec<String> {
    let (close, by_list) = after(change);
    assert_eq!(by_list, Vec::<String>::new());
    close
}

/// What a list tells as well.
fn told(change: impl FnOnce(&mut ModelMachine)) -> Vec<String> {
    let (close, by_list) = after(change);
    assert_eq!(by_list, close);
    close
}

proptest! {
    #![proptest_config(tried(120))]

    #[test]
    fn nothing_differs_of_a_machine_that_is_ready(case in cases()) {
        let bench = comes_to_rest::bench(&case);
        bench.run(Trouble::default());
        prop_assert_eq!(bench.record().step, Step::Ready);
        prop_assert_eq!(close(&bench), vec![]);
        prop_assert_eq!(by_list(&bench), vec![]);
    }
}

#[test]
fn nothing_differs_of_a_machine_with_some_of_everything() {
    let bench = ready();
    assert_eq!((close(&bench), by_list(&bench)), (vec![], vec![]));
}

#[test]
fn what_a_list_tells_is_found_either_way() {
    assert_eq!(told(|machine| machine.node = p("n9")), ["node: n9 instead of n1"]);
    assert_eq!(
        told(|machine| machine.config.memory = Some(4096.try_into().unwrap())),
        ["memory: 4096 MiB instead of 1024 MiB"]
    );
    assert_eq!(
        told(|machine| machine.config.name = Some(p("other"))),
        [format!("pve_name: other instead of vps-{NUMBER}.example.net")]
    );
    assert_eq!(
        told(|machine| machine.config.tags = BTreeSet::from([p("lead"), p("old")])),
        ["tags: lead, old instead of gold"]
    );
    assert_eq!(told(|machine| machine.power = Power::Stopped), ["power: stopped instead of running"]);
}

#[test]
fn cpus_are_told_as_a_product_by_a_list() {
    let (close, by_list) = after(|machine| machine.config.cores = Some(8.try_into().unwrap()));
    assert_eq!((close[0].as_str(), close.len()), ("cores: 8 instead of 2", 1));
    assert_eq!(by_list, ["cpus: 8 instead of 2"]);
}

#[test]
fn disks_are_compared_by_place_size_and_limits() {
    let at = |machine: &mut ModelMachine, slot: &str, change: fn(&mut Disk)| {
        change(machine.config.disks.get_mut(&slot.parse().unwrap()).unwrap());
    };
    let grown: fn(&mut Disk) = |disk| disk.size = Some(Bytes(40 << 30));
    assert_eq!(hidden(|m| at(m, "scsi0", grown)), ["system_disk.size: 40 GiB instead of 20 GiB"]);
    let shrunk: fn(&mut Disk) = |disk| disk.size = Some(Bytes(3 << 30));
    let both = hidden(|machine| {
        at(machine, "scsi1", shrunk);
        at(machine, "scsi2", shrunk);
    });
    assert_eq!(both, ["scsi1.size: 3 GiB instead of 5 GiB", "scsi2.size: 3 GiB instead of 7 GiB"]);
    let limited: fn(&mut Disk) = |disk| disk.limits.read = Limit::At(5.0.try_into().unwrap());
    assert_eq!(hidden(|m| at(m, "scsi2", limited)), ["scsi2.read: 5 MiB/s instead of unlimited"]);
    let gone = hidden(|machine| {
        machine.config.disks.remove(&p("scsi1"));
    });
    assert_eq!(gone, ["scsi1: no disk instead of 5 GiB on local"]);
}

#[test]
fn nics_are_compared_part_by_part() {
    let slot = NicSlot::in_order().next().unwrap();
    let at = |machine: &mut ModelMachine, change: fn(&mut Nic)| {
        change(machine.config.nics.get_mut(&slot).unwrap());
    };
    let moved = hidden(|machine| {
        at(machine, |nic| {
            nic.vlan = Some(7.try_into().unwrap());
            nic.bridge = Some(p("vmbr9"));
            nic.options.insert("link_down".to_owned(), "1".to_owned());
        });
    });
    assert_eq!(
        moved,
        [
            "net0.bridge: vmbr9 instead of vmbr0",
            "net0.vlan: 7 instead of untagged",
            "net0.options: link_down=1 instead of none",
        ]
    );
    let unfiltered = hidden(|machine| at(machine, |nic| nic.filtering = Filtering::Off));
    assert_eq!(unfiltered, ["net0.filtering: off instead of on"]);
    let second = hidden(|machine| {
        let mut nic = machine.config.nics[&slot].clone();
        nic.mac = p("02:00:5E:10:00:01");
        machine.config.nics.insert(1.try_into().unwrap(), nic);
    });
    assert_eq!(second, ["net1: virtio 02:00:5E:10:00:01 on vmbr0 instead of no NIC"]);
}

#[test]
fn the_firewall_is_compared_set_by_set_and_option_by_option() {
    let slot = NicSlot::in_order().next().unwrap();
    let widened = hidden(|machine| {
        machine.firewall.filters.get_mut(&slot).unwrap().insert("198.51.100.9/32".parse().unwrap());
    });
    assert_eq!(widened.len(), 1);
    assert!(
        widened[0].starts_with("firewall.net0: ") && widened[0].contains("198.51.100.9/32"),
        "{widened:?}"
    );
    let gone = hidden(|machine| machine.firewall.filters.clear());
    assert!(gone[0].starts_with("firewall.net0: no set instead of "), "{gone:?}");
    let off = hidden(|machine| {
        machine.firewall.options.enabled = Some(false);
        machine.firewall.options.policy_in = Some(PacketPolicy::Accept);
    });
    assert_eq!(off, ["firewall.enabled: off instead of on", "firewall.policy_in: ACCEPT instead of DROP",]);
    let rules =
        hidden(|machine| machine.firewall.rules.retain(|rule| rule.key() != Some(self::rule(22).key())));
    assert_eq!(rules, ["firewall.rules: missing instead of in ACCEPT tcp to port 22"]);
    let twice = hidden(|machine| {
        machine.firewall.rules.insert(0, ModelRule::Foreign("theirs".to_owned()));
        machine.firewall.rules.insert(0, ModelRule::Ours(self::rule(443)));
    });
    assert_eq!(twice, ["firewall.rules: the one at position 0 stands twice instead of each rule once"]);
}

#[test]
fn what_cloud_init_is_told_is_compared_and_no_password_is_shown() {
    let changed = hidden(|machine| {
        machine.config.cloud_init.user = Some(p("root"));
        machine.config.cloud_init.upgrade = None;
    });
    assert_eq!(changed, ["cloud_init.user: root instead of admin", "cloud_init.upgrade: on instead of off"]);
    let unset = hidden(|machine| machine.password = None);
    assert_eq!(unset, ["cloud_init.password: not set instead of set"]);
    let address = hidden(|machine| {
        machine.config.cloud_init.networks.clear();
    });
    assert!(address[0].starts_with("cloud_init.net0: nothing instead of "), "{address:?}");
}

#[test]
fn mark_and_autostart_are_compared() {
    let edited = hidden(|machine| machine.config.description = "please call Ann".to_owned());
    let mark = order(spec()).mark();
    assert_eq!(edited, [format!("mark: none instead of {mark}")]);
    let off = hidden(|machine| machine.config.autostart = Autostart::Off);
    assert_eq!(off, ["autostart: off instead of on"]);
}

#[test]
fn what_was_not_looked_at_differs_in_nothing() {
    let bench = ready();
    let record = bench.record();
    let Inspection::Seen(seen) = now_or(bench.world.inspect(&record.machine_id()), 9).unwrap() else {
        panic!("it is there");
    };
    let blind = Machine { look: Look::CONFIG, power: None, firewall: None, agent: None, ..seen.machine };
    assert_eq!(drift(&record, &blind), []);
    let survey = now_or(bench.world.survey(&record.spec.cluster), 9).unwrap().unwrap();
    let listed = survey.guests[&record.numbered.vmid].clone();
    let fresh = Surveyed { name: None, power: None, uptime: None, cpus: None, memory: None, ..listed };
    assert_eq!(drift_listed(&record, &fresh), []);
}

#[test]
fn what_was_tried_before_changes_nothing_about_what_differs() {
    let bench = ready();
    bench.world.with(|cluster| {
        let machine = cluster.machines.get_mut(&vmid(NUMBER)).unwrap();
        machine.config.disks.get_mut(&p("scsi1")).unwrap().size = Some(Bytes(1 << 30));
    });
    let record = bench.record();
    let Inspection::Seen(seen) = now_or(bench.world.inspect(&record.machine_id()), 9).unwrap() else {
        panic!("it is there");
    };
    let failed = VmRecord { failures: 1, ..record.clone() };
    assert_eq!(drift(&failed, &seen.machine), drift(&record, &seen.machine));
    assert_eq!(drift(&failed, &seen.machine).len(), 1);
}

#[test]
fn nothing_differs_of_a_machine_that_is_taken_away() {
    let bench = ready();
    let record = VmRecord { operation: Operation::Terminate, step: Step::Stopping, ..bench.record() };
    bench.world.with(|cluster| cluster.machines.get_mut(&vmid(NUMBER)).unwrap().config.tags.clear());
    let Inspection::Seen(seen) = now_or(bench.world.inspect(&record.machine_id()), 9).unwrap() else {
        panic!("it is there");
    };
    assert_eq!(drift(&record, &seen.machine), []);
}

#[test]
fn a_suspended_machine_that_is_off_is_as_it_shall_be() {
    let bench = ready();
    let record = VmRecord { step: Step::Suspended, ..bench.record() };
    bench.world.with(|cluster| {
        let machine = cluster.machines.get_mut(&vmid(NUMBER)).unwrap();
        (machine.power, machine.config.autostart) = (Power::Stopped, Autostart::Off);
    });
    let Inspection::Seen(seen) = now_or(bench.world.inspect(&record.machine_id()), 9).unwrap() else {
        panic!("it is there");
    };
    assert_eq!(drift(&record, &seen.machine), []);
    let survey = now_or(bench.world.survey(&record.spec.cluster), 9).unwrap().unwrap();
    assert_eq!(drift_listed(&record, &survey.guests[&record.numbered.vmid]), []);
}
