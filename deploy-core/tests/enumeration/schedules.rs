//! Every schedule of every scenario.

use crate::{
    scenario::{Meanwhile, Scenario},
    schedule::Enumeration,
};
use std::{
    num::NonZero,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// A scenario, and how closely it is looked at: the second crash, and the waking of a zombie, at every so many-th point. A
/// zombie is left out where what happens meanwhile is a race with people, whom nobody fences.
struct Part {
    scenario: Scenario,
    crash: usize,
    wake: Option<usize>,
}

fn parts() -> Vec<Part> {
    let part = |scenario, crash, wake| Part { scenario, crash, wake };
    [
        part(Scenario::full(), 5, Some(1)),
        part(Scenario::small(), 5, Some(1)),
        part(Scenario::full_half_done(), 40, Some(24)),
        part(Scenario::taken_back(), 5, Some(1)),
        // Most of its points are looks at one and the same clone.
        part(Scenario::taken_back_slowly(), 20, Some(10)),
        part(Scenario::full_taken_back(), 5, Some(3)),
        part(Scenario::full_with_stranger(), 10, Some(6)),
        part(Scenario::small_with_stranger(), 5, Some(2)),
        part(Scenario::small_late(), 5, Some(4)),
        part(Scenario::taken_back_late(), 5, Some(3)),
        part(Scenario::full_meddled(), 10, None),
        part(Scenario::vanished(), 7, Some(4)),
        part(Scenario::replaced(), 7, None),
        part(Scenario::clone_killed(), 60, Some(40)),
        part(Scenario::terminate_ready(), 5, Some(1)),
        part(Scenario::terminate_blindly(), 5, Some(2)),
        part(Scenario::terminate_cloning(), 5, Some(1)),
        part(Scenario::terminate_beside_stranger(), 5, Some(1)),
        part(Scenario::terminate_replaced(), 5, None),
        part(Scenario::terminate_vanished(), 5, Some(3)),
    ]
    .into()
}

/// What comes before and after each of them is the same as in others, so that they are looked at less closely. Where a command
/// comes meanwhile, it does so at a point that a zombie would know nothing of.
fn commanded() -> Vec<Part> {
    let parts = Scenario::all_commanded().into_iter().map(|scenario| {
        let wake = (scenario.meanwhile == Meanwhile::Nothing).then_some(9);
        Part { scenario, crash: 17, wake }
    });
    [Scenario::reinstall_replaced(), Scenario::keeping_replaced()]
        .map(|scenario| Part { scenario, crash: 17, wake: None })
        .into_iter()
        .chain(parts)
        .collect()
}

/// The points at which a worker dies or is frozen, and at which its successor is.
fn adoptions() -> Vec<Part> {
    let parts = Scenario::all_adoptions().into_iter().map(|scenario| {
        let unraced = matches!(scenario.meanwhile, Meanwhile::Nothing | Meanwhile::TakenBack);
        Part { scenario, crash: 1, wake: unraced.then_some(1) }
    });
    parts.collect()
}

impl Part {
    /// Schedules and those that were left out.
    fn enumerate(&self) -> [usize; 2] {
        let mut sums = [0, 0];
        let mut enumerate = |kind: &str, what: &dyn Fn(&mut Enumeration)| {
            let mut enumeration = Enumeration::of(self.scenario.clone());
            what(&mut enumeration);
            enumeration.assert_sound(kind);
            sums[0] += enumeration.schedules;
            sums[1] += enumeration.left_out;
        };
        enumerate("crashes", &Enumeration::crashes);
        let second = format!("double crashes, the second at every {}. point", self.crash);
        enumerate(&second, &|enumeration| enumeration.double_crashes(self.crash));
        if let Some(nth) = self.wake {
            let kind = format!("zombies woken at every {nth}. point");
            enumerate(&kind, &|enumeration| enumeration.zombies(nth));
        }
        sums
    }
}

#[test]
fn no_crash_and_no_zombie_does_any_harm() {
    let schedules = enumerate(parts());
    assert!(schedules > 20_000, "only {schedules}");
}

#[test]
fn none_during_a_command_does_any_harm() {
    let schedules = enumerate(commanded());
    assert!(schedules > 5_000, "only {schedules}");
}

#[test]
fn none_during_an_adoption_does_any_harm() {
    let schedules = enumerate(adoptions());
    assert!(schedules > 5_000, "only {schedules}");
}

/// How many schedules of these there are; none of them breaks anything.
fn enumerate(parts: Vec<Part>) -> usize {
    let parts = Mutex::new(parts.into_iter());
    let sums = [AtomicUsize::new(0), AtomicUsize::new(0)];
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, NonZero::get) {
            scope.spawn(|| {
                // The lock is not held while a part is enumerated.
                let next = || parts.lock().unwrap().next();
                while let Some(part) = next() {
                    for (sum, more) in sums.iter().zip(part.enumerate()) {
                        sum.fetch_add(more, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let [schedules, left_out] = sums.map(AtomicUsize::into_inner);
    println!("In all: {schedules} schedules, 0 violations ({left_out} left out: frozen on the wire)");
    schedules
}
