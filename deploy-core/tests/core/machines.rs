//! Machines by hand.

use crate::{
    ledger::address,
    orders::{NUMBER, from_pools, nic, order, p, plain, slot, vmid},
};
use deploy_core::*;
use std::collections::BTreeMap;

pub(crate) const OURS: SmbiosUuid = SmbiosUuid(uuid::Uuid::from_u128(0xc10e));

/// A record at a step of its creation, its machine cloned and its addresses taken.
pub(crate) fn at(step: Step, spec: VmSpec) -> VmRecord {
    let mut record = order(spec);
    record.step = step;
    record.smbios = Some(OURS);
    record.slots = DiskSlot::for_additional_disks().take(record.spec.additional_disks.len()).collect();
    for (slot, nic) in NicSlot::in_order().zip(&record.spec.nics) {
        if let Addressing::Pools(FromPools { v4, v6 }) = &nic.addressing {
            let drawn = [(Family::V4, v4), (Family::V6, v6)];
            let drawn = drawn.into_iter().filter_map(|(family, draw)| Some((family, draw.as_ref()?.count)));
            let held = drawn.flat_map(|(family, count)| (0..count).map(move |n| address(slot, family, n)));
            record.addresses.extend(held);
        }
    }
    record
}

/// A record at a step of its termination.
pub(crate) fn leaving(step: Step) -> VmRecord {
    VmRecord { operation: Operation::Terminate, ..at(step, plain()) }
}

/// The machine of a plain order, as ordered, stopped, and shown from all sides.
pub(crate) fn plain_machine(record: &VmRecord) -> Machine {
    let scsi0: DiskSlot = p("scsi0");
    let config = MachineConfig {
        revision: Some(p("r1")),
        smbios: Some(OURS),
        description: record.mark().to_string(),
        name: Some(record.numbered.pve_name.clone()),
        sockets: Some(record.spec.sockets),
        cores: Some(record.spec.cores),
        memory: Some(record.spec.memory),
        boot: vec![scsi0],
        disks: BTreeMap::from([(scsi0, disk("local:vm-disk-0", 20))]),
        ..MachineConfig::default()
    };
    Machine {
        node: p("n1"),
        look: [Look::POWER, Look::PENDING, Look::FIREWALL, Look::AGENT, Look::BACKUPS, Look::POOL]
            .into_iter()
            .chain([Look::HA, Look::SNAPSHOTS])
            .fold(Look::CONFIG, Look::and),
        lock: None,
        config,
        power: Some(Power::Stopped),
        pending: Some([].into()),
        firewall: Some(MachineFirewall { rules_revision: Some(p("f1")), ..MachineFirewall::default() }),
        agent: Some(Agent::Silent),
        backups: Some(Backups::default()),
        ha: Some(HaState::Unmanaged),
        snapshots: Some(vec![]),
        pool: Some(None),
    }
}

pub(crate) fn disk(volume: &str, size: u64) -> Disk {
    Disk {
        volume: volume.to_owned(),
        storage: p("local"),
        size: Some(Bytes(size << 30)),
        limits: DiskLimits::default(),
        options: BTreeMap::new(),
    }
}

/// One NIC with addresses of both families.
pub(crate) fn networked() -> VmSpec {
    VmSpec { nics: vec![nic(from_pools(2, 1))], ..plain() }
}

/// What is decided where the machine is seen.
pub(crate) fn seen(record: &VmRecord, machine: &Machine) -> Decision {
    decided(record, Sighting::Seen(Box::new(machine.clone())))
}

/// What is decided on this sighting, which must be the same each time it is asked.
pub(crate) fn decided(record: &VmRecord, sighting: Sighting) -> Decision {
    let observation = Observation { machine: Some(sighting), ..Observation::default() };
    let decision = decide(record, &observation, &RetryPolicy::default());
    assert_eq!(decision, decide(record, &observation, &RetryPolicy::default()));
    decision
}

/// The record after this.
pub(crate) fn settled(record: &VmRecord, outcome: Outcome<'_>) -> VmRecord {
    let mut record = record.clone();
    let report = Report { outcome, seen_on: None };
    settle(&record, report, jiff::Timestamp::UNIX_EPOCH, &RetryPolicy::default()).apply(&mut record);
    record
}

/// What is decided once all that is known of its resources was written down.
pub(crate) fn seen_with_receipt(record: &VmRecord, machine: &Machine) -> Decision {
    match seen(record, machine) {
        Decision::Note(note @ NoteDown::Receipt(_)) => {
            seen_with_receipt(&settled(record, Outcome::Noted(note)), machine)
        }
        decision => decision,
    }
}

/// The change that is asked for.
pub(crate) fn change(decision: Decision) -> Change {
    match decision {
        Decision::Submit(_, change) => *change,
        other => panic!("no change is asked for: {other:?}"),
    }
}

/// The settings that are asked for.
pub(crate) fn settings(decision: Decision) -> Configure {
    match change(decision) {
        Change::Configure(configure) => *configure,
        other => panic!("no settings are asked for: {other:?}"),
    }
}

pub(crate) fn impossible(decision: Decision) -> String {
    match decision {
        Decision::Impossible(why) => why,
        other => panic!("it is possible: {other:?}"),
    }
}

pub(crate) fn vanished(decision: Decision) -> String {
    match decision {
        Decision::Vanished(what) => what,
        other => panic!("it has not vanished: {other:?}"),
    }
}

pub(crate) fn waits(decision: Decision) -> String {
    match decision {
        Decision::Wait(why) => why,
        other => panic!("it does not wait: {other:?}"),
    }
}

pub(crate) fn is_done(decision: &Decision) -> bool {
    matches!(decision, Decision::Done(_))
}

#[test]
fn the_plain_machine_is_as_ordered_at_every_step() {
    for step in Operation::Create.steps().iter().skip(2).take(11) {
        let record = at(*step, plain());
        let machine = plain_machine(&record);
        assert!(is_done(&seen(&record, &machine)), "{step}: {:?}", seen(&record, &machine));
    }
    assert_eq!(order(plain()).numbered.vmid, vmid(NUMBER));
    assert_eq!(slot(0), NicSlot::in_order().next().unwrap());
}
