//! The model cluster, and what the life of a machine asks of it: each change however it travels and however it goes where it
//! arrives.
#![allow(clippy::unwrap_used)] // these are tests, also where a function helps them

use deploy_core::*;
use deploy_testkit::{
    ManualClock,
    sample::{key, parsed, vmid},
    world::{Archive, Cluster, Delivery, Effect, Fault, ModelMachine, World},
};
use jiff::SignedDuration;
use std::{collections::BTreeSet, pin::pin, sync::Arc};

const OURS: SmbiosUuid = SmbiosUuid(uuid::Uuid::from_u128(0xc1_0e));
const NUMBER: u32 = 100;

/// Futures of the model never wait for anything but a further poll.
fn now<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}

struct Bench {
    clock: Arc<ManualClock>,
    world: World,
}

impl Bench {
    /// A machine of ours with a disk, under a number.
    fn new(prepare: impl FnOnce(&mut Cluster)) -> Self {
        let clock = Arc::new(ManualClock::default());
        let world = World::new(clock.clone());
        world.with(|cluster| {
            cluster.add(vmid(NUMBER), ours());
            prepare(cluster);
        });
        Self { clock, world }
    }

    fn submit(&self, change: &Change) -> Result<Submitted, SubmitError> {
        let revision = self.see(|machine| format!("r{}", machine.revision)).map(|text| parsed(&text));
        let target =
            Target { machine: id(), mark: OwnerMark(key(1)), smbios: Some(OURS), revision, not_after: None };
        now(self.world.submit(&target, change))
    }

    fn meet(&self, change: &Change, fault: Fault) -> Result<Submitted, SubmitError> {
        self.world.with(|cluster| cluster.faults.changes.push_back(fault));
        self.submit(change)
    }

    fn pass(&self, seconds: i64) {
        self.clock.advance(SignedDuration::from_secs(seconds));
        self.world.with(|_| {});
    }

    fn see<T>(&self, look: impl FnOnce(&ModelMachine) -> T) -> Option<T> {
        self.world.with(|cluster| cluster.machines.get(&vmid(NUMBER)).map(look))
    }

    fn cluster<T>(&self, look: impl FnOnce(&mut Cluster) -> T) -> T {
        self.world.with(look)
    }

    /// All of it but what counts changes.
    fn picture(&self) -> Option<ModelMachine> {
        self.see(|machine| ModelMachine { revision: 0, ..machine.clone() })
    }

    fn look(&self, look: Look) -> Machine {
        match now(self.world.machine(&id(), look)) {
            Sighting::Seen(machine) => *machine,
            unseen => panic!("{unseen:?}"),
        }
    }

    fn ended(&self, submitted: &Submitted) -> Option<Ended> {
        let Submitted::Task(task) = submitted else { return None };
        match &now(self.world.tasks(&id().cluster, std::slice::from_ref(task)))[..] {
            [TaskState::Ended(ended)] => Some(ended.clone()),
            states => panic!("{states:?}"),
        }
    }
}

fn id() -> MachineId {
    MachineId { cluster: parsed("pve"), vmid: vmid(NUMBER), node: parsed("node1") }
}

fn ours() -> ModelMachine {
    let mut machine = ModelMachine { template: false, written: 7, ..ModelMachine::template(parsed("node1")) };
    machine.config.smbios = Some(OURS);
    machine.config.description = OwnerMark(key(1)).to_string();
    machine.config.name = Some(parsed("one.example.net"));
    for disk in machine.config.disks.values_mut() {
        disk.volume = format!("local:vm-{NUMBER}-disk-0");
    }
    machine
}

fn backup(volume: &str) -> Backup {
    Backup {
        node: parsed("node1"),
        storage: parsed("nas"),
        volume: volume.to_owned(),
        protected: false,
        size: None,
        made_at: None,
        notes: None,
    }
}

fn machine(cluster: &mut Cluster) -> &mut ModelMachine {
    cluster.machines.get_mut(&vmid(NUMBER)).unwrap()
}

fn runs(cluster: &mut Cluster) {
    machine(cluster).power = Power::Running;
}

/// A backup of the machine as it is; then the guest writes on, and somebody renames it.
fn backed_up(cluster: &mut Cluster) {
    let archive = Archive::of(machine(cluster));
    cluster.archives.insert("nas:one".to_owned(), archive);
    let machine = machine(cluster);
    machine.backups.push(backup("nas:one"));
    goes_on(machine);
}

fn goes_on(machine: &mut ModelMachine) {
    machine.written = 9;
    machine.config.name = Some(parsed("two.example.net"));
}

fn is_as_it_was(machine: &ModelMachine) -> bool {
    machine.written == 7 && machine.config.name == Some(parsed("one.example.net")) && machine.lock.is_none()
}

fn name() -> SnapshotName {
    parsed("before")
}

fn restore(identity: SmbiosUuid) -> Change {
    Change::RestoreBackup { backup: backup("nas:one"), storage: None, identity }
}

fn take() -> Change {
    Change::CreateSnapshot { name: name(), description: "pvd-expires:2030-01-01T00:00:00Z".to_owned() }
}

/// Takes a snapshot before anything else happens.
fn with_snapshot(bench: &Bench) {
    bench.submit(&take()).unwrap();
    bench.pass(2);
    bench.cluster(|cluster| goes_on(machine(cluster)));
}

/// What a change is made to, and how it shows that it was carried out. A pulse shows it by being counted.
struct Case {
    change: Change,
    prepare: fn(&mut Cluster),
    snapshot: bool,
    is_done: fn(&Cluster, &ModelMachine) -> bool,
    /// It is no goal: a repeat does it again.
    pulse: bool,
}

fn pulses(cluster: &Cluster, kind: ChangeKind) -> usize {
    cluster.counters.pulses.iter().filter(|(_, pulse)| *pulse == kind).count()
}

fn cases() -> Vec<Case> {
    let nothing: fn(&mut Cluster) = |_| {};
    vec![
        Case {
            change: Change::Reset,
            prepare: runs,
            snapshot: false,
            is_done: |cluster, _| pulses(cluster, ChangeKind::Reset) > 0,
            pulse: true,
        },
        Case {
            change: Change::LeaveHa,
            prepare: |cluster| machine(cluster).ha = Some("stopped".to_owned()),
            snapshot: false,
            is_done: |_, machine| machine.ha.is_none(),
            pulse: false,
        },
        Case {
            change: take(),
            prepare: nothing,
            snapshot: false,
            is_done: |_, machine| machine.snapshots.iter().any(|taken| taken.shown.incomplete.is_none()),
            pulse: false,
        },
        Case {
            change: Change::DeleteSnapshot(name()),
            prepare: nothing,
            snapshot: true,
            is_done: |_, machine| machine.snapshots.is_empty() && machine.config.parent.is_none(),
            pulse: false,
        },
        Case {
            change: Change::RollBack(name()),
            prepare: runs,
            snapshot: true,
            is_done: |_, machine| is_as_it_was(machine) && machine.power == Power::Stopped,
            pulse: true,
        },
        Case {
            change: Change::Backup {
                storage: parsed("nas"),
                mode: BackupMode::Snapshot,
                notes: "n".to_owned(),
            },
            prepare: runs,
            snapshot: false,
            is_done: |_, machine| machine.backups.iter().any(|made| made.notes.as_deref() == Some("n")),
            pulse: true,
        },
        Case {
            change: restore(OURS),
            prepare: backed_up,
            snapshot: false,
            is_done: |_, machine| is_as_it_was(machine),
            pulse: true,
        },
    ]
}

impl Case {
    fn bench(&self) -> Bench {
        let bench = Bench::new(self.prepare);
        if self.snapshot {
            with_snapshot(&bench);
        }
        bench
    }

    fn is_done(&self, bench: &Bench) -> bool {
        bench.cluster(|cluster| (self.is_done)(cluster, &cluster.machines[&vmid(NUMBER)]))
    }
}

fn fault(delivery: Delivery, effect: Effect) -> Fault {
    Fault { delivery, effect }
}

#[test]
fn every_change_is_carried_out_if_and_only_if_it_arrives() {
    for case in cases() {
        let change = &case.change;
        let late = Delivery::Late(SignedDuration::from_secs(20));
        let deliveries = [
            (Delivery::Answered, None, true),
            (Delivery::NotSent, Some(Sent::No), false),
            (Delivery::RequestLost, Some(Sent::Unknown), false),
            (Delivery::AnswerLost, Some(Sent::Unknown), true),
            (late, Some(Sent::Unknown), true),
        ];
        for (delivery, sent, arrives) in deliveries {
            let bench = case.bench();
            assert!(!case.is_done(&bench), "{change}");
            let outcome = bench.meet(change, fault(delivery, Effect::Good));
            assert_eq!(outcome.as_ref().err().map(|error| error.sent), sent, "{change} {delivery:?}");
            if delivery == late {
                bench.pass(10);
                assert!(!case.is_done(&bench), "{change} before it arrives");
                bench.pass(13);
            }
            bench.pass(3);
            assert_eq!(case.is_done(&bench), arrives, "{change} {delivery:?}");
            assert_eq!(bench.see(|machine| machine.lock.clone()), Some(None), "{change}");
        }
    }
}

#[test]
fn what_is_refused_or_fails_leaves_the_machine_as_it_was() {
    for case in cases() {
        for effect in [Effect::Busy, Effect::Refused, Effect::Fails] {
            let bench = case.bench();
            let before = bench.picture();
            let outcome = bench.meet(&case.change, fault(Delivery::Answered, effect));
            bench.pass(3);
            match &outcome {
                Err(error) => assert_eq!(error.sent, Sent::Answered),
                Ok(submitted) => assert!(matches!(bench.ended(submitted), Some(Ended::Failed { .. }))),
            }
            assert_eq!(bench.picture(), before, "{} {effect:?}", case.change);
            assert!(!case.is_done(&bench));
        }
        let bench = case.bench();
        let outcome = bench.meet(&case.change, fault(Delivery::Answered, Effect::EndLost)).unwrap();
        bench.pass(3);
        assert!(case.is_done(&bench), "{}", case.change);
        assert!(matches!(bench.ended(&outcome), None | Some(Ended::Lost(_))));
    }
}

#[test]
fn a_goal_once_more_changes_nothing_and_a_pulse_is_one_more() {
    for case in cases() {
        let bench = case.bench();
        bench.submit(&case.change).unwrap();
        bench.pass(3);
        let (once, kind) = (bench.picture(), case.change.kind());
        let again = bench.submit(&case.change);
        bench.pass(3);
        let counted = bench.cluster(|cluster| pulses(cluster, kind));
        if case.pulse {
            assert!(again.is_ok(), "{}", case.change);
            assert_eq!(counted, 2, "{}", case.change);
        } else {
            assert_eq!((bench.picture(), counted), (once, 0), "{}", case.change);
        }
    }
}

/// PVE locks it for the time that it takes, and a worker that is killed leaves it so.
#[test]
fn a_killed_worker_leaves_its_lock() {
    let locks = [
        (take(), Some("snapshot")),
        (Change::DeleteSnapshot(name()), Some("snapshot-delete")),
        (Change::RollBack(name()), Some("rollback")),
        (
            Change::Backup { storage: parsed("nas"), mode: BackupMode::Stop, notes: String::new() },
            Some("backup"),
        ),
        (restore(OURS), None),
    ];
    for (change, lock) in locks {
        let bench = Bench::new(backed_up);
        if !matches!(change, Change::CreateSnapshot { .. }) {
            with_snapshot(&bench);
        }
        let submitted = bench.submit(&change).unwrap();
        let seen = bench.look(Look::SNAPSHOTS);
        assert_eq!(seen.lock.as_deref(), lock, "{change}");
        let other = bench.submit(&Change::Start).unwrap_err();
        // Of a restore nothing shows whose machine it is, so that nothing is sent.
        assert_eq!(other.sent == Sent::No, lock.is_none(), "{change}: {other}");
        bench.cluster(|cluster| cluster.kill_tasks(vmid(NUMBER)));
        bench.pass(60);
        let left = bench.look(Look::CONFIG);
        assert_eq!((left.lock.as_deref(), left.shown().husk), (lock, lock.is_none()), "{change}");
        assert!(matches!(bench.ended(&submitted), Some(Ended::Lost(_))));
    }
}

/// The husk of a restore that failed half-way is ours to restore over and to destroy, and nothing else can be done with it.
#[test]
fn a_restore_that_failed_half_way_can_be_repeated() {
    let half = || {
        let bench = Bench::new(backed_up);
        let submitted = bench.meet(&restore(OURS), fault(Delivery::Answered, Effect::HalfDone)).unwrap();
        let judge = |machine: &Machine| Ownership::judge(OwnerMark(key(1)), Some(OURS), machine.shown());
        assert_eq!(judge(&bench.look(Look::CONFIG)), Ownership::TooEarly, "while it works");
        bench.pass(3);
        assert!(matches!(bench.ended(&submitted), Some(Ended::Failed { .. })));
        assert_eq!(judge(&bench.look(Look::CONFIG)), Ownership::TooEarly);
        bench
    };
    let bench = half();
    assert_eq!(bench.submit(&Change::Start).unwrap_err().sent, Sent::No);
    bench.submit(&restore(OURS)).unwrap();
    bench.pass(3);
    assert_eq!(bench.see(is_as_it_was), Some(true));
    let bench = half();
    bench.submit(&Change::Destroy(DestroyMode::Purge)).unwrap();
    bench.pass(3);
    assert_eq!(bench.picture(), None);
}

#[test]
fn only_our_own_backup_is_restored_over_only_our_own_machine() {
    let earlier = SmbiosUuid(uuid::Uuid::from_u128(0xc1_0d));
    let of = |smbios, mark: &'static str| {
        move |cluster: &mut Cluster| {
            backed_up(cluster);
            let archive = cluster.archives.get_mut("nas:one").unwrap();
            archive.config.smbios = Some(smbios);
            archive.config.description = mark.replace("OURS", &OwnerMark(key(1)).to_string());
        }
    };
    // What the archive shows, what was decided on, and whether that may be.
    for (shows, mark, decided, may) in [
        (OURS, "OURS", OURS, true),
        (OURS, "edited", OURS, true),
        (earlier, "OURS", earlier, true),
        (earlier, "OURS", OURS, false),
        (OURS, "OURS", earlier, false),
        (earlier, "edited", earlier, false),
    ] {
        let bench = Bench::new(of(shows, mark));
        let archived = now(bench.world.archived(&id(), &backup("nas:one"))).unwrap();
        assert_eq!(archived.smbios, Some(shows));
        let outcome = bench.submit(&restore(decided));
        assert_eq!(outcome.is_ok(), may, "{shows} {mark} {decided}");
        bench.pass(3);
        assert_eq!(bench.see(is_as_it_was), Some(may));
        assert_eq!(bench.see(|machine| machine.config.smbios), Some(Some(if may { shows } else { OURS })));
    }
    // One that arrives late finds somebody else's machine there.
    let bench = Bench::new(backed_up);
    let late = fault(Delivery::Late(SignedDuration::from_secs(20)), Effect::Good);
    bench.meet(&restore(OURS), late).unwrap_err();
    let mut stranger = ModelMachine::bare(parsed("node1"));
    stranger.config.smbios = Some(earlier);
    bench.cluster(|cluster| cluster.add(vmid(NUMBER), stranger));
    let before = bench.picture();
    bench.pass(30);
    assert_eq!(bench.picture(), before);
    assert!(now(bench.world.archived(&id(), &backup("nas:none"))).is_err());
}

#[test]
fn a_machine_that_runs_or_is_protected_is_not_restored_over() {
    let hindrances: [fn(&mut ModelMachine); 2] =
        [|machine| machine.power = Power::Running, |machine| machine.config.protected = true];
    for hinder in hindrances {
        let bench = Bench::new(|cluster| {
            backed_up(cluster);
            hinder(machine(cluster));
        });
        let before = bench.picture();
        let submitted = bench.submit(&restore(OURS)).unwrap();
        bench.pass(3);
        assert!(matches!(bench.ended(&submitted), Some(Ended::Failed { .. })));
        assert_eq!(bench.picture(), before);
    }
}

/// What a backup or a snapshot does not have stays, unplugged.
#[test]
fn disks_that_came_later_are_kept_unused() {
    let scsi1 = DiskSlot::for_additional_disks().next().unwrap();
    let new = DiskGoal::Create {
        storage: parsed("local"),
        size: 1_u64.try_into().unwrap(),
        limits: DiskLimits::default(),
    };
    let plug =
        Change::Configure(Box::new(Configure { disks: [(scsi1, new)].into(), ..Configure::default() }));
    for change in [Change::RollBack(name()), restore(OURS)] {
        let bench = Bench::new(backed_up);
        with_snapshot(&bench);
        bench.submit(&plug).unwrap();
        let volume = bench.see(|machine| machine.config.disks[&scsi1].volume.clone()).unwrap();
        bench.submit(&change).unwrap();
        bench.pass(3);
        let config = bench.look(Look::CONFIG).config;
        assert_eq!(config.unused.values().collect::<Vec<_>>(), [&volume], "{change}");
        assert!(!config.is_taken(scsi1));
        let named: BTreeSet<String> =
            bench.see(|machine| machine.named_volumes().into_iter().map(str::to_owned).collect()).unwrap();
        let there: BTreeSet<String> = bench.cluster(|cluster| cluster.volumes.keys().cloned().collect());
        assert_eq!(named, there, "{change}: nothing is left behind, and nothing is named that is not there");
        let free = Configure { remove_unused: config.unused.into_keys().collect(), ..Configure::default() };
        bench.submit(&Change::Configure(Box::new(free))).unwrap();
        assert!(bench.cluster(|cluster| !cluster.volumes.contains_key(&volume)));
    }
}

/// A start and a stop are wishes; what was stopped otherwise is started again, until the machine has left.
#[test]
fn a_managed_machine_is_as_its_manager_wants_it() {
    let bench = Bench::new(|cluster| machine(cluster).ha = Some("started".to_owned()));
    let is = |power: Power, wished: &str| {
        let seen = bench.look(Look::POWER.and(Look::HA));
        assert_eq!((seen.power, seen.ha), (Some(power), Some(HaState::Managed(Some(wished.to_owned())))));
    };
    bench.pass(11);
    is(Power::Running, "started");
    bench.submit(&Change::Stop(StopMode::Hard)).unwrap();
    bench.pass(2);
    is(Power::Running, "stopped");
    bench.pass(10);
    is(Power::Stopped, "stopped");
    let kept = bench.submit(&Change::Destroy(DestroyMode::KeepBackups)).unwrap_err();
    assert_eq!(kept.class, ErrorClass::Refused);
    bench.submit(&Change::Start).unwrap();
    bench.pass(12);
    is(Power::Running, "started");
    bench.cluster(|cluster| machine(cluster).power = Power::Stopped);
    bench.pass(12);
    is(Power::Running, "started");
    bench.submit(&Change::LeaveHa).unwrap();
    bench.submit(&Change::Stop(StopMode::Hard)).unwrap();
    bench.pass(60);
    let seen = bench.look(Look::POWER.and(Look::HA));
    assert_eq!((seen.power, seen.ha), (Some(Power::Stopped), Some(HaState::Unmanaged)));
}

/// They carry the number, whoever has it next; and one of ours that nobody deleted is counted.
#[test]
fn backups_outlive_their_machine() {
    for (mode, left) in [(DestroyMode::KeepBackups, 0), (DestroyMode::Purge, 1)] {
        let bench = Bench::new(backed_up);
        bench.submit(&Change::Destroy(mode)).unwrap();
        bench.pass(3);
        assert_eq!(bench.cluster(|cluster| cluster.counters.backups_left.len()), left);
        bench.cluster(|cluster| cluster.add(vmid(NUMBER), ours()));
        let shown = bench.look(Look::BACKUPS).backups.unwrap();
        assert_eq!(shown.found, [backup("nas:one")]);
        bench.submit(&Change::DeleteBackup(backup("nas:one"))).unwrap();
        bench.pass(3);
        assert_eq!(bench.look(Look::BACKUPS).backups.unwrap().found, []);
        bench.submit(&Change::Destroy(DestroyMode::Purge)).unwrap();
        bench.pass(3);
        assert_eq!(bench.cluster(|cluster| cluster.counters.backups_left.len()), left);
    }
    let bench = Bench::new(backed_up);
    bench.submit(&Change::Destroy(DestroyMode::KeepBackups)).unwrap();
    bench.pass(3);
    bench.cluster(|cluster| cluster.add(vmid(NUMBER), ours()));
    bench.submit(&Change::Destroy(DestroyMode::Purge)).unwrap();
    bench.pass(3);
    assert_eq!(bench.cluster(|cluster| cluster.counters.backups_left.len()), 1, "ours of before");
}

#[test]
fn a_protected_machine_keeps_its_disks() {
    let scsi0: DiskSlot = parsed("scsi0");
    let unplug =
        Change::Configure(Box::new(Configure { remove_disks: [scsi0].into(), ..Configure::default() }));
    let bench = Bench::new(|cluster| machine(cluster).config.protected = true);
    assert_eq!(bench.submit(&unplug).unwrap_err().class, ErrorClass::Refused);
    bench.cluster(|cluster| machine(cluster).config.protected = false);
    bench.submit(&unplug).unwrap();
    let config = bench.look(Look::CONFIG).config;
    assert_eq!((config.disks.len(), config.unused.len()), (0, 1));
}
