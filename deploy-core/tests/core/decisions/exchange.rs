//! The system disk is exchanged: which one that is, and when it is done.

use super::*;

const OLD: &str = "local:vm-disk-0";
const IMAGE: &str = "local:base-disk-0";

/// A machine with an ordered disk at `scsi1`, and its record at this step of the exchange.
fn exchanging(step: Step) -> (VmRecord, Machine) {
    let spec = VmSpec { additional_disks: vec![additional(5)], ..plain() };
    let mut record = VmRecord { operation: Operation::ReinstallKeeping, ..at(step, spec) };
    let wanted = Wanted { spec: record.spec.clone(), macs: record.macs.clone(), retiring: Vec::new() };
    if step == Step::Reinstall {
        record.life.wanted = Some(Box::new(wanted));
    } else {
        record.life.replacing =
            Some(Replacing { slot: p("scsi0"), image: IMAGE.to_owned(), old: Some(OLD.to_owned()) });
    }
    let mut machine = plain_machine(&record);
    machine.config.disks.insert(p("scsi1"), disk("fast:vm-disk-1", 5));
    machine.snapshots = Some(Vec::new());
    (record, machine)
}

fn judged(record: &VmRecord, machine: &Machine) -> Decision {
    let mut template = machine.clone();
    template.config = MachineConfig {
        template: true,
        boot: vec![p("scsi0")],
        disks: BTreeMap::from([(p("scsi0"), disk(IMAGE, 10))]),
        ..MachineConfig::default()
    };
    template.node = record.spec.template.node.clone();
    let observation = Observation {
        machine: Some(Sighting::Seen(Box::new(machine.clone()))),
        template: Some(Sighting::Seen(Box::new(template))),
        ..Observation::default()
    };
    decide(record, &observation, &RetryPolicy::default())
}

fn snapshot() -> Snapshot {
    Snapshot {
        name: p("before"),
        description: String::new(),
        taken_at: None,
        parent: None,
        memory: false,
        incomplete: None,
    }
}

/// With the slot, which stays the one that was judged.
#[test]
fn the_slot_is_fixed_before_anything_is_stopped() {
    let (record, mut machine) = exchanging(Step::Reinstall);
    // What is left of a CD-ROM drive comes after the disk.
    machine.config.boot = vec![p("scsi0"), p("ide2")];
    let replacing = Some(Replacing { slot: p("scsi0"), image: IMAGE.to_owned(), old: None });
    let note = NoteDown::Package { slots: record.slots.clone(), replacing };
    assert_eq!(judged(&record, &machine), Decision::Note(note));
}

/// A disk that the order does not know may be a customer's; and what the old system was told must not be told to the new one.
#[test]
fn which_disk_is_the_system_disk_must_not_be_in_doubt() {
    let (record, plain) = exchanging(Step::Reinstall);
    let doubtful = |change: &dyn Fn(&mut MachineConfig)| {
        let mut machine = plain.clone();
        change(&mut machine.config);
        machine
    };
    let rescue = |config: &mut MachineConfig| {
        config.disks.insert(p("scsi5"), disk("fast:vm-disk-5", 5));
    };
    let cases = [
        (doubtful(&rescue), "a disk scsi5 that was not ordered"),
        (
            doubtful(&|config| {
                rescue(config);
                config.boot = vec![p("scsi5"), p("scsi0")];
            }),
            "a disk scsi0 that was not ordered, beside scsi5",
        ),
        (
            doubtful(&|config| {
                rescue(config);
                config.disks.remove(&p::<DiskSlot>("scsi0"));
                config.boot = vec![p("scsi0"), p("scsi5")];
            }),
            "names scsi0 first, which holds nothing",
        ),
        (doubtful(&|config| config.boot = vec![p("scsi1"), p("scsi0")]), "scsi1, an additional one"),
        (doubtful(&|config| config.boot = vec![p("ide2")]), "no hard disk"),
        // Of the old system, and the new one would be told them.
        (
            doubtful(&|config| config.cloud_init.has_password = true),
            "cloud_init.password: the machine has one",
        ),
        (doubtful(&|config| config.cloud_init.user = Some(p("ann"))), "cloud_init.user: the machine has one"),
    ];
    for (machine, why) in cases {
        let Decision::Refuse(said) = judged(&record, &machine) else { panic!("{why}") };
        assert!(said.contains(why) && said.ends_with("nothing was changed"), "{said}");
    }
}

/// It was judged before the stop, and somebody may have changed it meanwhile.
#[test]
fn another_disk_than_the_one_that_was_judged_is_never_replaced() {
    let (record, mut machine) = exchanging(Step::ReplacingSystemDisk);
    let Change::Import { slot, image, replaced } = change(seen(&record, &machine)) else { panic!() };
    assert_eq!((slot, image.as_str(), replaced.volume.as_str()), (p("scsi0"), IMAGE, OLD));
    machine.config.disks.insert(p("scsi5"), disk("fast:vm-disk-5", 5));
    machine.config.boot = vec![p("scsi5")];
    assert!(impossible(seen(&record, &machine)).contains("boots from another disk than scsi0"));
}

#[test]
fn nothing_is_replaced_that_a_snapshot_holds() {
    let (record, mut machine) = exchanging(Step::ReplacingSystemDisk);
    machine.snapshots = Some(vec![snapshot()]);
    assert!(impossible(seen(&record, &machine)).contains("snapshots (before)"));
}

/// Somebody who moves the disk to another storage has not reinstalled the machine.
#[test]
fn another_volume_in_the_slot_is_not_the_copy() {
    let (record, mut machine) = exchanging(Step::ReplacingSystemDisk);
    machine.config.disks.insert(p("scsi0"), disk("fast:vm-disk-0", 20));
    let moved = Decision::Note(NoteDown::Replaces("fast:vm-disk-0".to_owned()));
    assert_eq!(seen(&record, &machine), moved);
    machine.config.unused.insert(UnusedSlot(0), OLD.to_owned());
    assert!(is_done(&seen(&record, &machine)), "the old one is unplugged");
}

/// Exactly the volume that was replaced.
#[test]
fn only_the_disk_that_was_replaced_is_freed() {
    let (record, mut machine) = exchanging(Step::FreeingOldDisk);
    machine.config.disks.insert(p("scsi0"), disk("local:vm-disk-7", 20));
    machine.config.unused.insert(UnusedSlot(0), "fast:vm-disk-3".to_owned());
    machine.config.unused.insert(UnusedSlot(2), OLD.to_owned());
    let freed = settings(seen(&record, &machine));
    assert_eq!(freed, Configure { remove_unused: [UnusedSlot(2)].into(), ..Configure::default() });
    machine.config.unused.remove(&UnusedSlot(2));
    assert!(is_done(&seen(&record, &machine)));
}
