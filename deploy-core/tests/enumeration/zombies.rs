//! Workers that are frozen, lose their machine, and wake.

use crate::{scenario::Scenario, schedule::Enumeration};

fn assert_harmless(scenario: Scenario, nth: usize) {
    let mut enumeration = Enumeration::of(scenario);
    enumeration.zombies(nth);
    enumeration.assert_sound(&format!("zombies woken at every {nth}. point"));
}

#[test]
fn a_zombie_of_a_small_creation_is_harmless() {
    assert_harmless(Scenario::small(), 1);
}

#[test]
fn a_zombie_of_a_full_creation_is_harmless() {
    assert_harmless(Scenario::full(), 1);
}

#[test]
fn a_zombie_that_met_a_stranger_is_harmless() {
    assert_harmless(Scenario::small_with_stranger(), 2);
    assert_harmless(Scenario::full_with_stranger(), 4);
}

#[test]
fn a_zombie_of_a_termination_is_harmless() {
    assert_harmless(Scenario::terminate_ready(), 1);
    assert_harmless(Scenario::terminate_blindly(), 2);
    assert_harmless(Scenario::terminate_cloning(), 1);
    assert_harmless(Scenario::terminate_beside_stranger(), 1);
}

#[test]
fn a_zombie_of_a_creation_that_was_taken_back_is_harmless() {
    assert_harmless(Scenario::taken_back(), 1);
    assert_harmless(Scenario::taken_back_slowly(), 10);
    assert_harmless(Scenario::full_taken_back(), 2);
}
