//! Clocks that stand still, jump, or are set back.

use crate::seams::{Mocks, is_intent, leased, unmet};
use deploy_core::*;
use deploy_testkit::ManualClock;
use jiff::SignedDuration;
use std::sync::Arc;

/// A commit may take as long as a process may be frozen: the time to send in is counted from before it.
#[test]
fn a_change_may_leave_until_half_of_its_time_to_arrive_is_over() {
    let (record, machine) = unmet();
    let clock = Arc::new(ManualClock::default());
    let not_after = clock.now() + RetryPolicy::default().late_arrival / 2;
    let mut mocks = Mocks::new().open();
    mocks.sees(machine);
    let slow = clock.clone();
    mocks.store.expect_commit().withf(|_, c| is_intent(c)).times(1).returning(move |_, _| {
        slow.advance(SignedDuration::from_mins(5));
        Ok(())
    });
    let late = move |target: &Target, _: &Change| target.not_after == Some(not_after);
    let held_back =
        SubmitError { class: ErrorClass::Unreachable, sent: Sent::No, message: "too late".to_owned() };
    mocks.hypervisor.expect_submit().withf(late).times(1).return_once(|_, _| Err(held_back));
    mocks.store.expect_commit().times(1).returning(|_, _| Ok(()));
    let mut leased = leased(record);
    assert!(matches!(mocks.turn_by(clock, &mut leased, Known::default()), Ok(Turned::Until(_))));
    assert_eq!(leased.record.progress, Progress::Untried, "what was not sent is in no doubt");
}

#[test]
fn a_clock_that_was_set_back_does_not_make_a_machine_sleep() {
    let clock = Arc::new(ManualClock::default());
    let policy = RetryPolicy::default();
    let (mut record, mut machine) = unmet();
    machine.lock = Some("backup".to_owned());
    let ordinary = clock.now() + policy.delay(record.key, 50, ErrorClass::Refused);
    record.due = Due::At(ordinary);
    // Nobody is asked anything before a delay of the policy is over.
    let waits = Mocks::new().turn_by(clock.clone(), &mut leased(record.clone()), Known::default());
    assert_eq!(waits, Ok(Turned::Until(ordinary)));
    // No delay of the policy leads there.
    record.due = Due::At(clock.now() + SignedDuration::from_hours(1));
    let mut mocks = Mocks::new().open();
    mocks.sees(machine);
    mocks.commits(vec![|commit| matches!(commit.due, Some(Due::At(_)))]);
    let mut leased = leased(record);
    let Ok(Turned::Until(at)) = mocks.turn_by(clock.clone(), &mut leased, Known::default()) else {
        panic!("it was not looked at")
    };
    assert!(at < clock.now() + SignedDuration::from_mins(1));
}
