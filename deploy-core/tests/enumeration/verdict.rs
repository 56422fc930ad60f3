//! What must hold after every schedule.

use crate::{
    scenario::{Meanwhile, Start, stranger, template},
    stage::{POOLS, Stage, now},
};
use deploy_core::*;
use deploy_testkit::{
    sample,
    world::{ModelMachine, ModelRule},
};
use jiff::SignedDuration;
use std::{collections::BTreeSet, fmt::Debug, net::IpAddr};

/// The machine without what differs from run to run: names of volumes, its identity, its revisions.
pub(crate) fn essence(stage: &Stage<'_>) -> Option<ModelMachine> {
    let vmid = stage.record().numbered.vmid;
    let mut machine = stage.world.with(|cluster| cluster.machines.get(&vmid).cloned())?;
    if machine == stranger() {
        return None;
    }
    machine.config.smbios = None;
    machine.revision = 0;
    machine.running_since = None;
    machine.snapshots.iter_mut().for_each(|snapshot| {
        snapshot.shown.taken_at = None;
        snapshot.config.smbios = None;
        snapshot.config.revision = None;
        snapshot.config.disks.values_mut().for_each(|disk| disk.volume.clear());
    });
    machine.backups.iter_mut().for_each(|backup| {
        backup.made_at = None;
        backup.volume.clear();
    });
    if stage.scenario.meanwhile == Meanwhile::Suspended {
        // Whether it was started before the suspension came.
        machine.starts = 0;
    }
    machine.config.unused.values_mut().for_each(String::clear);
    machine.firewall.revision = 0;
    machine.config.disks.values_mut().for_each(|disk| disk.volume.clear());
    machine.drive_volumes.values_mut().for_each(String::clear);
    Some(machine)
}

/// What came of a command, but for what differs from run to run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Told {
    step: Step,
    spec: VmSpec,
    addresses: BTreeSet<IpAddr>,
    suspended: bool,
    /// What became of the commands, the steps that were done, in their order, and the notices; where nobody interfered.
    outcomes: Vec<CommandOutcome>,
    done: Vec<(Operation, Step)>,
    notices: Vec<NoticeKind>,
}

pub(crate) fn told(stage: &Stage<'_>) -> Told {
    let record = stage.record();
    let alone = stage.scenario.meanwhile == Meanwhile::Nothing;
    let log = now(stage.ledger.store.log(sample::key(1), LogId(0), 10_000)).unwrap();
    let done = log.iter().filter(|entry| matches!(entry.line.event, LogEvent::Done { .. }));
    let done = done.flat_map(|entry| (0..entry.times).map(|_| (entry.line.operation, entry.line.step)));
    let queued = now(stage.ledger.store.notices(sample::worker(9).id, 1000)).unwrap();
    Told {
        step: record.step,
        spec: record.spec,
        addresses: record.addresses.iter().map(|held| held.address).collect(),
        suspended: record.life.suspended.is_some(),
        outcomes: record.life.settled.into_iter().map(|settled| settled.outcome).filter(|_| alone).collect(),
        done: done.filter(|_| alone).collect(),
        notices: queued.iter().map(|queued| queued.notice.kind()).filter(|_| alone).collect(),
    }
}

/// Everything that is wrong. While one worker came after another and none beside another, each knew what there was.
pub(crate) fn judge(
    stage: &Stage<'_>,
    expected: Option<&ModelMachine>,
    expected_told: Option<&Told>,
    in_turn: bool,
) -> Vec<String> {
    // Whatever is still under way arrives.
    stage.clock.advance(SignedDuration::from_mins(10));
    let mut wrong = Wrong(stage.ledger.violations.lock().unwrap().clone());
    if stage.scenario.start == Start::Adoption {
        crate::adoption::judge(stage, &mut wrong);
        if stage.scenario.terminates() {
            resting_number(stage, &stage.record(), &mut wrong);
        }
        return wrong.0;
    }
    let rest = if stage.scenario.terminates() { Step::Terminated } else { Step::Ready };
    let record = stage.record();
    wrong.unless_equal("attention", &record.attention, &None);
    if stage.scenario.start == Start::Commanded {
        let of_queue = (record.life.asked.is_none(), record.life.queue.len(), record.life.retiring.len());
        wrong.unless_equal("commands and addresses on their way", &of_queue, &(true, 0, 0));
        if let Some(expected) = expected_told.filter(|_| rest != Step::Terminated) {
            let there = told(stage);
            if there != *expected {
                wrong
                    .0
                    .push(format!("told: {}", difference(&format!("{there:#?}"), &format!("{expected:#?}"))));
            }
        }
    } else {
        wrong.unless_equal("step", &record.step, &rest);
        log(stage, &mut wrong);
        notices(stage, &mut wrong);
    }
    addresses(stage, &record, &mut wrong);
    machines(stage, &record, &mut wrong);
    if stage.scenario.keeps() {
        kept(stage, &record, &mut wrong);
    }
    if in_turn {
        let over = stage.world.with(|cluster| cluster.counters.clones_over);
        wrong.unless_equal("clones over a machine", &over, &0);
    }
    if rest == Step::Terminated {
        resting_number(stage, &record, &mut wrong);
        receipt(stage, &record, &mut wrong);
    }
    let essence = essence(stage);
    if essence.as_ref() != expected {
        let difference = difference(&format!("{:#?}", essence.as_ref()), &format!("{expected:#?}"));
        wrong.0.push(format!("machine: {difference}"));
    }
    wrong.0
}

/// The first line in which two texts differ, and their lengths.
fn difference(there: &str, expected: &str) -> String {
    let unlike = there.lines().zip(expected.lines()).find(|(there, expected)| there != expected);
    let (there, expected) = (there.lines().count(), expected.lines().count());
    format!("{unlike:?}; {there} lines instead of {expected}")
}

pub(crate) struct Wrong(pub(crate) Vec<String>);

impl Wrong {
    pub(crate) fn unless_equal<T: PartialEq + Debug>(&mut self, what: &str, there: &T, expected: &T) {
        if there != expected {
            self.0.push(format!("{what}: {there:?} instead of {expected:?}"));
        }
    }
}

/// Each step has one line that says that it is done, in the order of the table.
fn log(stage: &Stage<'_>, wrong: &mut Wrong) {
    let log = now(stage.ledger.store.log(sample::key(1), LogId(0), 10_000)).unwrap();
    let done = log.iter().filter(|entry| matches!(entry.line.event, LogEvent::Done { .. }));
    let done: Vec<_> =
        done.flat_map(|entry| (0..entry.times).map(|_| (entry.line.operation, entry.line.step))).collect();
    let (created, terminated): (Vec<_>, Vec<_>) =
        done.iter().partition(|(operation, _)| *operation == Operation::Create);
    wrong.unless_equal("order of the log", &[created.clone(), terminated.clone()].concat(), &done);
    let table = |operation: Operation| -> Vec<(Operation, Step)> {
        let steps = operation.steps().split_last().unwrap().1;
        steps.iter().map(|step| (operation, *step)).collect()
    };
    let mut creation = table(Operation::Create);
    if stage.scenario.redeploys() && created.len() > creation.len() {
        // Up to where it vanished, and once more from the clone on.
        let again = creation.split_off(2);
        let first = created.len() - creation.len() - again.len();
        creation = [&creation[..], &again[..first.min(again.len())], &again[..]].concat();
    }
    if stage.scenario.meanwhile == Meanwhile::TakenBack || stage.scenario.start == Start::Cloning {
        creation.truncate(created.len());
    }
    wrong.unless_equal("steps of the creation", &created, &creation);
    let termination = if stage.scenario.terminates() { table(Operation::Terminate) } else { Vec::new() };
    wrong.unless_equal("steps of the termination", &terminated, &termination);
}

/// How many times it was said to have started.
fn starts(stage: &Stage<'_>) -> usize {
    let log = now(stage.ledger.store.log(sample::key(1), LogId(0), 10_000)).unwrap();
    let is_start = |entry: &&LogEntry| {
        entry.line.step == Step::Starting && matches!(entry.line.event, LogEvent::Done { .. })
    };
    log.iter().filter(is_start).count()
}

fn notices(stage: &Stage<'_>, wrong: &mut Wrong) {
    let queued = now(stage.ledger.store.notices(sample::worker(9).id, 1000)).unwrap();
    let count = |is: fn(&Notice) -> bool| queued.iter().filter(|queued| is(&queued.notice)).count();
    let ready = count(|notice| *notice == Notice::Ready);
    let terminated = count(|notice| matches!(notice, Notice::Terminated { .. }));
    let scenario = stage.scenario;
    // What is taken back may have been ready before.
    let readies = if scenario.meanwhile == Meanwhile::TakenBack {
        ready.min(1)
    } else {
        usize::from(scenario.start != Start::Cloning)
    };
    let vanished = count(|notice| matches!(notice, Notice::Vanished { redeployed: true, .. }));
    wrong.unless_equal(
        "notices that it vanished",
        &vanished.min(usize::from(scenario.redeploys())),
        &vanished,
    );
    let readies = if vanished > 0 { starts(stage) } else { readies };
    wrong.unless_equal("notices that it is ready", &ready, &readies);
    wrong.unless_equal("notices of its end", &terminated, &usize::from(scenario.terminates()));
    wrong.unless_equal("notices in all", &queued.len(), &(ready + terminated + vanished));
}

fn addresses(stage: &Stage<'_>, record: &VmRecord, wrong: &mut Wrong) {
    let held = now(stage.ledger.store.held(sample::key(1))).unwrap();
    let held: Vec<IpAddr> = held.into_iter().map(|held| held.address).collect();
    let noted: Vec<IpAddr> = record.addresses.iter().map(|held| held.address).collect();
    let set = |list: &[IpAddr]| list.iter().copied().collect::<BTreeSet<_>>();
    wrong.unless_equal("addresses in the record", &set(&noted), &set(&held));
    let distinct: BTreeSet<IpAddr> = held.iter().copied().collect();
    wrong.unless_equal("distinct addresses", &distinct.len(), &held.len());
    let drawn = record.spec.nics.iter().map(|nic| match &nic.addressing {
        Addressing::Pools(FromPools { v4, v6 }) => {
            [v4, v6].into_iter().flatten().map(|draw| u64::from(draw.count)).sum()
        }
        Addressing::Dhcp | Addressing::Unmanaged => 0,
    });
    let ordered = if stage.scenario.terminates() { 0 } else { drawn.sum() };
    let pools = now(stage.ledger.store.pools()).unwrap();
    wrong.unless_equal("held addresses", &pools.iter().map(|pool| pool.held).sum(), &ordered);
}

fn machines(stage: &Stage<'_>, record: &VmRecord, wrong: &mut Wrong) {
    let template_at = record.spec.template.vmid;
    let mut others = vec![template_at, sample::vmid(if stage.scenario.stranger { 100 } else { 500 })];
    others.extend(stage.replaced.get());
    stage.world.with(|cluster| {
        wrong.unless_equal("template", &cluster.machines.get(&template_at), &Some(&template()));
        for stranger_at in &others[1..] {
            wrong.unless_equal("stranger", &cluster.machines.get(stranger_at), &Some(&stranger()));
        }
        let ours: Vec<Vmid> =
            cluster.machines.keys().copied().filter(|vmid| !others.contains(vmid)).collect();
        let gone = stage.scenario.terminates() || record.step == Step::Removed;
        let expected = if gone { Vec::new() } else { vec![record.numbered.vmid] };
        wrong.unless_equal("machines", &ours, &expected);
        wrong.unless_equal("marked machines", &cluster.marked(record.mark()), &expected);
        let named: Vec<&str> = cluster.machines.values().flat_map(ModelMachine::named_volumes).collect();
        // A stranger's volume is named by each of the strangers.
        let named: BTreeSet<&str> = named.into_iter().collect();
        let volumes: BTreeSet<&str> = cluster.volumes.keys().map(String::as_str).collect();
        wrong.unless_equal("volumes", &volumes, &named);
        let rules = cluster.machines.values().flat_map(|machine| rules_twice(&machine.firewall.rules));
        wrong.unless_equal("rules twice", &rules.collect::<Vec<_>>(), &Vec::new());
        wrong.unless_equal("starts while something was pending", &cluster.counters.started_pending, &0);
        wrong.unless_equal("changes of strangers' machines", &cluster.counters.misdirected, &0);
        let without = cluster.counters.without_system_disk;
        wrong.unless_equal("times that there was no system disk", &without, &0);
        wrong.unless_equal("slots overwritten", &cluster.counters.overwritten, &0);
        wrong.unless_equal("backups left behind", &cluster.counters.backups_left, &Vec::new());
        if stage.scenario.has_backups() {
            let foreign = cluster.archives.contains_key("foreign");
            wrong.unless_equal("somebody else's backup", &foreign, &true);
            wrong.unless_equal("a backup of its own", &cluster.archives.contains_key("gone"), &false);
        }
    });
}

/// The additional disks are those that there were, and the system disk is another one, made of the template's.
fn kept(stage: &Stage<'_>, record: &VmRecord, wrong: &mut Wrong) {
    let before = stage.disks.borrow();
    stage.world.with(|cluster| {
        let Some(machine) = cluster.machines.get(&record.numbered.vmid) else { return };
        for slot in &record.slots {
            let what = format!("additional disk {slot}");
            wrong.unless_equal(&what, &machine.config.disks.get(slot), &before.get(slot));
        }
        let Some((slot, system)) = machine.config.system_disk() else { return };
        let volume = cluster.volumes.get(&system.volume);
        let image = volume.and_then(|volume| Some(volume.copy_of.as_ref()?.0.as_str()));
        wrong.unless_equal("image of the system disk", &image, &Some("local:base-disk-0"));
        let old = before.get(&slot).map(|disk| disk.volume.as_str());
        let is_left = old.is_some_and(|old| cluster.volumes.contains_key(old));
        wrong.unless_equal("whether the old system disk is left", &is_left, &false);
    });
}

/// The keys of rules that stand more than once.
fn rules_twice(rules: &[ModelRule]) -> Vec<RuleKey> {
    let mut seen = BTreeSet::new();
    rules.iter().filter_map(ModelRule::key).filter(|key| !seen.insert(*key)).collect()
}

/// It names each resource once, and says nothing is on its way; of a ready machine, also what became of each.
fn receipt(stage: &Stage<'_>, record: &VmRecord, wrong: &mut Wrong) {
    let mut fates: Vec<String> = record.life.receipt.iter().map(ToString::to_string).collect();
    let on_their_way: Vec<&String> = fates.iter().filter(|line| line.ends_with("being deleted")).collect();
    wrong.unless_equal("receipt, on their way", &on_their_way, &Vec::new());
    if stage.scenario.start != Start::Ready || stage.scenario.meanwhile != Meanwhile::Nothing {
        return;
    }
    // How the guest stopped hangs on whether it was asked twice, and of volumes is asked where a destroy was not answered.
    fates.retain(|line| !line.starts_with("guest: s") && !line.starts_with("volumes that nothing names: "));
    // Volumes have other names in each run.
    let is_disk = |line: &String| line.starts_with("disk scsi0, local:") && line.ends_with(": deleted");
    let disks = fates.extract_if(.., |line| is_disk(line)).count();
    wrong.unless_equal("receipt, disks", &disks, &1);
    fates.sort();
    let number = record.numbered.vmid;
    let expected = [
        format!("address {}: deleted", POOLS[0].2.0),
        "backup foreign: left, nothing proves whose it is".to_owned(),
        "backup gone: deleted".to_owned(),
        "backup kept: kept, it is protected".to_owned(),
        format!("machine {number}: deleted"),
        "protection: deleted".to_owned(),
    ];
    wrong.unless_equal("receipt", &fates, &Vec::from(expected));
}

/// Of all numbers that are left, nobody gets the one that rests, although it is the only one.
fn resting_number(stage: &Stage<'_>, record: &VmRecord, wrong: &mut Wrong) {
    let number = record.numbered.vmid;
    let settings = now(stage.ledger.store.clusters()).unwrap().remove(0);
    let only = ClusterSettings { vmids: VmidRange::new(number, number).unwrap(), ..settings };
    now(stage.ledger.store.put_cluster(&only)).unwrap();
    match now(stage.ledger.store.create(&sample::order(2))) {
        Err(CreateError::NoNumber { .. }) => {}
        other => wrong.0.push(format!("resting number: {other:?} instead of none")),
    }
}
