//! Commands in any order, at any moment, whatever goes wrong: the machine ends as the last ones say.

use crate::{
    bench::{Bench, Run, Trouble, tried},
    comes_to_rest::{assert_harmless, assert_machine, bench, told, troubles},
    orders::{Case, HASH, KEY, cases, from_pools, gib, nic, p, slot},
};
use deploy_core::*;
use proptest::{collection::vec, prelude::*};
use std::collections::BTreeMap;

/// What a panel may ask of a machine with this order.
fn commands(spec: &VmSpec) -> Vec<Command> {
    let package = |change: &dyn Fn(&mut VmSpec)| {
        let mut spec = spec.clone();
        change(&mut spec);
        let macs = (0..).zip(&spec.nics).map(|(n, _)| MacAddr::local([0, 0, 0, 0, 2, n])).collect();
        Command::ChangePackage(Box::new(Package { spec, macs }))
    };
    let grow = |spec: &mut VmSpec| {
        spec.cores = 9.try_into().unwrap();
        spec.system_disk.size = gib(60);
        spec.additional_disks.push(AdditionalDisk {
            storage: p("fast"),
            size: gib(5),
            limits: DiskLimits::default(),
        });
    };
    let shrink = |spec: &mut VmSpec| spec.system_disk.size = gib(5);
    let light = |spec: &mut VmSpec| spec.tags = [p("silver")].into();
    let net = |spec: &mut VmSpec| spec.nics.push(nic(from_pools(1, 1)));
    let bare = |spec: &mut VmSpec| {
        spec.nics.truncate(1);
        spec.firewall =
            spec.firewall.take().filter(|_| spec.nics.iter().any(|nic| nic.filtering == Filtering::On));
    };
    let credentials = Credentials {
        user: Some(p("bob")),
        password: Some(PasswordHash::try_from(HASH.replace("salt", "PePr")).unwrap()),
        ssh_keys: Some(vec![p(KEY)]),
    };
    vec![
        Command::Start,
        Command::Stop(StopHow::Graceful),
        Command::Stop(StopHow::Hard),
        Command::Restart(StopHow::Within(5)),
        Command::Reset,
        Command::Suspend,
        Command::Suspend,
        Command::Unsuspend(Resume::Started),
        Command::Unsuspend(Resume::AsBefore),
        package(&grow),
        package(&shrink),
        package(&light),
        package(&net),
        package(&bare),
        Command::SetCredentials(Box::new(credentials)),
        Command::SetDedicatedIp(slot(0), Family::V4),
        Command::AddAddress(slot(0), Family::V6),
        Command::RemoveAddress("198.51.100.10".parse().unwrap()),
        Command::Reinstall(Box::default()),
        Command::Reinstall(Box::new(keeping())),
        Command::Remove,
        Command::RunOn(Step::Clone),
        Command::RunOn(Step::SetNetwork),
        Command::Step(Step::SetFirewall),
        Command::Step(Step::SetCpuRam),
        Command::CreateSnapshot(NewSnapshot {
            name: p("before"),
            description: "x".to_owned(),
            expires: None,
        }),
        Command::DeleteSnapshot(p("before")),
        Command::RollBack(p("before")),
        Command::SetDnsRecords,
        Command::Hold,
        Command::Release,
        Command::Retry,
        Command::Withdraw(CommandId(uuid::Uuid::from_u128(1001))),
    ]
}

fn keeping() -> NewInstallation {
    NewInstallation { additional_disks: DataDisks::Keep, ..NewInstallation::default() }
}

/// What the commands that were carried out make of a machine, in the order in which they were.
#[derive(Debug, Clone)]
struct Expected {
    spec: VmSpec,
    runs: bool,
    suspended: Option<bool>,
    removed: bool,
    terminated: bool,
}

impl Expected {
    fn of(bench: &Bench, case: &Case) -> Self {
        let spec = case.spec.clone();
        let mut expected = Self { spec, runs: true, suspended: None, removed: false, terminated: false };
        let record = bench.record();
        let commands = bench.ledger.with(|state| state.commands.clone());
        for settled in record.life.settled.iter().filter(|settled| settled.outcome == CommandOutcome::Done) {
            let is_it = |(queued, _): &&(QueuedCommand, Admission)| queued.id == settled.id;
            expected.carry_out(&commands.iter().find(is_it).unwrap().0.command);
        }
        expected
    }

    fn carry_out(&mut self, command: &Command) {
        match command {
            Command::Terminate => self.terminated = true,
            Command::Start | Command::Restart(_) => self.runs = true,
            Command::Stop(_) => self.runs = false,
            Command::Suspend if self.suspended.is_none() => {
                self.suspended = Some(self.runs);
                self.runs = false;
            }
            Command::Unsuspend(how) => {
                if let Some(ran) = self.suspended.take() {
                    self.runs = *how == Resume::Started || ran;
                }
            }
            Command::ChangePackage(package) => self.spec = package.spec.clone(),
            Command::SetCredentials(new) => {
                let told = self.spec.cloud_init.as_mut().unwrap();
                (told.user, told.password) = (new.user.clone(), new.password.clone());
                told.ssh_keys = new.ssh_keys.clone().unwrap();
            }
            Command::AddAddress(nic, Family::V6) => *self.draw(*nic).0 += 1,
            Command::RemoveAddress(_) => *self.draw(slot(0)).1 -= 1,
            Command::Reinstall(_) | Command::RunOn(_) => {
                self.removed = false;
                // But for the suspension it would run.
                match &mut self.suspended {
                    Some(ran) => *ran = true,
                    None => self.runs = true,
                }
            }
            Command::Remove => self.removed = true,
            _ => {}
        }
    }

    /// The counts of IPv6 and IPv4 addresses of a NIC.
    fn draw(&mut self, nic: NicSlot) -> (&mut u8, &mut u8) {
        let Addressing::Pools(from) = &mut self.spec.nics[usize::from(nic.get())].addressing else {
            panic!()
        };
        let none = || Draw { count: 0, pools: Vec::new() };
        (&mut from.v6.get_or_insert_with(none).count, &mut from.v4.get_or_insert_with(none).count)
    }

    fn addresses(&self) -> usize {
        let count = |draw: &Option<Draw>| draw.as_ref().map_or(0, |draw| usize::from(draw.count));
        let of_nic = |nic: &NicSpec| match &nic.addressing {
            Addressing::Pools(from) => count(&from.v4) + count(&from.v6),
            Addressing::Dhcp | Addressing::Unmanaged => 0,
        };
        self.spec.nics.iter().map(of_nic).sum()
    }
}

/// Tells what happened, where an assertion fails.
struct Story<'a>(&'a Bench);

#[allow(clippy::print_stderr)] // for whoever reads why it failed
impl Drop for Story<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let commands = self.0.ledger.with(|state| state.commands.clone());
            let commands: Vec<String> = commands
                .iter()
                .map(|(queued, how)| format!("{} {}: {how:?}", queued.id, queued.command))
                .collect();
            eprintln!("{}\n{}\n{:#?}", commands.join("\n"), told(self.0), self.0.record().life);
        }
    }
}

/// How many times DNS records were said to be set.
fn set(bench: &Bench) -> i64 {
    let commands = bench.ledger.with(|state| state.commands.clone());
    let dns = commands.iter().filter(|(queued, _)| queued.command == Command::SetDnsRecords);
    let is_done = |id| {
        let done = CommandState::Settled(CommandOutcome::Done);
        bench.record().command_state(id) == done
    };
    let set =
        dns.filter(|(queued, admission)| *admission == Admission::Queued(queued.id) && is_done(queued.id));
    set.count().try_into().unwrap()
}

/// Every command that was admitted is over, and the machine is as they say.
fn assert_obeyed(bench: &Bench, run: &Run, case: &Case) {
    let _story = Story(bench);
    assert_harmless(bench, run);
    let record = bench.record();
    for (queued, admission) in bench.ledger.with(|state| state.commands.clone()) {
        let state = record.command_state(queued.id);
        let over = admission != Admission::Queued(queued.id) || matches!(state, CommandState::Settled(_));
        assert!(over, "{} is {state:?} at {}", queued.command, record.step);
    }
    assert!(bench.names.marks() >= set(bench), "DNS records were said to be set and were not asked for");
    let expected = Expected::of(bench, case);
    let held = bench.pool.held.lock().unwrap().clone();
    if expected.terminated {
        assert_eq!(record.step, Step::Terminated);
        assert!(held.is_empty() && bench.world.with(|cluster| cluster.marked(record.mark())).is_empty());
        return;
    }
    assert_eq!(record.life.retiring, []);
    let mut noted = record.addresses.clone();
    let mut there = held;
    for list in [&mut noted, &mut there] {
        list.sort_by_key(|held| held.address);
    }
    assert_eq!(noted, there, "addresses of the record and of the pool");
    assert_eq!(noted.len(), expected.addresses(), "{:#?}", expected.spec.nics);
    let rest = match (expected.removed, expected.suspended) {
        (true, _) => Step::Removed,
        (false, Some(_)) => Step::Suspended,
        (false, None) => Step::Ready,
    };
    assert_eq!((record.step, record.attention.clone()), (rest, None));
    if expected.removed {
        assert_eq!(bench.world.with(|cluster| cluster.marked(record.mark())), []);
        return;
    }
    let case = Case { spec: expected.spec.clone(), ..case.clone() };
    let power = if expected.runs { Power::Running } else { Power::Stopped };
    assert_machine(bench, &case, &record, &power);
    let autostart = if expected.suspended.is_some() { Autostart::Off } else { expected.spec.autostart };
    let seen = bench.world.with(|cluster| cluster.machines[&record.numbered.vmid].config.autostart);
    assert_eq!(seen, autostart, "whether it starts with its node");
}

/// An order that each of the commands can be given to.
fn commanded() -> impl Strategy<Value = Case> {
    cases().prop_map(|mut case| {
        let guest = nic(from_pools(2, 1));
        case.spec.nics.insert(0, guest);
        case.spec.cloud_init.get_or_insert_default();
        case.falls = 0;
        // Options of a NIC that the template has stay only as long as that NIC does.
        case.template.config.nics.clear();
        case
    })
}

proptest! {
    #![proptest_config(tried(300))]

    #[test]
    fn the_machine_ends_as_the_last_commands_say(
        case in commanded(),
        trouble in troubles(),
        asked in vec((1..160_u32, any::<prop::sample::Index>()), 1..10),
        terminated in prop::option::weighted(0.2, 1..200_u32),
    ) {
        let bench = bench(&case);
        let all = commands(&case.spec);
        let mut commands: BTreeMap<u32, Command> =
            asked.iter().map(|(turn, index)| (*turn, index.get(&all).clone())).collect();
        commands.extend(terminated.map(|turn| (turn, Command::Terminate)));
        // Whatever an operator holds he releases in the end; nobody else could.
        commands.insert(400, Command::Release);
        let run = bench.run(Trouble { commands, ..trouble });
        assert_obeyed(&bench, &run, &case);
    }
}

pub(crate) fn record_at(step: Step, operation: Operation) -> VmRecord {
    let mut record = crate::orders::order(crate::orders::plain());
    (record.step, record.operation) = (step, operation);
    record.smbios = Some(crate::machines::OURS);
    record
}

pub(crate) fn decided(record: &VmRecord, power: Power) -> Decision {
    let mut machine = crate::machines::plain_machine(record);
    machine.power = Some(power);
    let observation =
        Observation { machine: Some(Sighting::Seen(Box::new(machine))), ..Observation::default() };
    decide(record, &observation, &RetryPolicy::default())
}

/// Also where a look has failed before: that has sent nothing.
#[test]
fn a_machine_that_runs_is_never_removed() {
    for failures in [0, 1, 9] {
        let record = VmRecord { failures, ..record_at(Step::Removing, Operation::Remove) };
        assert!(matches!(decided(&record, Power::Running), Decision::Refuse(_)), "{failures}");
    }
}

/// What was suspended before is given back on command, whatever is being done to it meanwhile.
#[test]
fn a_suspended_machine_that_is_busy_can_be_unsuspended() {
    let (old, new) = (CommandId(uuid::Uuid::from_u128(1)), CommandId(uuid::Uuid::from_u128(2)));
    let mut record = record_at(Step::BackingUp, Operation::Backup);
    record.life.suspended = Some(Suspension { since: jiff::Timestamp::UNIX_EPOCH, ran: true });
    let command =
        Command::Backup(NewBackup { storage: p("backup"), mode: BackupMode::Snapshot, expires: None });
    record.life.asked = Some(Asked { queued: QueuedCommand { id: old, command }, rest: Step::Suspended });
    let unsuspend = Command::Unsuspend(Resume::Started);
    assert_eq!(admit(&record, &unsuspend, new), Ok(Admission::Queued(new)));
    assert_eq!(admit(&record, &Command::Suspend, new), Ok(Admission::AlreadyDone));
    // What an older program queued all the same takes nothing back.
    record.life.queue = vec![QueuedCommand { id: old, command: Command::Suspend }];
    let settled = |record: &VmRecord, command: Command| {
        let outcome = Outcome::Taken(Box::new(QueuedCommand { id: new, command }));
        let report = Report { outcome, seen_on: None };
        let mut after = record.clone();
        settle(record, report, jiff::Timestamp::UNIX_EPOCH, &RetryPolicy::default()).apply(&mut after);
        after
    };
    let after = settled(&record, unsuspend.clone());
    assert!(after.life.suspended.is_some());
    assert_eq!(after.life.queue.iter().map(|queued| &queued.command).collect::<Vec<_>>(), [&unsuspend]);
    assert!(settled(&record, Command::Withdraw(old)).life.suspended.is_some());
}

/// What waits is over, what is done is as it was, and the operator is told.
#[test]
fn a_termination_of_a_held_machine_is_written_down() {
    let mut record = record_at(Step::SetNetwork, Operation::Create);
    let (old, new) = (CommandId(uuid::Uuid::from_u128(1)), CommandId(uuid::Uuid::from_u128(2)));
    record.life.held = true;
    record.life.queue = vec![QueuedCommand { id: old, command: Command::Reinstall(Box::default()) }];
    record.pending = vec![QueuedCommand { id: new, command: Command::Terminate }];
    let Decision::Take(queued) = decided(&record, Power::Running) else { panic!() };
    let report = Report { outcome: Outcome::Taken(queued), seen_on: None };
    let commit = settle(&record, report, jiff::Timestamp::UNIX_EPOCH, &RetryPolicy::default());
    let Some(Notice::NeedsAttention(attention)) = &commit.notice else { panic!("{:?}", commit.notice) };
    assert!(attention.message.contains("held by an operator"), "{}", attention.message);
    commit.apply(&mut record);
    assert_eq!(record.command_state(old), CommandState::Settled(CommandOutcome::Superseded(new)));
    assert_eq!(record.command_state(new), CommandState::Waiting);
    assert_eq!(
        (record.step, record.operation, record.due),
        (Step::SetNetwork, Operation::Create, Due::OnCommand)
    );
    assert_eq!(decided(&record, Power::Running), Decision::Rest);
    record.life.held = false;
    assert_eq!(decided(&record, Power::Running), Decision::Begin);
    let report = Report { outcome: Outcome::Begun, seen_on: None };
    settle(&record, report, jiff::Timestamp::UNIX_EPOCH, &RetryPolicy::default()).apply(&mut record);
    assert_eq!((record.step, record.operation), (Step::Stopping, Operation::Terminate));
    assert_eq!((record.command_state(new), record.attention), (CommandState::UnderWay, None));
}

/// A hold that was there first is taken first.
#[test]
fn a_termination_does_not_overtake_a_hold() {
    let mut record = record_at(Step::SetNetwork, Operation::Create);
    let queued =
        |n: u128, command: Command| QueuedCommand { id: CommandId(uuid::Uuid::from_u128(n)), command };
    let (retry, hold) = (queued(1, Command::Retry), queued(2, Command::Hold));
    let (terminate, release) = (queued(3, Command::Terminate), queued(4, Command::Release));
    let taken = |record: &VmRecord| match decided(record, Power::Running) {
        Decision::Take(queued) => queued.command,
        other => panic!("{other:?}"),
    };
    record.pending = vec![retry.clone(), terminate.clone()];
    assert_eq!(taken(&record), Command::Terminate);
    record.pending = vec![retry, hold, terminate.clone()];
    assert_eq!(taken(&record), Command::Retry);
    record.life.held = true;
    record.pending = vec![release, terminate];
    assert_eq!(taken(&record), Command::Terminate);
}

/// Whatever comes after a hold, nobody is called to work before it is released.
#[test]
fn a_held_machine_is_due_on_command() {
    let mut record = record_at(Step::SetNetwork, Operation::Create);
    record.life.held = true;
    for command in [Command::Retry, Command::Suspend, Command::Reinstall(Box::default())] {
        let queued = QueuedCommand { id: CommandId(uuid::Uuid::from_u128(2)), command };
        let report = Report { outcome: Outcome::Taken(Box::new(queued)), seen_on: None };
        let commit = settle(&record, report, jiff::Timestamp::UNIX_EPOCH, &RetryPolicy::default());
        assert_eq!(commit.due, Some(Due::OnCommand));
    }
}

/// What is suspended while there is no machine is in force for the one that is made next.
#[test]
fn a_removed_machine_can_be_suspended() {
    let template = deploy_testkit::world::ModelMachine::template(p("n1"));
    let number = crate::orders::vmid(crate::orders::TEMPLATE);
    let bench =
        Bench::new(crate::orders::order(crate::orders::plain()), |cluster| cluster.add(number, template));
    let rests = |commands: &[Command]| {
        for command in commands {
            bench.ledger.command(command.clone()).unwrap();
            bench.run(Trouble::default());
        }
        let notices = bench.ledger.with(|state| std::mem::take(&mut state.notices));
        (bench.record().step, notices.iter().map(Notice::kind).collect::<Vec<_>>())
    };
    bench.run(Trouble::default());
    let removed = rests(&[Command::Stop(StopHow::Hard), Command::Remove]);
    assert_eq!(removed, (Step::Removed, vec![NoticeKind::Ready]));
    assert_eq!(rests(&[Command::Suspend]), (Step::Removed, vec![NoticeKind::Suspended]));
    assert_eq!(rests(&[Command::RunOn(Step::Clone)]), (Step::Suspended, vec![]));
    let vmid = bench.record().numbered.vmid;
    let power = || bench.world.with(|cluster| cluster.machines[&vmid].power.clone());
    assert_eq!(power(), Power::Stopped);
    assert_eq!(rests(&[Command::Remove]), (Step::Removed, vec![]));
    let unsuspend = Command::Unsuspend(Resume::AsBefore);
    assert_eq!(rests(&[unsuspend]), (Step::Removed, vec![NoticeKind::Unsuspended]));
    assert_eq!(rests(&[Command::RunOn(Step::Clone)]), (Step::Ready, vec![NoticeKind::Ready]));
    assert_eq!(power(), Power::Running);
}
