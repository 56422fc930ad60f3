//! Clocks that stand still, jump, or are set back.

use crate::seams::{Mocks, is_intent, leased, unmet};
use deploy_core::*;
use deploy_testkit::ManualClock;
use jiff::SignedDuration;
use std::sync::Arc;

#[test]
fn a_worker_that_was_frozen_over_its_intent_sends_nothing() {
    for (frozen_for, sends) in [(SignedDuration::from_secs(1), 1), (SignedDuration::from_mins(5), 0)] {
        let (record, machine) = unmet();
        let clock = Arc::new(ManualClock::default());
        let mut mocks = Mocks::new().open();
        mocks.sees(machine);
        let slow = clock.clone();
        mocks.store.expect_commit().withf(|_, c| is_intent(c)).times(1).returning(move |_, _| {
            slow.advance(frozen_for);
            Ok(())
        });
        mocks.store.expect_commit().times(sends).returning(|_, _| Ok(()));
        mocks.hypervisor.expect_submit().times(sends).returning(|_, _| Ok(Submitted::Applied));
        let mut leased = leased(record);
        assert_eq!(mocks.turn_by(clock, &mut leased, Known::default()), Ok(Turned::Again(None)));
        assert_eq!(matches!(leased.record.progress, Progress::Intended { .. }), sends == 0);
    }
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
