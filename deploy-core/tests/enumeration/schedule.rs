//! Schedules: who is stopped where.

use crate::{
    driver::End,
    scenario::{Meanwhile, Scenario, Start, Trouble},
    stage::{LEASE, Stage},
    verdict::{Told, essence, judge, told},
};
use deploy_core::{ChangeKind, RetryPolicy};
use deploy_testkit::world::ModelMachine;
use jiff::SignedDuration;

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
    /// A request left later than it may.
    sent_late: bool,
    essence: Option<ModelMachine>,
    told: Told,
}

/// A scenario and what comes of it undisturbed.
pub(crate) struct Enumeration {
    scenario: Scenario,
    expected: Option<ModelMachine>,
    told: Told,
    /// The polls of the undisturbed worker.
    polls: usize,
    pub(crate) schedules: usize,
    pub(crate) left_out: usize,
    /// Where it is known what to look for: nothing is tried any more once it was found.
    sought: Option<&'static str>,
    pub(crate) violations: Vec<(Schedule, String)>,
}

impl Enumeration {
    pub(crate) fn of(scenario: Scenario) -> Self {
        let sound = Scenario { planted: None, meanwhile: Meanwhile::Nothing, ..scenario.clone() };
        let polls = run(&sound, None, None, &Schedule::Crashes(vec![])).polls;
        let calm = Scenario { trouble: Trouble::Nothing, ..sound };
        let undisturbed = if scenario.commanded.is_some() && scenario.meanwhile != Meanwhile::Nothing {
            // What it must come to whenever that happens.
            let calm = Scenario { meanwhile: scenario.meanwhile, ..calm };
            run(&calm, None, None, &Schedule::Crashes(vec![0]))
        } else {
            run(&calm, None, None, &Schedule::Crashes(vec![]))
        };
        let expected = undisturbed.essence.filter(|_| !scenario.terminates());
        Self {
            scenario,
            expected,
            told: undisturbed.told,
            polls,
            schedules: 0,
            left_out: 0,
            sought: None,
            violations: Vec::new(),
        }
    }

    /// Ends as soon as a violation contains this.
    pub(crate) fn seek(self, what: &'static str) -> Self {
        Self { sought: Some(what), ..self }
    }

    /// What was sought.
    pub(crate) fn found(&self) -> Option<&(Schedule, String)> {
        let sought = self.sought?;
        self.violations.iter().find(|(_, what)| what.contains(sought))
    }

    fn run(&mut self, schedule: &Schedule) {
        if self.found().is_some() {
            return;
        }
        let run = run(&self.scenario, self.expected.as_ref(), Some(&self.told), schedule);
        if run.sent_late {
            self.left_out += 1;
        } else {
            self.schedules += 1;
            self.violations.extend(run.violations.into_iter().map(|what| (schedule.clone(), what)));
        }
    }

    /// The polls of the successor of a worker that is stopped after so many. Not counted as a schedule.
    fn polls_after(&self, polls: usize) -> usize {
        if self.found().is_some() {
            return 0;
        }
        run(&self.scenario, self.expected.as_ref(), None, &Schedule::Crashes(vec![polls])).polls
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
            "{}, {kind}: {} schedules over {} polls ({} left out: frozen on the wire)",
            self.scenario.name, self.schedules, self.polls, self.left_out,
        );
        let count = self.violations.len();
        let few: Vec<_> = self.violations.iter().take(5).collect();
        assert!(few.is_empty(), "{}, {kind}: {count} violations: {few:#?}", self.scenario.name);
    }
}

fn run(
    scenario: &Scenario,
    expected: Option<&ModelMachine>,
    expected_told: Option<&Told>,
    schedule: &Schedule,
) -> Run {
    let mut stage = Stage::new(scenario);
    let (ends, polls) = match schedule {
        Schedule::Crashes(deaths) => {
            for (n, polls) in deaths.iter().enumerate() {
                stage.worker().poll(*polls);
                stage.lose_lease();
                if n == 0 {
                    stage.meanwhile();
                }
            }
            let (polls, end) = stage.worker().finish();
            (vec![end], polls)
        }
        Schedule::Zombie { freezes, wakes } => zombie(&mut stage, *freezes, *wakes),
    };
    let essence = essence(&stage);
    let told = told(&stage);
    let in_turn = matches!(schedule, Schedule::Crashes(_));
    let mut violations = judge(&stage, expected, expected_told, in_turn);
    violations.extend(ends.iter().filter(|end| **end != End::Rest).map(|end| format!("{end:?}")));
    // Elsewhere nobody has the number after it.
    let reused = scenario.start == Start::Commanded;
    let is_too_late = |sent: &(ChangeKind, SignedDuration)| is_too_late(sent, reused);
    let sent_late = stage.world.with(|cluster| cluster.counters.sent_late.iter().any(is_too_late));
    Run { violations, polls, sent_late, essence, told }
}

fn zombie(stage: &mut Stage<'_>, freezes: usize, wakes: usize) -> (Vec<End>, usize) {
    let mut zombie = stage.worker();
    zombie.poll(freezes);
    stage.lose_lease();
    stage.meanwhile();
    let mut successor = stage.worker();
    successor.poll(wakes);
    let end = match zombie.finish().1 {
        // It lost its machine, or had done its work.
        End::Fenced | End::Rest => End::Rest,
        broken @ End::Broken(_) => broken,
    };
    let (polls, last) = successor.finish();
    (vec![end, last], polls)
}

/// A request is held back where it would leave too late. One race remains: a worker stands still between its last look at
/// the clock and the wire, until others took its machine and waited for what might arrive, with a request that the cluster
/// cannot tell from a fresh one.
fn is_too_late((kind, late_by): &(ChangeKind, SignedDuration), reused: bool) -> bool {
    let fresh = match kind {
        ChangeKind::Clone
        | ChangeKind::SetFirewall
        | ChangeKind::Start
        | ChangeKind::Stop
        | ChangeKind::Reset
        | ChangeKind::CreateSnapshot
        | ChangeKind::RollBack
        | ChangeKind::Backup
        | ChangeKind::RestoreBackup => true,
        ChangeKind::JoinPool
        | ChangeKind::Configure
        | ChangeKind::Import
        | ChangeKind::Resize
        | ChangeKind::LeaveHa
        | ChangeKind::DeleteSnapshot
        | ChangeKind::DeleteBackup => false,
        // To a template and back, or to where it stays.
        ChangeKind::Migrate | ChangeKind::Destroy => reused,
    };
    fresh && *late_by >= LEASE + RetryPolicy::default().late_arrival / 2
}
