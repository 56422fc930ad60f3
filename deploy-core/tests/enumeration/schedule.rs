//! Schedules: who is stopped where.

use crate::{
    driver::End,
    ledger::Sending,
    scenario::Scenario,
    stage::{LEASE, Stage},
    verdict::{essence, judge},
};
use deploy_core::{ChangeKind, Clock, RetryPolicy};
use deploy_testkit::world::ModelMachine;

/// Who is stopped where, in polls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Schedule {
    /// Each worker dies after so many; the last one does its work.
    Crashes(Vec<usize>),
    /// The first worker freezes after so many, and wakes after so many of its successor.
    Zombie { freezes: usize, wakes: usize },
}

/// What came of a schedule.
struct Run {
    violations: Vec<String>,
    /// The polls of the last worker.
    polls: usize,
    /// A request was held up for longer than any is assumed to be.
    too_late: bool,
    essence: Option<ModelMachine>,
}

/// A scenario and what comes of it undisturbed.
pub(crate) struct Enumeration {
    scenario: Scenario,
    expected: Option<ModelMachine>,
    /// The polls of the undisturbed worker.
    polls: usize,
    pub(crate) schedules: usize,
    too_late: usize,
    pub(crate) violations: Vec<(Schedule, String)>,
}

impl Enumeration {
    pub(crate) fn of(scenario: Scenario) -> Self {
        let sound = Scenario { planted: None, taken_back: false, ..scenario.clone() };
        let undisturbed = run(&sound, None, &Schedule::Crashes(vec![]));
        let expected = undisturbed.essence.filter(|_| !scenario.terminates());
        let polls = undisturbed.polls;
        Self { scenario, expected, polls, schedules: 0, too_late: 0, violations: Vec::new() }
    }

    fn run(&mut self, schedule: &Schedule) {
        let run = run(&self.scenario, self.expected.as_ref(), schedule);
        if run.too_late {
            self.too_late += 1;
        } else {
            self.schedules += 1;
            self.violations.extend(run.violations.into_iter().map(|what| (schedule.clone(), what)));
        }
    }

    /// The polls of the successor of a worker that is stopped after so many. Not counted as a schedule.
    fn polls_after(&self, polls: usize) -> usize {
        run(&self.scenario, self.expected.as_ref(), &Schedule::Crashes(vec![polls])).polls
    }

    /// A crash at every point.
    pub(crate) fn crashes(&mut self) {
        for k in 0..=self.polls {
            self.run(&Schedule::Crashes(vec![k]));
        }
    }

    /// A crash at every point, and another at every `nth` of the successor's.
    pub(crate) fn double_crashes(&mut self, nth: usize) {
        for k in 0..=self.polls {
            let polls = self.polls_after(k);
            for second in (k % nth..=polls).step_by(nth) {
                self.run(&Schedule::Crashes(vec![k, second]));
            }
        }
    }

    /// A zombie frozen at every point, woken at every `nth` of its successor's and when that is done.
    pub(crate) fn zombies(&mut self, nth: usize) {
        for freezes in 0..=self.polls {
            let polls = self.polls_after(freezes);
            for wakes in (freezes % nth..polls).step_by(nth).chain([polls]) {
                self.run(&Schedule::Zombie { freezes, wakes });
            }
        }
    }

    /// Nothing may have gone wrong.
    pub(crate) fn assert_sound(&self, kind: &str) {
        println!(
            "{}, {kind}: {} schedules over {} polls ({} left out: held up for too long)",
            self.scenario.name, self.schedules, self.polls, self.too_late,
        );
        let count = self.violations.len();
        let few: Vec<_> = self.violations.iter().take(5).collect();
        assert!(few.is_empty(), "{}, {kind}: {count} violations: {few:#?}", self.scenario.name);
    }
}

fn run(scenario: &Scenario, expected: Option<&ModelMachine>, schedule: &Schedule) -> Run {
    let mut stage = Stage::new(scenario);
    let (ends, polls, too_late) = match schedule {
        Schedule::Crashes(deaths) => {
            for (n, polls) in deaths.iter().enumerate() {
                stage.worker().poll(*polls);
                stage.lose_lease();
                if n == 0 && scenario.taken_back {
                    stage.terminate();
                }
            }
            let (polls, end) = stage.worker().finish();
            (vec![end], polls, false)
        }
        Schedule::Zombie { freezes, wakes } => zombie(&mut stage, *freezes, *wakes),
    };
    let essence = essence(&stage);
    let mut violations = judge(&stage, expected);
    violations.extend(ends.iter().filter(|end| **end != End::Rest).map(|end| format!("{end:?}")));
    Run { violations, polls, too_late, essence }
}

fn zombie(stage: &mut Stage<'_>, freezes: usize, wakes: usize) -> (Vec<End>, usize, bool) {
    let mut zombie = stage.worker();
    zombie.poll(freezes);
    let arrived = stage.world.with(|cluster| cluster.counters.changes);
    let held_up = zombie.sending.lock().unwrap().filter(|sending| sending.before == arrived);
    stage.lose_lease();
    if stage.scenario.taken_back {
        stage.terminate();
    }
    let mut successor = stage.worker();
    successor.poll(wakes);
    let too_late = held_up.is_some_and(|sending| is_too_late(stage, &sending));
    let end = match zombie.finish().1 {
        // It lost its machine, or had done its work.
        End::Fenced | End::Rest => End::Rest,
        broken @ End::Broken(_) => broken,
    };
    let (polls, last) = successor.finish();
    (vec![end, last], polls, too_late)
}

/// No fence reaches the request that a worker sends when it wakes between the commit of the intent and the request. What
/// the cluster cannot tell from a fresh one (a clone, a rule) is waited for, but for no longer than the policy says from
/// when the lease was over: the race that remains is a worker that stands still for longer than both.
fn is_too_late(stage: &Stage<'_>, sending: &Sending) -> bool {
    let held_up = stage.clock.now().duration_since(sending.at);
    matches!(sending.kind, ChangeKind::Clone | ChangeKind::SetFirewall)
        && held_up >= LEASE + RetryPolicy::default().late_arrival
}
