//! What is not answered is looked at before anything else is done: for each kind of change the look that decides.

use crate::{
    bench::Bench,
    orders::{NUMBER, TEMPLATE, firewall, from_pools, gib, hash, nic, order, p, plain, rule, vmid},
};
use async_trait::async_trait;
use deploy_core::*;
use deploy_testkit::world::{Archive, Delivery, Fault, ModelMachine, World};
use jiff::SignedDuration;
use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex},
};

/// What a worker asked of the cluster.
#[derive(Debug, Clone, PartialEq)]
enum Call {
    Look(Look),
    Change { kind: ChangeKind, is_unknown: bool },
}

/// A cluster that notes what it is asked.
struct Noted {
    world: Arc<World>,
    calls: Mutex<Vec<Call>>,
}

#[async_trait]
impl Hypervisor for Noted {
    async fn machine(&self, id: &MachineId, look: Look) -> Sighting {
        self.calls.lock().unwrap().push(Call::Look(look));
        self.world.machine(id, look).await
    }

    async fn look_further(&self, id: &MachineId, seen: Box<Machine>, look: Look) -> Sighting {
        self.calls.lock().unwrap().push(Call::Look(look));
        self.world.look_further(id, seen, look).await
    }

    async fn tasks(&self, cluster: &ClusterName, tasks: &[TaskId]) -> Vec<TaskState> {
        self.world.tasks(cluster, tasks).await
    }

    async fn holder(&self, machine: &MachineId, lock: &str) -> Holder {
        self.world.holder(machine, lock).await
    }

    async fn leftovers(&self, machine: &MachineId) -> Result<Vec<Leftover>, LookError> {
        self.world.leftovers(machine).await
    }

    async fn backups(&self, machine: &MachineId) -> Result<Backups, LookError> {
        self.world.backups(machine).await
    }

    async fn archived(&self, machine: &MachineId, backup: &Backup) -> Result<Shown, LookError> {
        self.world.archived(machine, backup).await
    }

    async fn inventory(&self, cluster: &ClusterName) -> Result<Vec<Summary>, LookError> {
        self.world.inventory(cluster).await
    }

    async fn submit(&self, target: &Target, change: &Change) -> Result<Submitted, SubmitError> {
        let outcome = self.world.submit(target, change).await;
        let is_unknown = matches!(&outcome, Err(error) if error.sent == Sent::Unknown);
        self.calls.lock().unwrap().push(Call::Change { kind: change.kind(), is_unknown });
        outcome
    }
}

/// What must be seen before it is known what became of a change. A number's absence is part of every look.
fn decisive(kind: ChangeKind) -> Look {
    match kind {
        ChangeKind::Clone
        | ChangeKind::Migrate
        | ChangeKind::Configure
        | ChangeKind::Import
        | ChangeKind::Resize
        | ChangeKind::RollBack
        | ChangeKind::RestoreBackup
        | ChangeKind::Destroy => Look::CONFIG,
        ChangeKind::JoinPool => Look::POOL,
        ChangeKind::SetFirewall => Look::RULES,
        ChangeKind::Start | ChangeKind::Stop | ChangeKind::Reset => Look::POWER,
        ChangeKind::LeaveHa => Look::HA,
        ChangeKind::CreateSnapshot | ChangeKind::DeleteSnapshot => Look::SNAPSHOTS,
        ChangeKind::Backup | ChangeKind::DeleteBackup => Look::BACKUPS,
    }
}

/// Every kind of change is part of its life.
fn everything() -> VmSpec {
    let additional = AdditionalDisk { storage: p("fast"), size: gib(8), limits: DiskLimits::default() };
    VmSpec {
        node: p("n2"),
        clone: CloneMode::Full { storage: None },
        pve_pool: Some(p("customers")),
        autostart: Autostart::On,
        additional_disks: vec![additional],
        nics: vec![nic(from_pools(2, 1))],
        firewall: Some(firewall(vec![rule(22), rule(443)])),
        cloud_init: Some(CloudInit { password: Some(hash()), ..CloudInit::default() }),
        ..plain()
    }
}

/// A whole life whose n-th change is delivered so; every kind that was not answered is added to `unknown`. Says whether
/// there was an n-th change.
fn live(n: usize, delivery: Delivery, by_task: bool, unknown: &mut HashSet<ChangeKind>) -> bool {
    let mut bench = Bench::new(order(everything()), |cluster| {
        cluster.add(vmid(TEMPLATE), ModelMachine::template(p("n1")));
        cluster.shows_pools = true;
        cluster.configures_by_task = by_task;
        cluster.faults.changes.extend(std::iter::repeat_n(Fault::default(), n));
        cluster.faults.changes.push_back(Fault { delivery, ..Fault::default() });
    });
    let noted = Arc::new(Noted { world: bench.world.clone(), calls: Mutex::default() });
    bench.seams.hypervisor = noted.clone();
    bench.work_for(SignedDuration::from_mins(60), |_| {});
    assert_ready(&bench, n, delivery);
    reinstall_keeping(&bench, n, delivery);
    let backup = Backup {
        node: p("n2"),
        storage: p("nas"),
        volume: "nas:backup".to_owned(),
        protected: false,
        size: None,
        made_at: Some(bench.clock.now()),
        notes: None,
    };
    bench.world.with(|cluster| {
        let machine = cluster.machines.get_mut(&vmid(NUMBER)).unwrap();
        cluster.archives.insert(backup.volume.clone(), Archive::of(machine));
        machine.backups.push(backup);
    });
    bench.ledger.command(Command::Terminate).unwrap();
    bench.work_for(SignedDuration::from_mins(60), |_| {});
    bench.clock.advance(SignedDuration::from_mins(10));
    assert_eq!(bench.record().step, Step::Terminated);
    bench.world.with(|cluster| {
        assert_eq!(cluster.machines.len(), 1, "only the template is left, {n} {delivery:?}");
        assert_eq!(cluster.volumes.len(), 1, "and its volume, {n} {delivery:?}");
        assert_eq!(cluster.counters.backups_left, []);
    });
    let calls = noted.calls.lock().unwrap().clone();
    assert_looked_first(&calls, unknown);
    calls.iter().filter(|call| matches!(call, Call::Change { .. })).count() > n
}

/// The additional disk is the one that it was, and the system disk another one, a copy of the template's; nothing is left of the
/// old one.
fn reinstall_keeping(bench: &Bench, n: usize, delivery: Delivery) {
    let disks = || bench.world.with(|cluster| cluster.machines[&vmid(NUMBER)].config.disks.clone());
    let before = disks();
    let keep = NewInstallation { additional_disks: DataDisks::Keep, ..NewInstallation::default() };
    bench.ledger.command(Command::Reinstall(Box::new(keep))).unwrap();
    bench.work_for(SignedDuration::from_mins(60), |_| {});
    assert_eq!((bench.record().step, bench.record().attention), (Step::Ready, None), "{n} {delivery:?}");
    let after = disks();
    let (system, data) = (p("scsi0"), p("scsi1"));
    assert_eq!(before[&data], after[&data], "{n} {delivery:?}");
    assert_ne!(before[&system].volume, after[&system].volume, "{n} {delivery:?}");
    bench.world.with(|cluster| {
        let copy = &cluster.volumes[&after[&system].volume].copy_of;
        assert_eq!(copy.as_ref().map(|(of, _)| of.as_str()), Some("local:base-disk-0"), "{n} {delivery:?}");
        let machine = &cluster.machines[&vmid(NUMBER)];
        assert_eq!(machine.named_volumes().len(), cluster.volumes_of(vmid(NUMBER)), "{n} {delivery:?}");
        assert_eq!((&machine.power, machine.node.as_str()), (&Power::Running, "n2"), "{n} {delivery:?}");
        assert!(machine.config.unused.is_empty(), "{n} {delivery:?}");
        let counters = &cluster.counters;
        assert_eq!((counters.overwritten, counters.unguarded, counters.without_system_disk), (0, 0, 0));
        assert_eq!(counters.clones, BTreeMap::from([(vmid(NUMBER), 1)]), "{n} {delivery:?}");
    });
}

/// Once, and as it was ordered.
fn assert_ready(bench: &Bench, n: usize, delivery: Delivery) {
    assert_eq!((bench.record().step, bench.record().attention), (Step::Ready, None), "{n} {delivery:?}");
    bench.world.with(|cluster| {
        let counters = &cluster.counters;
        assert_eq!(counters.clones, BTreeMap::from([(vmid(NUMBER), 1)]), "{n} {delivery:?}");
        assert_eq!((counters.misdirected, counters.overwritten, counters.started_pending), (0, 0, 0));
        let machine = &cluster.machines[&vmid(NUMBER)];
        assert_eq!((machine.starts, machine.node.as_str()), (1, "n2"), "{n} {delivery:?}");
        assert_eq!(machine.firewall.rules.len(), 2, "{n} {delivery:?}");
        assert_eq!(machine.config.disks.len(), 2, "{n} {delivery:?}");
        assert_eq!(machine.named_volumes().len(), cluster.volumes_of(vmid(NUMBER)), "{n} {delivery:?}");
    });
}

/// Between a change that was not answered and the next one lies the look that decides.
fn assert_looked_first(calls: &[Call], unknown: &mut HashSet<ChangeKind>) {
    let mut in_doubt: Option<ChangeKind> = None;
    for call in calls {
        match (call, in_doubt) {
            (Call::Look(look), Some(kind)) if look.covers(decisive(kind)) => in_doubt = None,
            (Call::Look(_), _) | (Call::Change { is_unknown: false, .. }, None) => {}
            (Call::Change { kind, .. }, Some(doubt)) => panic!("{kind:?} after {doubt:?}, without a look"),
            (Call::Change { kind, is_unknown: true }, None) => {
                unknown.insert(*kind);
                in_doubt = Some(*kind);
            }
        }
    }
}

#[test]
fn whatever_is_not_answered_is_looked_at_and_never_repeated_blindly() {
    let late = Delivery::Late(SignedDuration::from_secs(25));
    for delivery in [Delivery::RequestLost, Delivery::AnswerLost, late] {
        let mut unknown = HashSet::new();
        for by_task in [false, true] {
            let mut n = 0;
            while live(n, delivery, by_task, &mut unknown) {
                n += 1;
            }
            assert!(n >= 10, "{n} changes");
        }
        assert_eq!(unknown.len(), 11, "every kind was met unanswered: {unknown:?}");
    }
}

/// A start that arrives after the stop would boot the guest with what is being taken from it.
#[test]
fn a_change_of_package_waits_for_a_late_start() {
    let mut record = crate::commands::record_at(Step::CpStop, Operation::ChangePackage);
    record.remembered.insert(Remembered::StartInDoubt);
    let late = Decision::Note(NoteDown::AwaitLate);
    assert_eq!(crate::commands::decided(&record, Power::Stopped), late);
    record.remembered.clear();
    assert!(matches!(crate::commands::decided(&record, Power::Stopped), Decision::Done(_)));
}

/// A rule that arrives late would stand twice, whether the machine is started or not.
#[test]
fn rules_are_waited_for_also_where_nothing_is_started() {
    let mut record = crate::commands::record_at(Step::Starting, Operation::Create);
    record.life.suspended = Some(Suspension { since: jiff::Timestamp::UNIX_EPOCH, ran: true });
    record.remembered.insert(Remembered::RulesInDoubt);
    let late = Decision::Note(NoteDown::AwaitRules);
    assert_eq!(crate::commands::decided(&record, Power::Stopped), late);
    (record.step, record.operation) = (Step::CpStart, Operation::ChangePackage);
    assert_eq!(crate::commands::decided(&record, Power::Stopped), late);
    record.life.suspended = None;
    assert_eq!(crate::commands::decided(&record, Power::Running), late);
    record.remembered.clear();
    assert!(matches!(crate::commands::decided(&record, Power::Running), Decision::Done(_)));
}
