//! What may be adopted, and what is told of what may not.

use super::*;
use deploy_testkit::{ManualClock, MemoryStore, SeededEntropy};
use std::sync::Arc;

/// The plain machine, with an additional disk and a NIC, and without our mark.
fn adoptee() -> Machine {
    let mut machine = plain_machine(&order(plain()));
    "ask ann\n".clone_into(&mut machine.config.description);
    machine.config.nics.insert(slot(0), template_nic(0));
    let additional = Disk { storage: p("fast"), ..disk("fast:vm-disk-1", 5) };
    machine.config.disks.insert(p("virtio1"), additional);
    machine
}

fn spec() -> VmSpec {
    VmSpec {
        nics: vec![nic(from_pools(1, 1))],
        additional_disks: vec![additional(6)],
        pve_pool: Some(p("customers")),
        ..plain()
    }
}

fn adopted() -> Adopted {
    Adopted {
        vmid: order(plain()).numbered.vmid,
        smbios: OURS,
        node: p("n1"),
        addresses: vec![
            (slot(0), "198.51.100.60".parse().unwrap()),
            (slot(0), "2001:db8::60".parse().unwrap()),
        ],
    }
}

/// A record at a step of its adoption.
fn adopting(step: Step) -> VmRecord {
    let mut record = order(spec());
    (record.operation, record.step, record.smbios) = (Operation::Adopt, step, Some(OURS));
    record.life.adopts = Some(adopted());
    record
}

/// And noted what the machine has.
fn noted(step: Step) -> VmRecord {
    let mut record = adopting(Step::Adopting);
    let Decision::Note(note) = seen(&record, &adoptee()) else { panic!("nothing to note") };
    let report = Report { outcome: Outcome::Noted(note), seen_on: None };
    settle(&record, report, jiff::Timestamp::UNIX_EPOCH, &RetryPolicy::default()).apply(&mut record);
    record.step = step;
    record
}

#[test]
fn what_it_has_is_noted_and_then_it_fits() {
    let record = noted(Step::Adopting);
    assert_eq!(record.macs, [template_nic(0).mac]);
    assert_eq!(record.slots, [p("virtio1")]);
    assert!(record.life.stopped, "it does not run");
    assert!(is_done(&seen(&record, &adoptee())));
    let mut running = adoptee();
    running.power = Some(Power::Running);
    assert!(matches!(seen(&record, &running), Decision::Note(NoteDown::Adopted { stopped: false, .. })));
}

type Spoil = fn(&mut Machine);

/// Each of them alone, at both steps that look.
#[test]
fn what_does_not_fit_is_told_by_name() {
    let unfit: [(Spoil, &str); 13] = [
        (|machine| machine.config.template = true, "is a template"),
        (
            |machine| machine.config.description = OwnerMark(VmKey(uuid::Uuid::from_u128(5))).to_string(),
            "marked as another record's (pve-deploy: 00000000-0000-0000-0000-000000000005)",
        ),
        (|machine| machine.config.smbios = Some(SmbiosUuid(uuid::Uuid::from_u128(99))), "another machine"),
        (|machine| machine.pool = Some(Some(p("others"))), "pve_pool: customers is ordered"),
        (|machine| machine.config.nics.clear(), "nics: net0 are ordered, and the machine has none"),
        (
            |machine| {
                let nic = machine.config.nics.remove(&slot(0)).unwrap();
                machine.config.nics.insert(slot(1), nic);
            },
            "the machine has net1",
        ),
        (|machine| machine.config.boot.clear(), "boot order names no hard disk"),
        (|machine| machine.config.boot = vec![p("scsi9")], "boot order names no hard disk"),
        (
            |machine| {
                machine.config.disks.insert(p("sata2"), disk("local:x", 1));
            },
            "additional_disks: 1 are ordered, and beside its system disk scsi0 the machine has sata2, virtio1",
        ),
        (
            |machine| {
                machine.config.disks.remove(&p("virtio1"));
            },
            "the machine has none",
        ),
        (
            |machine| machine.config.disks.get_mut(&p("virtio1")).unwrap().storage = p("slow"),
            "additional_disks[0].storage: fast is ordered, and virtio1 is on slow",
        ),
        (
            |machine| machine.config.disks.get_mut(&p("virtio1")).unwrap().size = Some(Bytes(7 << 30)),
            "additional_disks[0].size: 6 GiB are ordered, and virtio1 has 7 GiB",
        ),
        (
            |machine| machine.config.disks.get_mut(&p("scsi0")).unwrap().size = Some(Bytes(99 << 30)),
            "system_disk.size",
        ),
    ];
    for (spoil, words) in unfit {
        let mut machine = adoptee();
        spoil(&mut machine);
        for record in [adopting(Step::Adopting), noted(Step::Marking)] {
            let why = impossible(seen(&record, &machine));
            assert!(why.contains(words), "{words:?} in {why:?}");
        }
    }
}

#[test]
fn one_that_is_not_there_is_told_and_not_deployed_anew() {
    for step in [Step::Adopting, Step::Marking] {
        let mut record = noted(step);
        record.spec.when_vanished = WhenVanished::Redeploy;
        assert!(impossible(decided(&record, Sighting::ProvenAbsent)).contains("there is no machine 1001"));
    }
}

/// Nobody is told to destroy it.
#[test]
fn one_that_shows_nothing_of_itself_is_waited_for() {
    let mut machine = adoptee();
    (machine.config.smbios, machine.lock) = (None, Some("create".to_owned()));
    let why = waits(seen(&adopting(Step::Adopting), &machine));
    assert!(why.contains("does not show its SMBIOS UUID") && !why.contains("destroy"), "{why}");
}

/// The pool first and the mark last, with nothing else in the same call; the rest of the notes stays.
#[test]
fn it_is_marked_last_and_nothing_else_is_set() {
    let mut record = noted(Step::Marking);
    let mut machine = adoptee();
    assert_eq!(change(seen(&record, &machine)), Change::JoinPool(p("customers")));
    machine.pool = Some(Some(p("customers")));
    let mark = Configure { description: Some(format!("{}\nask ann", record.mark())), ..Configure::default() };
    assert_eq!(settings(seen(&record, &machine)), mark);
    machine.pool = Some(None);
    record.remembered.insert(Remembered::PoolJoined);
    assert_eq!(settings(seen(&record, &machine)), mark, "nobody may see its pool");
    machine.config.description = mark.description.clone().unwrap();
    assert!(is_done(&seen(&record, &machine)));
    // One that was cut off is shown, and only waits.
    machine.pending = Some(["description".to_owned()].into());
    assert!(is_done(&seen(&record, &machine)), "nothing of ours was lost");
    record.remembered.insert(Remembered::SettingsInDoubt);
    assert_eq!(settings(seen(&record, &machine)), mark);
}

#[test]
fn exactly_its_addresses_are_taken() {
    let record = noted(Step::AdoptingIp);
    let Decision::TakeAddresses(requests) = decide(&record, &Observation::default(), &RetryPolicy::default())
    else {
        panic!("no addresses are taken")
    };
    let exactly: Vec<_> = requests.iter().flat_map(|request| request.exactly.clone()).collect();
    assert_eq!(exactly, adopted().addresses.iter().map(|(_, address)| *address).collect::<Vec<_>>());
}

/// Whatever it would differ in: the order is not in force yet.
#[test]
fn nothing_differs_before_it_is_adopted() {
    let mut record = noted(Step::Marking);
    assert_eq!(drift(&record, &adoptee()), []);
    (record.life.adopts, record.step) = (None, Step::Ready);
    assert!(drift(&record, &adoptee()).iter().any(|drift| drift.field == "net0.model"));
}

#[test]
fn its_addresses_must_be_those_that_the_order_draws() {
    let clock = Arc::new(ManualClock::default());
    let store = Arc::new(MemoryStore::new(clock.clone()));
    let deployments = Deployments::new(store, clock, Arc::new(SeededEntropy::new(1)));
    let prepared = |addresses: &[(u8, &str)]| {
        let addresses =
            addresses.iter().map(|(nic, address)| (slot(*nic), address.parse().unwrap())).collect();
        let machine = Adopted { addresses, ..adopted() };
        let adoption =
            Adoption { reference: p("old-1"), spec: spec(), machine, metadata: serde_json::Value::Null };
        deployments.prepare_adoption(adoption)
    };
    let right = [(0, "198.51.100.60"), (0, "2001:db8::60")];
    let order = prepared(&right).unwrap();
    assert_eq!(order.adopts, Some(adopted()));
    let wrong: [(&[(u8, &str)], &str); 5] = [
        (&right[..1], "as many IPv6 addresses for net0 as the order draws (1)"),
        (
            &[right[0], right[1], (0, "198.51.100.61")],
            "as many IPv4 addresses for net0 as the order draws (1)",
        ),
        (&[right[0], right[1], (1, "198.51.100.61")], "a NIC of the order, which has 1"),
        (&[right[0], right[0], right[1]], "each address once"),
        (&[(0, "::ffff:198.51.100.60"), right[1]], "IPv4 as IPv4"),
    ];
    for (addresses, words) in wrong {
        let invalid = prepared(addresses).unwrap_err();
        assert_eq!(invalid.field, "addresses");
        assert!(invalid.expected.contains(words), "{words:?} in {invalid}");
    }
}
