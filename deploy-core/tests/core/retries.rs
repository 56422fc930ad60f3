//! Delays: bounded, growing, never nothing; and no failure ends the retrying.

use crate::{bench::tried, machines::at, orders::plain};
use deploy_core::*;
use jiff::{SignedDuration, Timestamp};
use proptest::{collection::vec, prelude::*, sample::select};

const CLASSES: [ErrorClass; 7] = [
    ErrorClass::Unreachable,
    ErrorClass::Busy,
    ErrorClass::Unknown,
    ErrorClass::Failed,
    ErrorClass::Exhausted,
    ErrorClass::Refused,
    ErrorClass::Unauthorized,
];

fn backoff(policy: &RetryPolicy, class: ErrorClass) -> Backoff {
    match class {
        ErrorClass::Unreachable => policy.unreachable,
        ErrorClass::Busy => policy.busy,
        ErrorClass::Unknown => policy.unknown,
        ErrorClass::Failed => policy.failed,
        ErrorClass::Exhausted => policy.exhausted,
        ErrorClass::Refused | ErrorClass::Unauthorized => policy.refused,
    }
}

/// Every way in which a try fails.
fn failures() -> impl Strategy<Value = Outcome<'static>> {
    let class = || select(CLASSES.to_vec());
    let sent = select(vec![Sent::No, Sent::Answered, Sent::Unknown]);
    prop_oneof![
        class().prop_map(|class| Outcome::Failed(Obscured { class, message: "no".to_owned() })),
        Just(Outcome::Impossible("no".to_owned())),
        Just(Outcome::Ineffective("start".to_owned())),
        (class(), sent).prop_map(|(class, sent)| {
            Outcome::NotSent(&Change::Start, SubmitError { class, sent, message: "no".to_owned() })
        }),
    ]
}

proptest! {
    #![proptest_config(tried(500))]

    #[test]
    fn delays_are_bounded_grow_and_are_never_nothing(
        key in any::<u128>(),
        failures in any::<u32>(),
        class in select(CLASSES.to_vec()),
        first in 0..100_000_i64,
        longest in 0..1_000_000_i64,
    ) {
        let key = VmKey(uuid::Uuid::from_u128(key));
        let odd = Backoff::millis(first, longest);
        let odd = RetryPolicy {
            unreachable: odd, busy: odd, unknown: odd, failed: odd, exhausted: odd, refused: odd,
            ..RetryPolicy::default()
        };
        for policy in [RetryPolicy::default(), odd] {
            let Backoff { first, longest } = backoff(&policy, class);
            let delay = policy.delay(key, failures, class);
            let bound = longest.max(first).max(SignedDuration::from_millis(1));
            prop_assert!(delay > SignedDuration::ZERO);
            prop_assert!(delay >= first.min(bound));
            prop_assert!(delay <= bound + bound / 4, "{:?} beyond {:?}", delay, bound);
            // The spread is a quarter at most, so that a doubled delay is always longer.
            for failures in 1..20 {
                let (this, next) = (policy.delay(key, failures, class), policy.delay(key, failures + 1, class));
                prop_assert!(next * 5 >= this * 4, "{:?} after {:?}", next, this);
            }
            prop_assert_eq!(delay, policy.delay(key, failures, class));
        }
    }

    #[test]
    fn no_sequence_of_failures_ends_the_retrying(outcomes in vec(failures(), 1..80), step in 0..14_usize) {
        let policy = RetryPolicy::default();
        let step = Operation::Create.steps()[step];
        let mut record = at(step, plain());
        let mut now = Timestamp::UNIX_EPOCH;
        let mut notices = 0;
        for (before, outcome) in (0..).zip(outcomes) {
            let report = Report { outcome, seen_on: None };
            let commit = settle(&record, report.clone(), now, &policy);
            prop_assert_eq!(&commit, &settle(&record, report, now, &policy));
            commit.apply(&mut record);
            prop_assert_eq!((record.step, record.operation), (step, Operation::Create));
            prop_assert_eq!(record.failures, before + 1);
            let Due::At(due) = record.due else { panic!("nobody tries again") };
            prop_assert!(due > now && due <= now + SignedDuration::from_secs(375));
            prop_assert!(commit.log.is_some());
            notices += usize::from(commit.notice.is_some());
            now = due;
        }
        prop_assert!(notices <= 1, "one notice for as long as it lasts");
        let long = record.failures >= policy.attention_after;
        prop_assert!(!long || record.attention.is_some(), "a human is told in the end");
        // And once it goes, it goes on by itself.
        let done = Report { outcome: Outcome::Done("as ordered".to_owned()), seen_on: None };
        settle(&record, done, now, &policy).apply(&mut record);
        prop_assert_eq!((record.failures, record.attention), (0, None));
        prop_assert_eq!(Some(record.step), Operation::Create.after(step));
    }
}

#[test]
fn machines_that_failed_together_do_not_come_back_together() {
    let policy = RetryPolicy::default();
    let delays: std::collections::BTreeSet<_> = (0..100_u128)
        .map(|key| policy.delay(VmKey(uuid::Uuid::from_u128(key)), 3, ErrorClass::Unreachable))
        .collect();
    assert!(delays.len() > 50, "{} different delays", delays.len());
}

/// Whatever a policy says, a turn is not what fails of it.
#[test]
fn a_policy_beyond_all_times_is_no_reason_to_fail() {
    let for_ever = Backoff::millis(i64::MAX, i64::MAX);
    let policy = RetryPolicy {
        refused: for_ever,
        poll: Backoff { first: SignedDuration::MAX, longest: SignedDuration::MAX },
        late_arrival: SignedDuration::MAX,
        ..RetryPolicy::default()
    };
    for outcome in [
        Outcome::Impossible("no".to_owned()),
        Outcome::Waiting("a lock".to_owned()),
        Outcome::Noted(NoteDown::AwaitClone),
    ] {
        let commit = settle(
            &at(Step::Clone, plain()),
            Report { outcome, seen_on: None },
            Timestamp::UNIX_EPOCH,
            &policy,
        );
        assert!(matches!(commit.due, Some(Due::At(_))));
    }
}

/// Waits for the guest agent as often as the policy says, and tells what became of it.
fn wait_for(span: SignedDuration) -> (VmRecord, Vec<Commit>, u32) {
    let policy = RetryPolicy::default();
    let mut record = at(Step::Starting, plain());
    let start = Timestamp::UNIX_EPOCH;
    let (mut now, mut looks, mut commits) = (start, 0, Vec::new());
    while now.duration_since(start) < span {
        let why = "the guest agent does not answer yet".to_owned();
        let report = Report { outcome: Outcome::Waiting(why), seen_on: None };
        let commit = settle(&record, report, now, &policy);
        commit.apply(&mut record);
        let Due::At(due) = record.due else { panic!("waiting ends by itself only") };
        assert!(due > now, "never without a pause");
        (now, looks) = (due, looks + 1);
        commits.push(commit);
    }
    (record, commits, looks)
}

#[test]
fn a_long_wait_is_looked_at_ever_more_rarely_and_told_once() {
    let (record, commits, looks) = wait_for(SignedDuration::from_mins(5));
    assert_eq!((record.attention, record.failures), (None, 0), "waiting is no failure");
    assert!(looks < 30, "{looks} looks in five minutes");
    let logged = commits.iter().filter(|commit| commit.log.is_some()).count();
    assert_eq!(logged, 1, "once, when it begins");

    let (record, commits, _) = wait_for(SignedDuration::from_hours(3));
    let message = record.attention.expect("a human is told").message;
    assert!(
        message.contains("10 min") && message.contains("the guest agent does not answer yet"),
        "{message}"
    );
    assert_eq!(commits.iter().filter(|commit| commit.notice.is_some()).count(), 1);
    assert_eq!(record.waiting.map(|waiting| waiting.since), Some(Timestamp::UNIX_EPOCH));
}

#[test]
fn what_is_waited_for_ends_with_what_moves_the_machine() {
    let (record, ..) = wait_for(SignedDuration::from_mins(1));
    let after = |outcome| {
        settle(&record, Report { outcome, seen_on: None }, Timestamp::UNIX_EPOCH, &RetryPolicy::default())
            .waiting
    };
    let lost = Obscured { class: ErrorClass::Unknown, message: "lost".to_owned() };
    assert_eq!(after(Outcome::Failed(lost)), None, "a failed look says nothing about it");
    assert_eq!(after(Outcome::Done("ready".to_owned())), Some(None));
    let other = after(Outcome::Waiting("locked".to_owned())).expect("another wait").expect("a wait");
    assert_eq!((other.since, other.why.as_str()), (Timestamp::UNIX_EPOCH, "locked"));
}
