//! What is decided about a machine, step by step.

mod adopt;
mod backups;
mod cloud_init;
mod doubts;
mod exchange;
mod firewalls;
mod hardware;
mod identity;
mod power;

use crate::{
    machines::{
        OURS, at, change, decided, disk, impossible, is_done, leaving, networked, plain_machine, seen,
        seen_with_receipt, settings, settled, vanished, waits,
    },
    orders::{KEY, firewall, from_pools, gib, hash, nic, order, p, plain, rule, slot, template_nic},
};
use deploy_core::*;
use std::collections::{BTreeMap, BTreeSet};

fn additional(size: u64) -> AdditionalDisk {
    AdditionalDisk { storage: p("fast"), size: gib(size), limits: DiskLimits::default() }
}

/// What was carried out and is missing again is a failure, or it would be repeated without a pause.
#[test]
fn a_change_without_effect_is_a_failure() {
    let mut record = at(Step::SetSystemDiskSize, plain());
    let mut machine = plain_machine(&record);
    machine.config.disks.insert(p("scsi0"), disk("local:vm-disk-0", 10));
    let grow = change(seen(&record, &machine));
    record.progress = Progress::Applied { fingerprint: grow.fingerprint() };
    assert!(matches!(seen(&record, &machine), Decision::Ineffective(_)));
    record.progress = Progress::Applied { fingerprint: Change::Start.fingerprint() };
    assert_eq!(change(seen(&record, &machine)), grow);
}
