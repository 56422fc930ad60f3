//! Whatever goes wrong, a machine that is adopted stays as it is; and one that is not adopted is not touched.

use crate::{
    bench::{Bench, Trouble, tried},
    comes_to_rest::{assert_harmless, told, troubles},
    commands::record_at,
    ledger::address,
    orders::{Case, cases, p, vmid},
};
use deploy_core::*;
use deploy_testkit::world::ModelMachine;
use proptest::{option, prelude::*};
use std::{collections::BTreeMap, net::IpAddr};

const NUMBER: u32 = 1500;
const UUID: SmbiosUuid = SmbiosUuid(uuid::Uuid::from_u128(0xad09));
const NOTES: &str = "of the old panel\n\n  do not touch";

proptest! {
    #![proptest_config(tried(300))]

    #[test]
    fn adopted_or_let_go_of_it_stays_as_it_is(
        case in cases(),
        trouble in troubles(),
        stopped in any::<bool>(),
        ends in option::of((1..60_u32, prop_oneof![Just(Command::LetGo), Just(Command::Terminate)])),
    ) {
        let bench = Bench::new(adoption(&case.spec), |cluster| {
            case.set_up(cluster);
            cluster.add(vmid(NUMBER), adoptee(&case.spec, stopped));
        });
        let commands = ends.into_iter().collect();
        let run = bench.run(Trouble { commands, ..trouble });
        assert_harmless(&bench, &run);
        assert_orderly(&bench, &case, stopped);
    }
}

fn addresses(spec: &VmSpec) -> Vec<(NicSlot, IpAddr)> {
    let mut addresses = Vec::new();
    for (slot, nic) in NicSlot::in_order().zip(&spec.nics) {
        let Addressing::Pools(FromPools { v4, v6 }) = &nic.addressing else { continue };
        for (family, draw) in [(Family::V4, v4), (Family::V6, v6)] {
            // Not those that would be given to anybody.
            let drawn = (0..draw.as_ref().map_or(0, |draw| draw.count)).rev();
            addresses.extend(drawn.map(|n| (slot, address(slot, family, 50 + n).address)));
        }
    }
    addresses
}

fn adoption(spec: &VmSpec) -> VmRecord {
    let order = NewRecord {
        key: VmKey(uuid::Uuid::from_u128(0xdead_beef)),
        external_ref: p("old-1"),
        macs: spec.nics.iter().map(|_| MacAddr::local([9; 6])).collect(),
        spec: spec.clone(),
        metadata: serde_json::Value::Null,
        created_at: jiff::Timestamp::UNIX_EPOCH,
        adopts: Some(Adopted { vmid: vmid(NUMBER), smbios: UUID, node: p("n1"), addresses: addresses(spec) }),
    };
    order.numbered(vmid(NUMBER)).unwrap()
}

/// As many NICs and disks as were ordered, and otherwise as somebody made it.
fn adoptee(spec: &VmSpec, stopped: bool) -> ModelMachine {
    let mut machine = ModelMachine::template(p("n2"));
    machine.template = false;
    machine.power = if stopped { Power::Stopped } else { Power::Running };
    machine.config.protected = true;
    NOTES.clone_into(&mut machine.config.description);
    machine.config.smbios = Some(UUID);
    for (slot, index) in NicSlot::in_order().zip(0..).take(spec.nics.len()) {
        let nic = Nic {
            model: "rtl8139".to_owned(),
            mac: MacAddr::local([7, 7, 7, 7, 7, index]),
            bridge: Some(p("vmbr9")),
            vlan: None,
            rate: Limit::Unlimited,
            filtering: Filtering::Off,
            options: BTreeMap::new(),
        };
        machine.config.nics.insert(slot, nic);
    }
    let system = machine.config.disks[&p("scsi0")].clone();
    "local:theirs-disk-0".clone_into(&mut machine.config.disks.get_mut(&p("scsi0")).unwrap().volume);
    for (n, ordered) in spec.additional_disks.iter().enumerate() {
        let disk = Disk {
            volume: format!("{}:theirs-disk-{}", ordered.storage, n + 1),
            storage: ordered.storage.clone(),
            size: Some(Bytes(ordered.size.bytes().0 - (1 << 20))),
            ..system.clone()
        };
        machine
            .config
            .disks
            .insert(DiskSlot::new(DiskBus::Sata, u8::try_from(n + 1).unwrap()).unwrap(), disk);
    }
    machine
}

fn assert_orderly(bench: &Bench, case: &Case, stopped: bool) {
    let record = bench.record();
    let log = bench.ledger.with(|state| state.log.clone());
    let is_done =
        |line: &&LogLine| line.operation == Operation::Adopt && matches!(line.event, LogEvent::Done { .. });
    let done: Vec<Step> = log.iter().filter(is_done).map(|line| line.step).collect();
    let steps = [Step::Adopting, Step::AdoptingIp, Step::Marking];
    assert_eq!(done, steps[..done.len()], "{}", told(bench));
    let (adopted, over) = (done.len() == steps.len(), record.step == Step::Terminated);
    assert!(adopted || over, "{}", told(bench));
    assert_eq!(record.life.adopts.is_none(), adopted);
    assert_eq!(record.attention, None, "{}", told(bench));
    let held: Vec<IpAddr> = bench.pool.held.lock().unwrap().iter().map(|held| held.address).collect();
    let all: Vec<IpAddr> = addresses(&case.spec).into_iter().map(|(_, address)| address).collect();
    assert_eq!(held, if over { Vec::new() } else { all });
    let ready = bench.ledger.with(|state| state.notices.contains(&Notice::Ready));
    assert!(!ready, "nobody is told that it is ready");

    let there = bench.world.with(|cluster| cluster.machines.get(&vmid(NUMBER)).cloned());
    if adopted && over {
        assert_eq!(there, None, "{}", told(bench));
        return;
    }
    let there = there.unwrap_or_else(|| panic!("it is gone, and was not ours: {}", told(bench)));
    let marked = record.mark().put_into(NOTES);
    let mut expected = ModelMachine { revision: there.revision, ..adoptee(&case.spec, stopped) };
    if !adopted {
        // Of a mark that was cut off.
        expected.pending.clone_from(&there.pending);
    }
    if adopted || there.config.description == marked {
        expected.config.description = marked;
    }
    if adopted || there.pool.is_some() {
        expected.pool.clone_from(&case.spec.pve_pool);
    }
    assert_eq!(there, expected, "{}", told(bench));
    if adopted {
        assert_eq!(record.step, Step::Ready);
        assert_eq!(record.life.stopped, stopped);
        assert!(record.macs.iter().eq(there.config.nics.values().map(|nic| &nic.mac)));
        assert!(record.slots.iter().eq(there.config.disks.keys().filter(|slot| **slot != p("scsi0"))));
        assert_eq!((&record.node, record.smbios), (&there.node, Some(UUID)));
        let assigned: Vec<IpAddr> = record.addresses.iter().map(|held| held.address).collect();
        assert_eq!(assigned, held);
        // Nothing of the adoption is left to be seen to.
        let left = [Remembered::SettingsInDoubt, Remembered::VolumesInDoubt];
        assert!(left.iter().all(|doubt| !record.remembered.contains(doubt)), "{:?}", record.remembered);
    }
}

/// An adoption that is over when it is to be given up, and a termination that comes before it: neither takes the machine away.
#[test]
fn what_is_meant_to_spare_a_machine_never_takes_it_away() {
    let id = CommandId(uuid::Uuid::from_u128(1));
    let machine = Adopted {
        vmid: crate::orders::vmid(150),
        smbios: crate::machines::OURS,
        node: p("n1"),
        addresses: Vec::new(),
    };
    let adopting = || {
        let mut record = record_at(Step::Marking, Operation::Adopt);
        record.life.adopts = Some(machine.clone());
        record
    };
    let admitted = |record: &VmRecord, command| admit(record, &command, id);
    assert_eq!(admitted(&adopting(), Command::LetGo), Ok(Admission::Queued(id)));
    assert!(matches!(admitted(&adopting(), Command::Terminate), Err(Denied::NotNow { .. })));
    let mut held = adopting();
    held.life.held = true;
    assert!(matches!(admitted(&held, Command::Terminate), Err(Denied::NotNow { .. })));
    let adopted = record_at(Step::Ready, Operation::Adopt);
    assert!(matches!(admitted(&adopted, Command::LetGo), Err(Denied::NotNow { .. })));

    for (record, command) in [(adopted, Command::LetGo), (adopting(), Command::Terminate)] {
        let queued = QueuedCommand { id, command: command.clone() };
        let report = Report { outcome: Outcome::Taken(Box::new(queued)), seen_on: None };
        let mut after = record.clone();
        settle(&record, report, jiff::Timestamp::UNIX_EPOCH, &RetryPolicy::default()).apply(&mut after);
        assert_eq!((after.operation, after.step), (record.operation, record.step), "{command}");
        let state = after.command_state(id);
        assert!(matches!(state, CommandState::Settled(CommandOutcome::Refused(_))), "{command}: {state:?}");
    }
    let queued = QueuedCommand { id, command: Command::LetGo };
    let (record, report) = (adopting(), Report { outcome: Outcome::Taken(Box::new(queued)), seen_on: None });
    let mut after = record.clone();
    settle(&record, report, jiff::Timestamp::UNIX_EPOCH, &RetryPolicy::default()).apply(&mut after);
    assert_eq!((after.operation, after.step), (Operation::Terminate, Step::ReleasingIp));
}
