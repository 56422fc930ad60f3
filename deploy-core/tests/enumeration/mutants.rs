//! Planted bugs: an enumeration that does not see them proves nothing.

use crate::{planted::Planted, scenario::Scenario, schedule::Enumeration};

/// Each of the invariants that the bug breaks must see it, also alone.
fn assert_caught(scenario: &Scenario, bug: Planted, by: &[&'static str]) {
    for by in by {
        let mut enumeration = Enumeration::of(scenario.clone().planted(bug)).seek(by);
        enumeration.crashes();
        // Most bugs show soon, some only at one point of many.
        for nth in [9, 1] {
            enumeration.zombies(nth);
        }
        let schedules = enumeration.schedules;
        let Some((schedule, what)) = enumeration.found() else {
            let few: Vec<_> = enumeration.violations.iter().take(3).collect();
            panic!("{bug:?} is not caught by {by:?} in {schedules} schedules: {few:#?}");
        };
        println!("{bug:?}: caught after {schedules} schedules, by {schedule:?}: {what}");
    }
}

#[test]
fn a_store_that_does_not_fence_is_caught() {
    assert_caught(
        &Scenario::small(),
        Planted::UnfencedCommits,
        &["a commit by a worker that lost its machine", "steps of the creation"],
    );
}

#[test]
fn a_pool_that_does_not_fence_is_caught() {
    assert_caught(
        &Scenario::taken_back(),
        Planted::UnfencedPool,
        &["addresses taken by a worker that lost", "held addresses"],
    );
}

#[test]
fn a_log_outside_the_transaction_is_caught() {
    assert_caught(
        &Scenario::small(),
        Planted::LogOutside,
        &["steps of the creation", "notices that it is ready"],
    );
}

#[test]
fn an_intent_that_is_written_down_too_late_is_caught() {
    assert_caught(&Scenario::taken_back_late(), Planted::IntentLate, &["machines"]);
}

#[test]
fn a_number_that_does_not_rest_is_caught() {
    assert_caught(&Scenario::terminate_ready(), Planted::NoRest, &["resting number"]);
}

#[test]
fn a_clone_without_a_look_is_caught() {
    assert_caught(&Scenario::small(), Planted::NoLook, &["clones over a machine"]);
}

#[test]
fn a_clone_under_another_number_is_caught() {
    assert_caught(&Scenario::small(), Planted::AnotherNumber, &["marked machines"]);
}

#[test]
fn a_clone_that_is_tried_again_under_the_next_number_is_caught() {
    assert_caught(&Scenario::small(), Planted::NextNumber, &["marked machines"]);
}

#[test]
fn a_slot_that_is_chosen_at_each_try_is_caught() {
    assert_caught(&Scenario::full(), Planted::BlindSlot, &["machine:"]);
}

#[test]
fn settings_without_their_revision_are_caught() {
    assert_caught(&Scenario::full(), Planted::NoRevision, &["slots overwritten", "volumes"]);
}

#[test]
fn an_absence_that_is_none_is_caught() {
    assert_caught(&Scenario::terminate_blindly(), Planted::FalseAbsence, &["machines"]);
}

#[test]
fn addresses_that_are_given_back_too_early_are_caught() {
    let by = &["addresses given back while there still was"];
    assert_caught(&Scenario::terminate_ready(), Planted::ReleasedEarly, by);
}

#[test]
fn a_disk_that_grows_by_a_difference_is_caught() {
    assert_caught(&Scenario::small(), Planted::ResizeBy, &["machine:"]);
}

#[test]
fn rules_that_nobody_looks_for_are_caught() {
    assert_caught(&Scenario::full(), Planted::RulesUnseen, &["rules twice"]);
}

#[test]
fn a_clone_that_is_not_seen_is_caught() {
    assert_caught(&Scenario::taken_back_slowly(), Planted::HiddenClone, &["machines"]);
}

#[test]
fn a_machine_that_is_judged_too_early_is_caught() {
    assert_caught(&Scenario::full(), Planted::JudgedWhileBusy, &["machines"]);
}

#[test]
fn a_start_while_something_is_pending_is_caught() {
    assert_caught(&Scenario::full_meddled(), Planted::PendingUnseen, &["starts while something was pending"]);
}

#[test]
fn a_start_with_other_settings_than_ordered_is_caught() {
    assert_caught(&Scenario::full_meddled(), Planted::DriftUnseen, &["machine:"]);
}

#[test]
fn a_machine_that_is_known_by_its_number_is_caught() {
    assert_caught(&Scenario::terminate_replaced(), Planted::IdentityUnread, &["stranger"]);
}

#[test]
fn an_address_that_is_replaced_without_the_ip_set_is_caught() {
    let by = &["given back while the machine's filter lets it out", "machine:"];
    assert_caught(&Scenario::dedicated_ip(), Planted::FilterKept, by);
}

#[test]
fn a_replaced_address_that_nobody_gives_back_is_caught() {
    assert_caught(&Scenario::dedicated_ip(), Planted::RetiringForgotten, &["held addresses"]);
}

#[test]
fn a_machine_that_is_not_started_again_is_caught() {
    assert_caught(&Scenario::change_package(), Planted::RanForgotten, &["machine:"]);
}

#[test]
fn a_change_of_package_without_a_revision_is_caught() {
    assert_caught(&Scenario::change_package(), Planted::NoRevision, &["slots overwritten"]);
}

#[test]
fn a_destroy_that_hits_the_next_machine_is_caught() {
    assert_caught(&Scenario::reinstall_late(), Planted::LateForgotten, &["machine"]);
}

#[test]
fn a_start_that_undoes_a_suspension_is_caught() {
    assert_caught(&Scenario::start_late_suspended(), Planted::LateForgotten, &["machine:"]);
}

#[test]
fn an_adoption_that_does_not_read_the_uuid_is_caught() {
    assert_caught(&Scenario::adopt_replaced(), Planted::UuidUnread, &["stranger"]);
}

#[test]
fn an_end_that_destroys_what_was_not_adopted_is_caught() {
    assert_caught(&Scenario::adopt_taken_back(), Planted::AdoptionForgotten, &["machine: it is gone"]);
}

#[test]
fn other_addresses_than_the_adopted_machine_has_are_caught() {
    assert_caught(&Scenario::adopt(), Planted::AnyAddress, &["held addresses"]);
}

#[test]
fn a_reinstallation_that_does_not_read_the_identity_is_caught() {
    assert_caught(&Scenario::reinstall_replaced(), Planted::IdentityUnread, &["stranger"]);
}

#[test]
fn a_data_disk_that_goes_with_the_old_one_is_caught() {
    assert_caught(&Scenario::keeping(), Planted::DataDiskDropped, &["additional disk scsi1", "machine:"]);
}

#[test]
fn a_disk_that_is_given_up_before_there_is_another_is_caught() {
    let by = &["times that there was no system disk"];
    assert_caught(&Scenario::keeping(), Planted::UnpluggedBefore, by);
}

#[test]
fn a_copy_without_a_revision_is_caught() {
    assert_caught(&Scenario::keeping_late(), Planted::NoRevision, &["slots overwritten", "machine:"]);
}

#[test]
fn a_disk_that_is_not_known_as_the_old_one_is_caught() {
    assert_caught(&Scenario::keeping(), Planted::OldDiskForgotten, &["old system disk is left"]);
}

#[test]
fn an_exchange_that_does_not_read_the_identity_is_caught() {
    assert_caught(&Scenario::keeping_replaced(), Planted::IdentityUnread, &["stranger"]);
}

#[test]
fn a_reinstallation_over_a_machine_that_is_still_there_is_caught() {
    assert_caught(&Scenario::reinstall(), Planted::ReleasedEarly, &["clones over a machine"]);
}

#[test]
fn a_backup_that_is_known_by_its_age_is_caught() {
    let by = &["somebody else's backup", "receipt"];
    assert_caught(&Scenario::terminate_ready(), Planted::BackupByAge, by);
}
