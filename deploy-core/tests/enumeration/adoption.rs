//! A machine that exists is adopted, and what must hold after every schedule of that.

use crate::{
    scenario::{Meanwhile, Scenario, Start, Trouble, stranger, template},
    stage::{Stage, now},
    verdict::Wrong,
};
use deploy_core::*;
use deploy_testkit::{sample, world::ModelMachine};
use std::collections::BTreeMap;
use std::net::IpAddr;

const NUMBER: u32 = 150;
const NOTES: &str = "the mail server of a customer\nsince 2019";
const ADDRESS: &str = "192.0.2.15";

/// The order, as what the machine was sold.
pub(crate) fn order(scenario: &Scenario) -> NewRecord {
    let machine = Adopted {
        vmid: sample::vmid(NUMBER),
        smbios: SmbiosUuid(uuid::Uuid::from_u128(7)),
        node: sample::parsed("node1"),
        addresses: vec![(0.try_into().unwrap(), sample::parsed(ADDRESS))],
    };
    NewRecord { adopts: Some(machine), ..sample::order_of(1, scenario.spec.clone()) }
}

/// The machine as somebody made it: not as ordered in much, on another node than was said, and with a mark of its own in nothing.
pub(crate) fn adoptee() -> ModelMachine {
    let mut machine = ModelMachine::template(sample::parsed("node2"));
    machine.template = false;
    machine.power = Power::Running;
    NOTES.clone_into(&mut machine.config.description);
    machine.config.smbios = Some(SmbiosUuid(uuid::Uuid::from_u128(7)));
    machine.config.cores = Some(sample::count(1));
    let nic = Nic {
        model: "e1000".to_owned(),
        mac: sample::parsed("BC:24:11:00:00:07"),
        bridge: Some(sample::parsed("vmbr0")),
        vlan: None,
        rate: Limit::Unlimited,
        filtering: Filtering::Off,
        options: BTreeMap::new(),
    };
    machine.config.nics.insert(0.try_into().unwrap(), nic);
    let system = machine.config.disks.values_mut().next().unwrap();
    "local:vm-150-disk-0".clone_into(&mut system.volume);
    let additional =
        Disk { volume: "local:vm-150-disk-1".to_owned(), size: Some(Bytes(5 << 30)), ..system.clone() };
    machine.config.disks.insert(sample::parsed("scsi3"), additional);
    machine
}

/// Another one that looks the same.
fn double() -> ModelMachine {
    let mut machine = adoptee();
    machine.config.smbios = Some(SmbiosUuid(uuid::Uuid::from_u128(8)));
    machine
}

impl Scenario {
    pub(crate) fn adopt() -> Self {
        let disk = AdditionalDisk {
            storage: sample::parsed("local"),
            size: sample::count(6),
            limits: DiskLimits::default(),
        };
        let small = Self::small();
        let pve_pool = Some(sample::parsed("customers/gold"));
        let spec = VmSpec { pve_pool, additional_disks: vec![disk], ..small.spec.clone() };
        Self { name: "adopt", spec, start: Start::Adoption, ..small }
    }

    pub(crate) fn adopt_taken_back() -> Self {
        Self { name: "adopt, taken back", meanwhile: Meanwhile::TakenBack, ..Self::adopt() }
    }

    pub(crate) fn adopt_replaced() -> Self {
        Self { name: "adopt, replaced", meanwhile: Meanwhile::Replaced, ..Self::adopt() }
    }

    /// The mark is the first change, and late.
    pub(crate) fn adopt_late() -> Self {
        let adopt = Self::adopt();
        let spec = VmSpec { pve_pool: None, ..adopt.spec.clone() };
        Self { name: "adopt, mark late", trouble: Trouble::CloneLate, spec, ..adopt }
    }

    pub(crate) fn all_adoptions() -> Vec<Self> {
        vec![
            Self::adopt(),
            Self { name: "adopt, half done", trouble: Trouble::HalfDone, ..Self::adopt() },
            Self { name: "adopt, looks fail", trouble: Trouble::LooksFail, ..Self::adopt() },
            Self { name: "adopt, vanished", meanwhile: Meanwhile::Vanished, ..Self::adopt() },
            Self { name: "adopt, suspended", meanwhile: Meanwhile::Suspended, ..Self::adopt() },
            Self::adopt_taken_back(),
            Self::adopt_replaced(),
            Self::adopt_late(),
            Self {
                name: "adopt, mark late, taken back",
                meanwhile: Meanwhile::TakenBack,
                ..Self::adopt_late()
            },
            Self { name: "adopt, mark late, replaced", meanwhile: Meanwhile::Replaced, ..Self::adopt_late() },
        ]
    }

    /// Whose machine it is that somebody put in ours' place.
    pub(crate) fn replacement(&self) -> ModelMachine {
        if self.start == Start::Adoption { double() } else { stranger() }
    }
}

/// The steps of an operation that were said to be done, in their order.
fn done(stage: &Stage<'_>, operation: Operation) -> Vec<Step> {
    let log = now(stage.ledger.store.log(sample::key(1), LogId(0), 10_000)).unwrap();
    let of = |entry: &&LogEntry| {
        entry.line.operation == operation && matches!(entry.line.event, LogEvent::Done { .. })
    };
    log.iter().filter(of).flat_map(|entry| (0..entry.times).map(|_| entry.line.step)).collect()
}

fn before_rest(operation: Operation) -> &'static [Step] {
    operation.steps().split_last().unwrap().1
}

/// Adopted, and then ours in everything; or let go of, and then untouched but for what was sent before.
pub(crate) fn judge(stage: &Stage<'_>, wrong: &mut Wrong) {
    let record = stage.record();
    let adoption = done(stage, Operation::Adopt);
    let steps = before_rest(Operation::Adopt);
    let finished = adoption.len() == steps.len();
    wrong.unless_equal("steps of the adoption", &&adoption[..], &&steps[..adoption.len().min(steps.len())]);
    let ended = stage.scenario.terminates();
    let termination: &[Step] = match (ended, finished) {
        (false, _) => &[],
        (true, true) => before_rest(Operation::Terminate),
        (true, false) => &[Step::ReleasingIp],
    };
    wrong.unless_equal("steps of the termination", &&done(stage, Operation::Terminate)[..], &termination);
    let gone = matches!(stage.scenario.meanwhile, Meanwhile::Replaced | Meanwhile::Vanished);
    let rest = match stage.scenario.meanwhile {
        _ if ended => Step::Terminated,
        Meanwhile::Suspended => Step::Suspended,
        _ if finished => Step::Ready,
        _ => steps[adoption.len()],
    };
    wrong.unless_equal("step", &record.step, &rest);
    wrong.unless_equal("finished", &record.life.adopts.is_none(), &finished);
    wrong.unless_equal("attention", &record.attention.is_some(), &(gone && !ended));
    notices(stage, ended && finished, wrong);
    let held: Vec<IpAddr> =
        now(stage.ledger.store.held(sample::key(1))).unwrap().iter().map(|held| held.address).collect();
    // Taken, and not noted yet.
    let on_the_way = rest == Step::AdoptingIp && !held.is_empty();
    let has = !ended && (on_the_way || adoption.contains(&Step::AdoptingIp));
    let expected: Vec<IpAddr> = if has { vec![sample::parsed(ADDRESS)] } else { Vec::new() };
    wrong.unless_equal("held addresses", &held, &expected);
    machines(stage, &record, finished, wrong);
}

fn notices(stage: &Stage<'_>, ended: bool, wrong: &mut Wrong) {
    let queued = now(stage.ledger.store.notices(sample::worker(9).id, 1000)).unwrap();
    let count = |kind| queued.iter().filter(|queued| queued.notice.kind() == kind).count();
    wrong.unless_equal("notices that it is ready", &count(NoticeKind::Ready), &0);
    wrong.unless_equal("notices of its end", &count(NoticeKind::Terminated), &usize::from(ended));
}

fn machines(stage: &Stage<'_>, record: &VmRecord, finished: bool, wrong: &mut Wrong) {
    let number = sample::vmid(NUMBER);
    let cluster = stage.world.with(|cluster| cluster.machines.clone());
    let there = cluster.get(&number);
    for (vmid, other) in [(record.spec.template.vmid, template()), (sample::vmid(500), stranger())] {
        wrong.unless_equal("others", &cluster.get(&vmid), &Some(&other));
    }
    let counters = stage.world.with(|cluster| (cluster.counters.misdirected, cluster.counters.unguarded));
    wrong.unless_equal("changes of strangers' machines, and without a revision", &counters, &(0, 0));
    if stage.replaced.get().is_some() {
        wrong.unless_equal("stranger", &there, &Some(&double()));
        return;
    }
    if stage.scenario.meanwhile == Meanwhile::Vanished && there.is_none() {
        return;
    }
    if stage.scenario.terminates() && finished {
        wrong.unless_equal("machine", &there, &None);
        return;
    }
    let Some(there) = there else {
        wrong.0.push("machine: it is gone, and it was not ours".to_owned());
        return;
    };
    let marked = record.mark().put_into(NOTES);
    let (mark, pool) = (there.config.description == marked, there.pool == record.spec.pve_pool);
    if finished {
        wrong.unless_equal("mark and pool", &(mark, pool), &(true, true));
    }
    let mut expected = adoptee();
    expected.revision = there.revision;
    if !finished {
        // Of a mark that was cut off.
        expected.pending.clone_from(&there.pending);
    }
    if mark {
        expected.config.description = marked;
    }
    if pool {
        expected.pool.clone_from(&record.spec.pve_pool);
    }
    if stage.scenario.meanwhile == Meanwhile::Suspended {
        expected.power = Power::Stopped;
    }
    wrong.unless_equal("machine", there, &expected);
    if finished {
        let macs: Vec<MacAddr> = there.config.nics.values().map(|nic| nic.mac).collect();
        let as_it_is = (macs, vec![sample::parsed::<DiskSlot>("scsi3")], false);
        let noted = (record.macs.clone(), record.slots.clone(), record.life.stopped);
        wrong.unless_equal("what it has, as noted", &noted, &as_it_is);
    }
}
