//! Seeds, many of them. A release build runs all; one that checks overflows and the like is slow, and runs some.
#![allow(clippy::print_stdout, reason = "how many there were")]

use simulation::{Outcome, Plan, Planted, run, shrink};
use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};

/// One of so many in a build without optimisation.
const SHARE: u64 = if cfg!(debug_assertions) { 25 } else { 1 };

/// Runs all of these plans, on all processors, and says what came of those that failed.
fn play(what: &str, plans: impl Iterator<Item = Plan> + Send) -> Vec<(Plan, Outcome)> {
    let started = Instant::now();
    let plans = Mutex::new(plans);
    let failed = Mutex::new(Vec::new());
    let [runs, machines, requests, faults, hours] = [const { AtomicU64::new(0) }; 5];
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                // The lock is not held while a plan is run.
                let next = || plans.lock().expect("plans").next();
                while let Some(plan) = next() {
                    let outcome = run(&plan);
                    runs.fetch_add(1, Ordering::Relaxed);
                    machines.fetch_add(plan.machines as u64, Ordering::Relaxed);
                    requests.fetch_add(outcome.requests, Ordering::Relaxed);
                    faults.fetch_add(outcome.faults, Ordering::Relaxed);
                    hours.fetch_add(outcome.passed.as_secs() / 3600, Ordering::Relaxed);
                    if !outcome.violations.is_empty() {
                        failed.lock().expect("failures").push((plan, outcome));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("failures");
    println!(
        "{what}: {runs:?} seeds, {machines:?} machines, {requests:?} requests, {faults:?} faults, {hours:?} virtual hours, \
         {} failed, in {:.1?}",
        failed.len(),
        started.elapsed(),
    );
    failed
}

/// Nothing may have failed; what did is made as simple as it still fails.
#[track_caller]
fn assert_sound(failed: Vec<(Plan, Outcome)>) {
    let count = failed.len();
    let Some((plan, outcome)) = failed.into_iter().min_by_key(|(plan, _)| (plan.machines, plan.seed)) else {
        return;
    };
    let seed = plan.to_string();
    let (simplest, outcome) = shrink(&plan, outcome);
    panic!("{count} failed, {seed} for one; the simplest: {}\n{:#?}", simplest.command(), outcome.violations);
}

#[test]
fn a_thousand_seeds_of_few_machines_end_as_they_must() {
    assert_sound(play("small", (1..=1000 / SHARE).map(Plan::small)));
}

#[test]
fn ten_seeds_of_three_hundred_machines_end_as_they_must() {
    let machines = if cfg!(debug_assertions) { 100 } else { 300 };
    assert_sound(play("large", (1..=10_u64.div_ceil(SHARE)).map(|seed| Plan::large(seed, machines))));
}

#[test]
fn a_seed_is_the_same_run_every_time() {
    for seed in [1, 20] {
        let plan = Plan::small(seed);
        assert_eq!(run(&plan), run(&plan));
    }
    assert_ne!(run(&Plan::small(1)).fingerprint, run(&Plan::small(2)).fingerprint);
}

#[test]
fn planted_bugs_are_seen() {
    for planted in [Planted::FalseAbsence, Planted::NoRevision] {
        let plans = (1..200).map(|seed| Plan { planted: Some(planted), ..Plan::small(seed) });
        let seen = plans.map(|plan| run(&plan)).find(|outcome| !outcome.violations.is_empty());
        println!("{planted:?}: {:?}", seen.as_ref().map(|outcome| &outcome.violations));
        assert!(seen.is_some(), "{planted:?} is not seen");
    }
}

#[test]
fn what_fails_is_made_simpler() {
    let failing = (1..200)
        .map(|seed| Plan { planted: Some(Planted::FalseAbsence), ..Plan::small(seed) })
        .map(|plan| (run(&plan), plan))
        .find(|(outcome, _)| !outcome.violations.is_empty());
    let (outcome, plan) = failing.expect("a seed that fails");
    let (simplest, outcome) = shrink(&plan, outcome);
    assert!(!outcome.violations.is_empty());
    assert!(
        simplest.troubles.len() < plan.troubles.len() && simplest.machines <= plan.machines,
        "{simplest}"
    );
    assert_eq!(run(&simplest), outcome, "and can be repeated");
}
