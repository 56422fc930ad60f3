//! A turn, call by call: what it asks of whom, in which order, and what it does not ask.

use crate::{
    bench::now_or,
    machines::{at, leaving, networked, plain_machine},
    orders::{order, p, plain, vmid},
};
use deploy_core::*;
use deploy_testkit::mocks::{MockClock, MockGate, MockHypervisor, MockIpPool, MockLeaseStore};
use jiff::{SignedDuration, Timestamp};
use mockall::{Sequence, predicate::always};
use std::sync::Arc;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// Seams that expect nothing: whatever is called fails the test.
pub(crate) struct Mocks {
    pub(crate) hypervisor: MockHypervisor,
    pub(crate) pool: MockIpPool,
    pub(crate) store: MockLeaseStore,
    pub(crate) gate: MockGate,
}

impl Mocks {
    pub(crate) fn new() -> Self {
        Self {
            hypervisor: MockHypervisor::new(),
            pool: MockIpPool::new(),
            store: MockLeaseStore::new(),
            gate: MockGate::new(),
        }
    }

    /// The gate is open and may be left at any time.
    pub(crate) fn open(mut self) -> Self {
        self.gate.expect_enter().returning(|_, _| Ok(()));
        self.gate.expect_leave().return_const(());
        self
    }

    pub(crate) fn sees(&mut self, machine: Machine) {
        let sighting = Sighting::Seen(Box::new(machine));
        self.hypervisor.expect_machine().times(1).return_once(move |_, _| sighting);
    }

    /// Exactly these commits, in this order, each judged.
    pub(crate) fn commits(&mut self, judges: Vec<fn(&Commit) -> bool>) {
        let mut order = Sequence::new();
        for judge in judges {
            let expected = self.store.expect_commit().times(1).in_sequence(&mut order);
            expected.withf(move |_, commit| judge(commit)).returning(|_, _| Ok(()));
        }
    }

    pub(crate) fn turn(self, leased: &mut Leased, known: Known) -> Result<Turned, CommitError> {
        let mut clock = MockClock::new();
        clock.expect_now().return_const(NOW);
        self.turn_by(Arc::new(clock), leased, known)
    }

    pub(crate) fn turn_by(
        self,
        clock: Arc<dyn Clock>,
        leased: &mut Leased,
        known: Known,
    ) -> Result<Turned, CommitError> {
        let seams = Seams {
            hypervisor: Arc::new(self.hypervisor),
            pool: Arc::new(self.pool),
            store: Arc::new(self.store),
            clock,
            gate: Arc::new(self.gate),
            policy: RetryPolicy::default(),
            dns: None,
        };
        now_or(turn(&seams, leased, known), 9).unwrap()
    }
}

pub(crate) fn leased(record: VmRecord) -> Leased {
    let worker = WorkerId(uuid::Uuid::from_u128(1));
    Leased::new(Lease { key: record.key, worker, epoch: 1 }, record)
}

/// A record whose machine lacks cores, and that machine.
pub(crate) fn unmet() -> (VmRecord, Machine) {
    let record = at(Step::SetCpuRam, plain());
    let mut machine = plain_machine(&record);
    machine.config.cores = None;
    (record, machine)
}

pub(crate) fn is_intent(commit: &Commit) -> bool {
    matches!(commit.progress, Some(Progress::Intended { .. })) && commit.log.is_none()
}

fn is_failure(commit: &Commit) -> bool {
    matches!(commit.log.as_ref().unwrap().event, LogEvent::Failed { .. })
        && commit.failures.is_some_and(|failures| failures > 0)
        && commit.step.is_none()
}

#[test]
fn the_intent_is_committed_before_anything_is_sent() {
    let (record, machine) = unmet();
    let mut mocks = Mocks::new().open();
    mocks.sees(machine);
    let mut order = Sequence::new();
    mocks
        .store
        .expect_commit()
        .times(1)
        .in_sequence(&mut order)
        .withf(|_, c| is_intent(c))
        .returning(|_, _| Ok(()));
    mocks
        .hypervisor
        .expect_submit()
        .times(1)
        .in_sequence(&mut order)
        .withf(|target, change| target.revision.is_some() && change.kind() == ChangeKind::Configure)
        .returning(|_, _| Ok(Submitted::Applied));
    let sent = |commit: &Commit| matches!(commit.log.as_ref().unwrap().event, LogEvent::Sent { .. });
    mocks
        .store
        .expect_commit()
        .times(1)
        .in_sequence(&mut order)
        .withf(move |_, c| sent(c))
        .returning(|_, _| Ok(()));
    let mut leased = leased(record);
    assert_eq!(mocks.turn(&mut leased, Known::default()), Ok(Turned::Again(None)), "it is looked at again");
    assert!(matches!(leased.record.progress, Progress::Applied { .. }));
}

#[test]
fn what_could_not_be_written_down_is_not_sent() {
    for error in [CommitError::Fenced, StoreError::not_written("disk full").into()] {
        let (record, machine) = unmet();
        let mut mocks = Mocks::new();
        mocks.gate.expect_enter().times(1).returning(|_, _| Ok(()));
        mocks.gate.expect_leave().times(1).return_const(());
        mocks.sees(machine);
        let refused = error.clone();
        mocks.store.expect_commit().times(1).return_once(|_, _| Err(refused));
        let mut leased = leased(record.clone());
        assert_eq!(mocks.turn(&mut leased, Known::default()), Err(error));
        assert_eq!(leased.record, record, "the record in hand is what was committed");
    }
}

#[test]
fn a_full_gate_leaves_everything_as_it_is() {
    let (record, machine) = unmet();
    let slot = Slot::Node(p("main"), p("n1"));
    let (full, wanted) = (slot.clone(), slot.clone());
    let mut mocks = Mocks::new();
    mocks.sees(machine);
    mocks
        .gate
        .expect_enter()
        .times(1)
        .withf(move |_, slots| slots.contains(&wanted))
        .return_once(|_, _| Err(full));
    let mut leased = leased(record.clone());
    assert_eq!(mocks.turn(&mut leased, Known::default()), Ok(Turned::Slot(slot)));
    assert_eq!(leased.record, record);
}

#[test]
fn a_machine_that_is_known_is_not_looked_at_again() {
    let (record, machine) = unmet();
    let done = plain_machine(&record);
    let mut mocks = Mocks::new().open();
    mocks.commits(vec![|commit| commit.step == Some(Step::SetSystemDiskSize)]);
    let known = Known { machine: Some(Box::new(done.clone())), task: None };
    let turned = mocks.turn(&mut leased(record.clone()), known);
    assert_eq!(turned, Ok(Turned::Again(Some(Box::new(done)))), "what was seen still holds");

    let mut mocks = Mocks::new().open();
    mocks.sees(plain_machine(&record));
    mocks.commits(vec![|commit| commit.step == Some(Step::SetFirewall)]);
    let network = at(Step::SetNetwork, plain());
    let known = Known { machine: Some(Box::new(Machine { look: Look::POWER, ..machine })), task: None };
    mocks.turn(&mut leased(network), known).unwrap();
}

#[test]
fn a_look_asks_for_what_the_step_needs() {
    let settings = Look::CONFIG.and(Look::PENDING);
    let again = |record| VmRecord { failures: 1, ..record };
    let asked = [
        (at(Step::SetNetwork, networked()), settings),
        (at(Step::SetFirewall, networked()), settings.and(Look::RULES).and(Look::FILTERS)),
        (again(at(Step::SetFirewall, networked())), settings.and(Look::FIREWALL)),
        (again(at(Step::Clone, networked())), settings),
        (at(Step::Starting, networked()), settings),
        (again(at(Step::Starting, networked())), settings.and(Look::POWER)),
        (leaving(Step::DeletingBackups), Look::CONFIG.and(Look::BACKUPS)),
        (leaving(Step::Removing), Look::CONFIG.and(Look::POWER).and(Look::HA).and(Look::SNAPSHOTS)),
    ];
    for (record, wanted) in asked {
        let mut mocks = Mocks::new().open();
        let lost = || Obscured { class: ErrorClass::Unreachable, message: "no route".to_owned() };
        mocks
            .hypervisor
            .expect_machine()
            .times(1)
            .withf(move |_, look| *look == wanted)
            .return_once(move |_, _| Sighting::Unknown(lost()));
        mocks.commits(vec![is_failure]);
        let turned = mocks.turn(&mut leased(record), Known::default()).unwrap();
        assert!(matches!(turned, Turned::Until(at) if at > NOW));
    }
}

fn submitted(pending: Vec<QueuedCommand>) -> VmRecord {
    let (record, _) = unmet();
    let change = Sending::from(&Change::Start);
    let progress = Progress::Submitted { task: p("UPID:1"), change };
    VmRecord { progress, pending, ..record }
}

#[test]
fn a_task_s_state_that_is_known_is_not_asked_for() {
    let mut mocks = Mocks::new().open();
    mocks.commits(vec![|commit| matches!(commit.progress, Some(Progress::Applied { .. }))]);
    let known = Known { task: Some(TaskState::Ended(Ended::Ok)), machine: None };
    assert_eq!(mocks.turn(&mut leased(submitted(vec![])), known), Ok(Turned::Again(None)));
}

#[test]
fn a_task_that_runs_is_waited_for_and_nothing_is_written() {
    let mut mocks = Mocks::new().open();
    mocks.hypervisor.expect_tasks().times(1).return_once(|_, _| vec![TaskState::Running]);
    let mut leased = leased(submitted(vec![]));
    assert_eq!(mocks.turn(&mut leased, Known::default()), Ok(Turned::Task(p("UPID:1"), None)));
}

#[test]
fn a_task_that_nobody_can_ask_about_is_told_and_keeps_its_slots() {
    // No expectation on the gate: it is not left.
    let mut mocks = Mocks::new();
    mocks.commits(vec![|commit| {
        let told = matches!(&commit.log.as_ref().unwrap().event, LogEvent::Failed { message, .. } if message.contains("no route"));
        told && commit.failures == Some(1) && commit.progress.is_none()
    }]);
    let mut leased = leased(submitted(vec![]));
    let known = Known { task: Some(TaskState::Unknown("no route".to_owned())), machine: None };
    let Ok(Turned::Until(at)) = mocks.turn(&mut leased, known) else { panic!("it does not pause") };
    assert_eq!(leased.record.due, Due::At(at));
    assert!(matches!(leased.record.progress, Progress::Submitted { .. }), "the task is still waited for");
}

#[test]
fn while_a_task_runs_no_command_begins() {
    let id = CommandId(uuid::Uuid::from_u128(1));
    let record = submitted(vec![QueuedCommand { id, command: Command::Terminate }]);
    let mut mocks = Mocks::new().open();
    mocks.hypervisor.expect_tasks().times(1).return_once(|_, _| vec![TaskState::Running]);
    assert_eq!(
        mocks.turn(&mut leased(record.clone()), Known::default()),
        Ok(Turned::Task(p("UPID:1"), None))
    );

    let mut mocks = Mocks::new().open();
    mocks.commits(vec![|commit| {
        commit.operation == Some(Operation::Terminate) && commit.step == Some(Step::Stopping)
    }]);
    let record = VmRecord { progress: Progress::Untried, ..record };
    let mut leased = leased(record);
    assert_eq!(mocks.turn(&mut leased, Known::default()), Ok(Turned::Again(None)), "and nobody looks first");
    assert!(leased.record.pending.is_empty());
}

#[test]
fn a_lost_answer_keeps_the_intent_and_a_refusal_does_not() {
    let outcomes = [(Sent::Unknown, true), (Sent::Answered, false), (Sent::No, false)];
    for (sent, keeps) in outcomes {
        let (record, machine) = unmet();
        let mut mocks = Mocks::new().open();
        mocks.sees(machine);
        let error = SubmitError { class: ErrorClass::Failed, sent, message: "no".to_owned() };
        mocks.hypervisor.expect_submit().times(1).return_once(|_, _| Err(error));
        mocks.commits(vec![is_intent, is_failure]);
        let mut leased = leased(record);
        assert!(matches!(mocks.turn(&mut leased, Known::default()), Ok(Turned::Until(at)) if at > NOW));
        assert_eq!(matches!(leased.record.progress, Progress::Intended { .. }), keeps, "{sent:?}");
        assert_eq!(leased.record.step, Step::SetCpuRam);
    }
}

#[test]
fn slots_are_held_while_a_task_runs_and_given_back_when_it_has_ended() {
    let (record, machine) = unmet();
    let mut mocks = Mocks::new();
    mocks.gate.expect_enter().times(1).returning(|_, _| Ok(()));
    mocks.gate.expect_leave().never();
    mocks.sees(machine);
    mocks.hypervisor.expect_submit().times(1).return_once(|_, _| Ok(Submitted::Task(p("UPID:9"))));
    mocks.commits(vec![is_intent, |commit| commit.progress.is_some()]);
    let mut leased = leased(record);
    assert_eq!(mocks.turn(&mut leased, Known::default()), Ok(Turned::Task(p("UPID:9"), None)));

    let mut mocks = Mocks::new();
    mocks.gate.expect_leave().times(1).return_const(());
    mocks.commits(vec![is_failure]);
    let ended = Ended::Failed { class: ErrorClass::Failed, message: "exit code 1".to_owned() };
    let known = Known { task: Some(TaskState::Ended(ended)), machine: None };
    mocks.turn(&mut leased, known).unwrap();
    assert_eq!(leased.record.progress, Progress::Untried);
}

#[test]
fn a_full_pool_leaves_the_step_and_the_log_says_why() {
    let record = VmRecord { step: Step::SetIp, ..order(networked()) };
    let mut mocks = Mocks::new().open();
    let refused =
        AssignError::Refused { class: ErrorClass::Exhausted, message: "pool customers is full".to_owned() };
    mocks
        .pool
        .expect_assign()
        .times(1)
        .withf(|_, requests| requests.iter().map(|request| request.count).collect::<Vec<_>>() == [2, 1])
        .return_once(|_, _| Err(refused));
    let says = |commit: &Commit| {
        commit.log.as_ref().unwrap().event.to_string().contains("pool customers is full")
            && matches!(commit.notice, Some(Notice::NeedsAttention(_)))
    };
    mocks.commits(vec![says]);
    let mut leased = leased(record);
    assert!(matches!(mocks.turn(&mut leased, Known::default()), Ok(Turned::Until(_))));
    assert_eq!(leased.record.step, Step::SetIp);
    assert!(leased.record.addresses.is_empty());
}

#[test]
fn a_fenced_pool_stops_everything() {
    let mut mocks = Mocks::new();
    mocks.pool.expect_release().times(1).returning(|_| Err(AssignError::Fenced));
    let turned = mocks.turn(&mut leased(leaving(Step::ReleasingIp)), Known::default());
    assert_eq!(turned, Err(CommitError::Fenced));
}

#[test]
fn waiting_for_the_same_again_is_not_written_again() {
    let (record, mut machine) = unmet();
    machine.lock = Some("backup".to_owned());
    let poll = RetryPolicy::default().poll.first;
    let mut leased = leased(record);
    let mut mocks = Mocks::new();
    mocks.sees(machine.clone());
    mocks.commits(vec![|commit| matches!(commit.log.as_ref().unwrap().event, LogEvent::Waiting { .. })]);
    assert_eq!(mocks.turn(&mut leased, Known::default()), Ok(Turned::Until(NOW + poll)));
    leased.record.due = Due::At(NOW);
    let mut mocks = Mocks::new();
    mocks.sees(machine.clone());
    assert_eq!(
        mocks.turn(&mut leased, Known::default()),
        Ok(Turned::Until(NOW + poll)),
        "nothing is written"
    );
    let mut mocks = Mocks::new();
    machine.lock = Some("snapshot".to_owned());
    mocks.sees(machine);
    mocks.commits(vec![|commit| commit.log.as_ref().unwrap().event.to_string().contains("snapshot")]);
    mocks.turn(&mut leased, Known::default()).unwrap();
}

#[test]
fn a_stranger_s_number_is_exchanged_and_the_names_with_it() {
    let record = VmRecord { step: Step::Clone, failures: 1, ..order(plain()) };
    let mut machine = plain_machine(&record);
    machine.config.description.clear();
    let mut mocks = Mocks::new().open();
    mocks.sees(machine);
    mocks
        .store
        .expect_renumber()
        .times(1)
        .with(always(), mockall::predicate::eq(vmid(1001)))
        .returning(|_, _| Ok(vmid(1002)));
    mocks.commits(vec![|commit| commit.numbered.is_some() && commit.step.is_none()]);
    let mut leased = leased(record);
    assert_eq!(mocks.turn(&mut leased, Known::default()), Ok(Turned::Again(None)));
    assert_eq!(leased.record.numbered.vmid, vmid(1002));
    assert_eq!(leased.record.numbered.fqdn, p("vps-1002.example.net"));
    assert_eq!(leased.record.numbered.pve_name, p("vps-1002.example.net"));
}

#[test]
fn a_number_is_not_exchanged_where_none_is_left() {
    let record = VmRecord { step: Step::Clone, failures: 1, ..order(plain()) };
    let mut machine = plain_machine(&record);
    machine.config.description.clear();
    let mut mocks = Mocks::new().open();
    mocks.sees(machine);
    let range = VmidRange::new(vmid(1001), vmid(1001)).unwrap();
    let full = RenumberError::Exhausted { cluster: p("main"), range };
    mocks.store.expect_renumber().times(1).return_once(|_, _| Err(full));
    mocks.commits(vec![is_failure]);
    let mut leased = leased(record);
    assert!(matches!(mocks.turn(&mut leased, Known::default()), Ok(Turned::Until(_))));
    assert_eq!(leased.record.numbered.vmid, vmid(1001));
}

#[test]
fn at_rest_nobody_is_asked_anything() {
    let record = VmRecord { due: Due::OnCommand, ..at(Step::Ready, plain()) };
    assert_eq!(Mocks::new().turn(&mut leased(record), Known::default()), Ok(Turned::Rest));
}

/// A doorbell that rings, or a record read anew, cuts no delay short.
#[test]
fn before_it_is_due_nobody_is_asked_anything() {
    let later = NOW + SignedDuration::from_secs(30);
    let (record, machine) = unmet();
    let record = VmRecord { due: Due::At(later), failures: 3, ..record };
    assert_eq!(Mocks::new().turn(&mut leased(record.clone()), Known::default()), Ok(Turned::Until(later)));
    let known = Known { machine: Some(Box::new(machine)), task: None };
    assert_eq!(Mocks::new().turn(&mut leased(record.clone()), known), Ok(Turned::Until(later)));

    let id = CommandId(uuid::Uuid::from_u128(1));
    let record = VmRecord { pending: vec![QueuedCommand { id, command: Command::Retry }], ..record };
    let mut mocks = Mocks::new().open();
    mocks.commits(vec![|commit| commit.due == Some(Due::At(NOW)) && commit.failures == Some(0)]);
    assert_eq!(mocks.turn(&mut leased(record), Known::default()), Ok(Turned::Again(None)));
}

/// Only a delay after a failure is cut short on command, and not the time that a clone has to arrive.
#[test]
fn trying_again_on_command_does_not_shorten_the_wait_for_a_clone() {
    let later = NOW + SignedDuration::from_secs(60);
    let id = CommandId(uuid::Uuid::from_u128(1));
    let pending = vec![QueuedCommand { id, command: Command::Retry }];
    let life = Life { not_before: Some(later), ..Life::default() };
    let record = VmRecord { due: Due::At(NOW), pending, life, ..leaving(Step::Removing) };
    let mut mocks = Mocks::new().open();
    mocks.commits(vec![|commit| {
        commit.due == Some(Due::At(NOW + SignedDuration::from_secs(60))) && commit.consume.is_some()
    }]);
    assert_eq!(mocks.turn(&mut leased(record), Known::default()), Ok(Turned::Until(later)));
}
