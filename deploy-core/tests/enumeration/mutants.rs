//! Planted bugs: an enumeration that does not see them proves nothing.

use crate::{scenario::Scenario, schedule::Enumeration, wire::Planted};

fn assert_caught(scenario: Scenario, bug: Planted, by: &str) {
    let slow = scenario.clones_slowly;
    let mut enumeration = Enumeration::of(scenario.planted(bug));
    enumeration.crashes();
    enumeration.zombies(if slow { 30 } else { 7 });
    let caught = enumeration.violations.iter().find(|(_, what)| what.contains(by));
    let few: Vec<_> = enumeration.violations.iter().take(3).collect();
    assert!(
        caught.is_some(),
        "{bug:?} is not caught by {by:?} in {} schedules: {few:?}",
        enumeration.schedules
    );
    println!("{bug:?}: {} violations in {} schedules", enumeration.violations.len(), enumeration.schedules);
}

#[test]
fn a_store_that_does_not_fence_is_caught() {
    assert_caught(Scenario::small(), Planted::UnfencedCommits, "steps of the creation");
}

#[test]
fn a_pool_that_does_not_fence_is_caught() {
    assert_caught(Scenario::taken_back(), Planted::UnfencedPool, "held addresses");
}

#[test]
fn a_log_outside_the_transaction_is_caught() {
    assert_caught(Scenario::small(), Planted::LogOutside, "steps of the creation");
}

#[test]
fn a_clone_under_another_number_is_caught() {
    assert_caught(Scenario::small(), Planted::AnotherNumber, "marked machines");
}

#[test]
fn settings_without_their_revision_are_caught() {
    assert_caught(Scenario::full(), Planted::NoRevision, "slots overwritten");
}

#[test]
fn an_absence_that_is_none_is_caught() {
    assert_caught(Scenario::terminate_blindly(), Planted::FalseAbsence, "machines");
}

#[test]
fn a_disk_that_grows_by_a_difference_is_caught() {
    assert_caught(Scenario::small(), Planted::ResizeBy, "machine:");
}

#[test]
fn rules_that_nobody_looks_for_are_caught() {
    assert_caught(Scenario::full(), Planted::RulesUnseen, "machine:");
}

#[test]
fn a_clone_that_is_not_seen_is_caught() {
    assert_caught(Scenario::taken_back_slowly(), Planted::HiddenClone, "machines");
}
