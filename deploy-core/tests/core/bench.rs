//! Drives one order through turns, on virtual time, with crashes.

use crate::{
    ledger::{Addresses, Ledger, TestClock, WriteFault},
    names::Names,
};
use deploy_core::*;
use deploy_testkit::world::{Cluster, Faults, World};
use jiff::SignedDuration;
use proptest::test_runner::Config as ProptestConfig;
use std::{
    collections::BTreeMap,
    pin::pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

/// What goes wrong, and what is commanded.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trouble {
    pub(crate) faults: Faults,
    pub(crate) writes: Vec<Option<WriteFault>>,
    /// The owner of this turn dies after so many polls.
    pub(crate) crashes: Vec<Option<u8>>,
    pub(crate) refusals: u32,
    /// Commands, by the number of the turn before which they come.
    pub(crate) commands: BTreeMap<u32, Command>,
}

pub(crate) struct Bench {
    pub(crate) clock: Arc<TestClock>,
    pub(crate) world: Arc<World>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) pool: Arc<Addresses>,
    pub(crate) names: Arc<Names>,
    pub(crate) seams: Seams,
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Run {
    pub(crate) turns: u32,
    /// The most turns that were taken within one virtual second.
    pub(crate) busiest_second: u32,
}

/// More turns than any order needs, whatever goes wrong within its script.
const ENOUGH: u32 = 6000;

impl Bench {
    pub(crate) fn new(record: VmRecord, set_up: impl FnOnce(&mut Cluster)) -> Self {
        let clock = Arc::new(TestClock::default());
        let world = Arc::new(World::new(clock.clone()));
        world.with(set_up);
        let ledger = Arc::new(Ledger::new(record));
        let pool = Arc::new(Addresses {
            ledger: ledger.clone(),
            world: world.clone(),
            held: Mutex::default(),
            refusals: Mutex::default(),
        });
        let names = Arc::new(Names::default());
        let seams = Seams {
            hypervisor: world.clone(),
            pool: pool.clone(),
            store: ledger.clone(),
            clock: clock.clone(),
            gate: Arc::new(OpenGate),
            policy: RetryPolicy::default(),
            dns: Some(DnsDesk { store: names.clone(), doorbell: Arc::new(NoDoorbell) }),
        };
        Self { clock, world, ledger, pool, names, seams }
    }

    pub(crate) fn record(&self) -> VmRecord {
        self.ledger.with(|state| state.record.clone())
    }

    /// Takes turns until nothing is due.
    ///
    /// Panics where that takes more turns than it ever should.
    pub(crate) fn run(&self, trouble: Trouble) -> Run {
        let Trouble { faults, writes, crashes, refusals, mut commands } = trouble;
        self.world.with(|cluster| cluster.faults = faults);
        self.ledger.with(|state| state.faults = writes.into());
        *self.pool.refusals.lock().unwrap() = refusals;
        let mut crashes = crashes.into_iter();
        let mut run = Run { turns: 0, busiest_second: 0 };
        let (mut second, mut in_second) = (0, 0);
        let mut leased = self.ledger.lease();
        let mut known = Known::default();
        loop {
            assert!(run.turns < ENOUGH, "no rest after {ENOUGH} turns: {:#?}", leased.record);
            run.turns += 1;
            if let Some(command) = commands.remove(&run.turns) {
                // Whether it is legal is for the store to say.
                let _ = self.ledger.command(command);
            }
            if !self.record().pending.is_empty() {
                leased.record = self.record();
            }
            if self.clock.now().as_second() != second {
                (second, in_second) = (self.clock.now().as_second(), 0);
            }
            in_second += 1;
            run.busiest_second = run.busiest_second.max(in_second);
            match self.turn(&mut leased, std::mem::take(&mut known), crashes.next().flatten()) {
                None => leased = self.ledger.lease(),
                Some(Ok(Turned::Again(machine))) => known.machine = machine,
                Some(Ok(Turned::Task(task, machine))) => {
                    known.machine = machine;
                    self.clock.advance(SignedDuration::from_secs(1));
                    // Every other time the state is known to whoever drives.
                    if run.turns.is_multiple_of(2) {
                        let asked = [task];
                        let tasks = self.seams.hypervisor.tasks(&leased.record.spec.cluster, &asked);
                        known.task = now_or(tasks, u8::MAX).and_then(|states| states.into_iter().next());
                    }
                }
                // Now and then a doorbell rings early.
                Some(Ok(Turned::Until(_))) if run.turns.is_multiple_of(5) => {}
                Some(Ok(Turned::Until(at))) => self.clock.to(at),
                Some(Ok(Turned::Rest)) => {
                    let next = commands.keys().next().copied();
                    match next {
                        Some(turn) => run.turns = run.turns.max(turn - 1),
                        None => break,
                    }
                }
                Some(Ok(Turned::Slot(slot))) => panic!("an open gate is full: {slot}"),
                Some(Err(CommitError::Store(_))) => leased.record = self.record(),
                Some(Err(CommitError::Fenced)) => panic!("fenced without a rival"),
            }
        }
        run
    }

    /// Takes turns for so long, or until nothing is due. `now_and_then` is called after each.
    pub(crate) fn work_for(&self, time: SignedDuration, mut now_and_then: impl FnMut(&Self)) {
        let until = self.clock.now() + time;
        let mut leased = self.ledger.lease();
        while self.clock.now() < until {
            match self.turn(&mut leased, Known::default(), None) {
                Some(Ok(Turned::Again(_))) => {}
                Some(Ok(Turned::Task(..))) => self.clock.advance(SignedDuration::from_secs(1)),
                Some(Ok(Turned::Until(at))) => self.clock.to(at),
                Some(Ok(Turned::Rest)) => return,
                other => panic!("{other:?}"),
            }
            now_and_then(self);
        }
    }

    /// A turn, unless its owner dies within.
    fn turn(
        &self,
        leased: &mut Leased,
        known: Known,
        dies_after: Option<u8>,
    ) -> Option<Result<Turned, CommitError>> {
        now_or(turn(&self.seams, leased, known), dies_after.unwrap_or(u8::MAX))
    }
}

/// So many cases, or as many as `PROPTEST_CASES` says.
pub(crate) fn tried(cases: u32) -> ProptestConfig {
    let told = std::env::var_os("PROPTEST_CASES").is_some();
    let default = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    if told { default } else { ProptestConfig { cases, ..default } }
}

/// Polls a future by hand at most so many times, and drops it.
pub(crate) fn now_or<F: Future>(future: F, polls: u8) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..polls {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
    }
    None
}
