//! Workers that die.

use crate::{scenario::Scenario, schedule::Enumeration};

fn all() -> [Scenario; 11] {
    [
        Scenario::small(),
        Scenario::full(),
        Scenario::small_with_stranger(),
        Scenario::full_with_stranger(),
        Scenario::terminate_ready(),
        Scenario::terminate_blindly(),
        Scenario::terminate_cloning(),
        Scenario::terminate_beside_stranger(),
        Scenario::taken_back(),
        Scenario::taken_back_slowly(),
        Scenario::full_taken_back(),
    ]
}

#[test]
fn a_crash_at_any_point_changes_nothing() {
    for scenario in all() {
        let mut enumeration = Enumeration::of(scenario);
        enumeration.crashes();
        enumeration.assert_sound("crashes");
    }
}

#[test]
fn two_crashes_change_nothing() {
    for scenario in all() {
        // Most of its points are looks at one and the same clone.
        let nth = if scenario.clones_slowly { 20 } else { 5 };
        let mut enumeration = Enumeration::of(scenario);
        enumeration.double_crashes(nth);
        enumeration.assert_sound(&format!("double crashes, the second at every {nth}. point"));
    }
}
