//! Seeds, many of them. A release build runs all; one that checks overflows and the like is slow, and runs some.
#![allow(clippy::print_stdout, reason = "how many there were")]

use simulation::{Plan, Planted, Summary, run, shrink};
use std::{num::NonZeroUsize, thread, time::Instant};

/// One of so many in a build without optimisation.
const SHARE: u64 = if cfg!(debug_assertions) { 25 } else { 1 };

/// Nothing may fail; what does is made as simple as it still fails.
#[track_caller]
fn assert_sound(what: &str, plans: impl Iterator<Item = Plan> + Send) {
    let started = Instant::now();
    let threads = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let summary = Summary::of(plans, threads, |_| {});
    println!("{what}: {summary}, in {:.1?}", started.elapsed());
    assert!(summary.is_sound(), "{}", summary.simplest().unwrap_or_default());
}

#[test]
fn a_thousand_seeds_of_few_machines_end_as_they_must() {
    assert_sound("small", (1..=1000 / SHARE).map(Plan::small));
}

#[test]
fn ten_seeds_of_three_hundred_machines_end_as_they_must() {
    let machines = if cfg!(debug_assertions) { 100 } else { 300 };
    assert_sound("large", (1..=10_u64.div_ceil(SHARE)).map(|seed| Plan::large(seed, machines)));
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
    for planted in Planted::ALL {
        // What is wrong at the least; nobody knows how much else comes of it.
        let because = match planted {
            Planted::StaleFilter => "was given back, and the firewall",
            Planted::ForgottenSuspension => "should be suspended",
            Planted::FalseAbsence | Planted::NoRevision => "",
        };
        let plans = (1..400).map(|seed| Plan { planted: Some(planted), ..Plan::small(seed) });
        let mut said = plans.flat_map(|plan| run(&plan).violations);
        let seen = said.find(|violation| violation.contains(because));
        println!("{planted}: {seen:?}");
        assert!(seen.is_some(), "{planted} is not seen");
    }
}

#[test]
fn what_fails_is_made_simpler() {
    let failing = (1..200)
        .map(|seed| Plan { planted: Some(Planted::FalseAbsence), ..Plan::small(seed) })
        .map(|plan| (run(&plan), plan))
        .find(|(outcome, _)| !outcome.is_sound());
    let (outcome, plan) = failing.expect("a seed that fails");
    let (simplest, outcome) = shrink(&plan, outcome);
    assert!(!outcome.is_sound());
    assert!(
        simplest.troubles.len() < plan.troubles.len() && simplest.machines <= plan.machines,
        "{simplest}"
    );
    assert_eq!(run(&simplest), outcome, "and can be repeated");
}
