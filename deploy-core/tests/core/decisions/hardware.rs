//! CPU, memory, disks and NICs.

use super::*;

#[test]
fn one_call_carries_the_settings_of_later_steps() {
    let spec = VmSpec {
        additional_disks: vec![additional(8)],
        cloud_init: Some(CloudInit { user: Some(p("ann")), ..CloudInit::default() }),
        ..networked()
    };
    let mut record = at(Step::SetCpuRam, spec);
    let mut machine = plain_machine(&record);
    machine.config.cores = None;
    let together = settings(seen(&record, &machine));
    assert!(together.cores.is_some() && together.nics.len() == 1 && together.disks.len() == 1);
    assert_eq!(together.cloud_init.user, Some(p("ann")));
    record.failures = 1;
    let cores = Configure { cores: Some(record.spec.cores), ..Configure::default() };
    assert_eq!(settings(seen(&record, &machine)), cores);
    // A step that is asked for alone takes no other along.
    record = VmRecord { failures: 0, operation: Operation::SingleStep, ..record };
    assert_eq!(settings(seen(&record, &machine)), cores);
    // A change of package tells cloud-init where it has seen whether the machine runs.
    record = VmRecord { operation: Operation::ChangePackage, step: Step::CpCpuRam, ..record };
    let together = settings(seen(&record, &machine));
    assert!(together.cores.is_some() && together.nics.len() == 1 && together.disks.len() == 1);
    assert_eq!(together.cloud_init, CloudInitGoal::default());
}

#[test]
fn a_disk_is_never_made_smaller() {
    let spec = VmSpec { system_disk: SystemDisk { size: gib(20), ..plain().system_disk }, ..plain() };
    let record = at(Step::SetSystemDiskSize, spec);
    let mut machine = plain_machine(&record);
    machine.config.disks.insert(p("scsi0"), disk("local:vm-disk-0", 32));
    let why = impossible(seen(&record, &machine));
    assert!(why.contains("has 32 GiB") && why.contains("20 GiB are ordered"), "{why}");
}

#[test]
fn a_disk_grows_to_its_size_and_rounding_up_is_no_matter() {
    let record = at(Step::SetSystemDiskSize, plain());
    let mut machine = plain_machine(&record);
    let mut sized = |bytes: Option<u64>| {
        let there = Disk { size: bytes.map(Bytes), ..disk("local:vm-disk-0", 0) };
        machine.config.disks.insert(p("scsi0"), there);
        seen(&record, &machine)
    };
    let grow = Change::Resize { slot: p("scsi0"), size: gib(20) };
    assert_eq!(change(sized(Some(10 << 30))), grow);
    assert_eq!(change(sized(Some((20 << 30) - 1))), grow);
    assert_eq!(change(sized(None)), grow, "a size that is not told");
    assert!(is_done(&sized(Some((20 << 30) + 4096))));
}

#[test]
fn the_system_disk_is_the_first_to_boot_from() {
    let record = at(Step::SetSystemDiskSize, plain());
    let mut machine = plain_machine(&record);
    machine.config.disks.insert(p("virtio3"), disk("local:boots", 10));
    machine.config.boot = vec![p("ide2"), p("virtio3"), p("scsi0")];
    assert_eq!(change(seen(&record, &machine)), Change::Resize { slot: p("virtio3"), size: gib(20) });
    machine.config.boot = vec![p("ide2")];
    assert!(impossible(seen(&record, &machine)).contains("boot order"));
}

#[test]
fn limits_replace_limits_and_leave_other_options() {
    let limits = DiskLimits { read: Limit::At(p("12.5")), ..DiskLimits::default() };
    let spec = VmSpec { system_disk: SystemDisk { size: gib(20), limits }, ..plain() };
    let record = at(Step::SetSystemDiskBandwidth, spec);
    let mut machine = plain_machine(&record);
    let there = machine.config.disks.get_mut(&p("scsi0")).unwrap();
    there.limits.write = Limit::At(p("3"));
    for (name, value) in [("discard", "on"), ("iothread", "1"), ("mbps_rd_max", "9"), ("iops", "7")] {
        there.options.insert(name.to_owned(), value.to_owned());
    }
    let wanted = settings(seen(&record, &machine)).disks.remove(&p("scsi0"));
    let Some(DiskGoal::Keep(kept)) = wanted else { panic!("{wanted:?}") };
    assert_eq!(kept.limits, limits);
    assert_eq!(kept.options.keys().collect::<Vec<_>>(), ["discard", "iothread"]);
    machine.config.disks.insert(p("scsi0"), kept);
    assert!(is_done(&seen(&record, &machine)));
}

#[test]
fn additional_disks_are_made_only_in_empty_slots() {
    let record = at(
        Step::SetCreatedAdditionalDisk,
        VmSpec { additional_disks: vec![additional(8), additional(9)], ..plain() },
    );
    let mut machine = plain_machine(&record);
    machine.config.disks.insert(p("scsi1"), disk("fast:vm-disk-1", 8));
    let disks = settings(seen(&record, &machine)).disks;
    assert_eq!(disks.keys().copied().collect::<Vec<_>>(), [p("scsi2")]);
    machine.config.drives.insert(p("scsi2"));
    assert!(impossible(seen(&record, &machine)).contains("scsi2"));
    let record = VmRecord { step: Step::SetAdditionalDiskSize, ..record };
    assert!(impossible(seen(&record, &machine)).contains("scsi2"), "it is gone");
}

#[test]
fn nics_of_the_template_go_and_unknown_options_stay() {
    let record = at(Step::SetNetwork, networked());
    let mut machine = plain_machine(&record);
    machine.config.nics = (0..3).map(|n| (slot(n), template_nic(n))).collect();
    let wanted = settings(seen(&record, &machine));
    assert_eq!(wanted.remove_nics, BTreeSet::from([slot(1), slot(2)]));
    let ours = &wanted.nics[&slot(0)];
    assert_eq!((ours.mac, ours.model.as_str()), (record.macs[0], "virtio"));
    assert_eq!(ours.options, BTreeMap::from([("queues".to_owned(), "0".to_owned())]));
    assert_eq!(ours.filtering, Filtering::On);
    machine.config.nics = wanted.nics;
    assert!(is_done(&seen(&record, &machine)));
}

#[test]
fn a_balloon_above_the_memory_is_lowered_with_it() {
    let record = at(Step::SetCpuRam, plain());
    let mut machine = plain_machine(&record);
    machine.config.balloon = Some(4096);
    assert_eq!(settings(seen(&record, &machine)).balloon, Some(record.spec.memory));
    for fine in [0, 512, record.spec.memory.get()] {
        machine.config.balloon = Some(fine);
        assert!(is_done(&seen(&record, &machine)), "{fine}");
    }
}
