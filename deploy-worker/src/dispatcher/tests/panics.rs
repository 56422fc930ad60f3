//! Turns that panic, and how people get to know.

use crate::fake::{Bench, advance, key, start_time};
use deploy_core::*;
use jiff::SignedDuration;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn a_panic_is_in_the_log_and_without_end_it_is_told_to_people() {
    let bench = Bench::new(1);
    let worker = bench.start(|_, leased, _| match leased.record.step {
        Step::Clone => panic!("no such node: {}", leased.record.node),
        _ => advance(leased),
    });
    let started = Instant::now();
    bench.until("a human is told", |state| state.rows[&key(0)].record.attention.is_some()).await;
    // 2, 4, 8, 16, 32, 64 s, then 120 s and up to a quarter more each.
    assert!((486..620).contains(&started.elapsed().as_secs()), "{:?}", started.elapsed());
    let record = bench.store.state().rows[&key(0)].record.clone();
    assert_eq!((record.step, record.failures), (Step::Clone, RetryPolicy::default().attention_after));
    let message = "a backend panicked: no such node: n1";
    assert_eq!(record.attention.unwrap().message, message);
    let log = bench.store.state().log.clone();
    let log: Vec<_> = log.iter().map(|entry| (entry.times, entry.line.event.clone())).collect();
    let failed = LogEvent::Failed { class: ErrorClass::Failed, message: message.to_owned() };
    assert_eq!(log, [(record.failures, failed)]);
    assert_eq!(bench.store.state().notices.len(), 1);
    worker.drain().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_panic_that_cannot_be_written_down_is_tried_again_all_the_same() {
    for call in ["reload", "commit"] {
        let bench = Bench::new(1);
        let panics = AtomicUsize::new(0);
        let fault = || CommitError::Store(StoreError::not_written("the disk is full"));
        bench.store.fail(call, fault());
        let worker = bench.start(move |_, leased, _| {
            assert!(panics.fetch_add(1, Ordering::Relaxed) >= 2, "a bug");
            advance(leased)
        });
        let started = Instant::now();
        bench.until_all_ready().await;
        assert!(started.elapsed() > Duration::from_secs(3), "not without pauses: {:?}", started.elapsed());
        let times: Vec<u32> = bench.store.state().log.iter().map(|entry| entry.times).collect();
        assert_eq!(times, [1], "the second panic of two");
        worker.drain().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_over_a_command_keeps_its_delay_though_the_store_calls_the_record_due() {
    for step in [Step::Ready, Step::Clone] {
        let bench = Bench::new(1);
        {
            let mut state = bench.store.state();
            let record = &mut state.rows.get_mut(&key(0)).unwrap().record;
            record.step = step;
            record.due = if step.is_rest() { Due::OnCommand } else { record.due };
        }
        bench.store.command(0, Command::Retry);
        let worker = bench.start(|_, _, _| panic!("a bug"));
        tokio::time::sleep(Duration::from_secs(300)).await;
        let failures = bench.store.state().rows[&key(0)].record.failures;
        // 2, 4, 8, 16, 32, 64, 120 s and up to a quarter more each.
        assert!((7..=8).contains(&failures), "{failures} at {step}");
        let (turns, calls) = (bench.seen().turns, bench.store.state().calls.clone());
        assert_eq!((turns, calls.get("release")), (failures as usize, None), "at {step}");
        let due = bench.store.state().rows[&key(0)].record.due;
        assert_eq!(due == Due::OnCommand, step.is_rest(), "{due:?} at {step}");
        worker.drain().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_does_not_cut_short_what_its_turn_wrote_down_before() {
    let bench = Bench::new(1);
    let arrives = start_time() + SignedDuration::from_secs(60);
    let store = Arc::clone(&bench.store);
    let worker = bench.start(move |_, leased, _| {
        if leased.record.due == Due::At(arrives) {
            return advance(leased);
        }
        store.state().rows.get_mut(&key(0)).unwrap().record.due = Due::At(arrives);
        panic!("after it was written")
    });
    bench.until("it is written down", |state| state.rows[&key(0)].record.failures == 1).await;
    assert_eq!(bench.store.state().rows[&key(0)].record.due, Due::At(arrives));
    bench.until_all_ready().await;
    worker.drain().await.unwrap();
}
