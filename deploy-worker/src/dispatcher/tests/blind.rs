//! Tasks that nobody can tell about, with the core's own turns.

use crate::{
    Doing,
    dispatcher::Dispatcher,
    fake::{Bench, Mood, State, cloning, key},
};
use deploy_core::*;
use std::time::Duration;
use tokio::time::Instant;

fn task() -> TaskId {
    "UPID:1".parse().unwrap()
}

/// Machines of which the first is being cloned by [`task`].
fn bench(machines: u32) -> Bench {
    let bench = Bench::new(machines);
    {
        let mut state = bench.store.state();
        let record = &mut state.rows.get_mut(&key(0)).unwrap().record;
        (record.step, record.progress) = (Step::Clone, cloning(task()));
    }
    bench
}

fn end_task(bench: &Bench) {
    bench.tasks.ends.lock().unwrap().insert(task(), Instant::now());
}

fn is_submitted(state: &State) -> bool {
    matches!(state.rows[&key(0)].record.progress, Progress::Submitted { .. })
}

fn failures(state: &State) -> u32 {
    state.rows[&key(0)].record.failures
}

#[tokio::test(start_paused = true)]
async fn what_is_unknown_for_a_moment_is_no_failure() {
    let bench = bench(1);
    let worker = Bench::run(bench.core_parts());
    tokio::time::sleep(Duration::from_secs(4)).await;
    end_task(&bench);
    bench.until("it goes on", |state| !is_submitted(state)).await;
    let is_failure = |entry: &LogEntry| matches!(entry.line.event, LogEvent::Failed { .. });
    assert!(!bench.store.state().log.iter().any(is_failure));
    worker.drain().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_was_unknown_for_a_while_goes_on_as_soon_as_it_is_known() {
    let bench = bench(1);
    let worker = Bench::run(bench.core_parts());
    let started = Instant::now();
    bench.until("it is written down", |state| failures(state) == 1).await;
    assert!((5..8).contains(&started.elapsed().as_secs()), "{:?}", started.elapsed());
    let doing = worker.activity().await.remove(0).doing;
    assert!(matches!(doing, Doing::Until(_)), "{doing:?}");
    end_task(&bench);
    let ended = Instant::now();
    bench.until("it goes on", |state| !is_submitted(state)).await;
    // The delay after the first failure is a second, spread by a quarter.
    assert!(ended.elapsed() < Duration::from_millis(1400), "{:?}", ended.elapsed());
    worker.drain().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_stays_unknown_is_told_to_people_and_keeps_its_slots() {
    let mut bench = bench(1);
    bench.limits.template = 1;
    let parts = bench.core_parts();
    let turnstile = std::sync::Arc::clone(&parts.turnstile);
    let worker = Bench::run(parts);
    bench
        .until("a human is told", |state| {
            assert!(is_submitted(state));
            state.rows[&key(0)].record.attention.is_some()
        })
        .await;
    let record = bench.store.state().rows[&key(0)].record.clone();
    assert_eq!(record.failures, RetryPolicy::default().attention_after);
    assert!(record.attention.unwrap().message.contains("never heard of it"));
    let log = bench.store.state().log.clone();
    assert_eq!(log.len(), 1, "one line: {log:?}");
    assert_eq!(log[0].times, record.failures);
    let LogEvent::Failed { class: ErrorClass::Unreachable, message } = &log[0].line.event else {
        panic!("{log:?}")
    };
    assert!(message.contains("never heard of it"), "{message}");
    // At the longest delay, a minute and more, it is still in hand and in its slots.
    let other = bench.store.state().rows[&key(0)].record.clone();
    let template = slots(&other, ChangeKind::Clone, &other.node);
    assert!(turnstile.enter(key(1), &template).is_err());
    turnstile.leave(key(1));
    let asked = bench.tasks.questions.lock().unwrap().len();
    assert!(asked <= 50, "{asked} questions");
    end_task(&bench);
    let ended = Instant::now();
    bench.until("it goes on", |state| !is_submitted(state)).await;
    assert!(ended.elapsed() < Duration::from_secs(76), "{:?}", ended.elapsed());
    worker.drain().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn after_its_delay_a_task_is_asked_about_together_with_the_others() {
    let bench = bench(1);
    bench.store.state().rows.clear();
    for number in 0..50 {
        let mut record = crate::fake::record(number);
        let task = format!("UPID:{number}").parse().unwrap();
        (record.step, record.progress) = (Step::Clone, cloning(task));
        let row = crate::fake::Row { record, owner: None, epoch: 0 };
        bench.store.state().rows.insert(key(number), row);
    }
    let worker = Bench::run(bench.core_parts());
    bench
        .until("all failed four times", |state| state.rows.values().all(|row| row.record.failures >= 4))
        .await;
    let questions = bench.tasks.questions.lock().unwrap().clone();
    // Alone, each would have asked at least four times: 200 questions.
    assert!(questions.len() < 60, "{} questions", questions.len());
    worker.drain().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_short_pass_tells_too() {
    let bench = bench(1);
    let parts = bench.core_parts();
    let report = Dispatcher::new(parts, Some(Instant::now() + Duration::from_secs(1))).run().await.unwrap();
    assert_eq!((report.machines, report.waiting), (1, 1));
    assert_eq!(failures(&bench.store.state()), 1);
}

#[tokio::test(start_paused = true)]
async fn a_question_that_hangs_or_panics_is_told_with_its_reason() {
    let cases =
        [(Mood::Hangs, "no answer within 60 s"), (Mood::Panics, "a backend panicked: a node without a name")];
    for (mood, why) in cases {
        let bench = bench(1);
        *bench.tasks.mood.lock().unwrap() = mood;
        let worker = Bench::run(bench.core_parts());
        bench.until("it is written down", |state| failures(state) == 1).await;
        let event = bench.store.state().log[0].line.event.to_string();
        assert!(event.contains(why), "{event}");
        *bench.tasks.mood.lock().unwrap() = Mood::Answers;
        end_task(&bench);
        bench.until("it goes on", |state| !is_submitted(state)).await;
        worker.drain().await.unwrap();
    }
}
