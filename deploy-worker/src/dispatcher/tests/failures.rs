//! What goes wrong with one machine, or with the store, and what does not come of it.

use crate::fake::{Act, Bench, advance, key};
use deploy_core::*;
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use tokio::time::Instant;

fn store_error(outcome: StoreOutcome) -> CommitError {
    CommitError::Store(StoreError { message: "the disk is full".to_owned(), outcome })
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_panics_harms_nobody_and_is_tried_again() {
    let bench = Bench::new(20);
    let panics = AtomicUsize::new(0);
    let worker = bench.start(move |_, leased, _| {
        let unlucky = leased.lease.key == key(7) && leased.record.step == Step::Clone;
        assert!(!unlucky || panics.fetch_add(1, Ordering::Relaxed) >= 3, "a bug");
        advance(leased)
    });
    let started = Instant::now();
    bench
        .until("the others are ready", |state| {
            state.rows.values().filter(|row| row.record.step == Step::Ready).count() == 19
        })
        .await;
    assert!(started.elapsed() < Duration::from_secs(1));
    bench.until_all_ready().await;
    assert!(
        started.elapsed() > Duration::from_secs(2 + 4 + 8),
        "not without a pause: {:?}",
        started.elapsed()
    );
    worker.drain().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_fenced_machine_is_dropped_and_its_slots_are_free() {
    let mut bench = Bench::new(2);
    bench.limits.template = 1;
    bench.settings.turns = 1;
    let slot = Slot::Template("c1".parse().unwrap(), Vmid::MIN);
    let worker = bench.start(move |gate, leased, _| {
        if leased.record.step == Step::Clone
            && gate.enter(leased.lease.key, std::slice::from_ref(&slot)).is_err()
        {
            return Act::Say(Ok(Turned::Slot(slot.clone())));
        }
        if leased.lease.key == key(0) && leased.record.step == Step::Clone {
            return Act::Say(Err(CommitError::Fenced));
        }
        advance(leased)
    });
    bench.until("the other is ready", |state| state.rows[&key(1)].record.step == Step::Ready).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(bench.store.step(0), Step::Clone);
    assert_eq!(worker.activity().await, [], "it is not held any more");
    let calls = bench.store.state().calls.clone();
    assert_eq!((calls.get("reload"), calls["release"]), (None, 1), "not even released: it is not ours");
    worker.drain().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn after_a_lost_answer_the_record_is_read_again() {
    for outcome in [StoreOutcome::Unknown, StoreOutcome::NotWritten] {
        let bench = Bench::new(1);
        bench.store.fail("commit", store_error(outcome));
        let worker = bench.start(|_, leased, _| advance(leased));
        bench.until_all_ready().await;
        assert_eq!(bench.store.state().calls["reload"], 1);
        worker.drain().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_is_waited_for() {
    let bench = Bench::new(1);
    for call in ["commit", "reload", "reload", "reload", "claim", "heartbeat", "sweep", "next_due", "release"]
    {
        bench.store.fail(call, store_error(StoreOutcome::NotWritten));
    }
    let worker = bench.start(|_, leased, _| advance(leased));
    bench.until_all_ready().await;
    assert_eq!(bench.store.state().calls["release"], 2);
    worker.drain().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_release_that_was_carried_out_unheard_is_no_error() {
    let bench = Bench::new(1);
    let worker = bench.start(|_, leased, _| advance(leased));
    bench.store.fail("release", store_error(StoreOutcome::Unknown));
    bench.until("it is ready", |state| state.calls.contains_key("release")).await;
    bench.store.state().rows.get_mut(&key(0)).unwrap().owner = None;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(worker.activity().await, []);
    worker.drain().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_command_to_a_machine_that_could_not_be_released_is_obeyed() {
    let bench = Bench::new(1);
    bench.store.fail("release", store_error(StoreOutcome::NotWritten));
    let worker = bench.start(|_, leased, _| match leased.record.pending.first() {
        Some(queued) => {
            let commit = Commit { consume: Some(queued.id), ..Commit::default() };
            Act::Write(Box::new(commit), Turned::Rest)
        }
        None => advance(leased),
    });
    bench.until("its release failed", |state| state.calls.contains_key("release")).await;
    bench.store.command(0, Command::Retry);
    worker.doorbell().ring(key(0));
    let rung = Instant::now();
    bench.until("it obeyed", |state| state.rows[&key(0)].record.pending.is_empty()).await;
    assert!(rung.elapsed() < Duration::from_millis(50));
    bench.until_all_ready().await;
    worker.drain().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_was_claimed_unheard_is_not_lost() {
    let bench = Bench::new(5);
    let worker = bench.start(|_, leased, _| advance(leased));
    // The claim is carried out, its answer lost: the records are ours without our knowing.
    bench.until("the worker is known", |state| !state.workers.is_empty()).await;
    bench.until_all_ready().await;
    let id = *bench.store.state().workers.keys().next().unwrap();
    {
        let mut state = bench.store.state();
        let row = state.rows.get_mut(&key(3)).unwrap();
        (row.record.step, row.record.due, row.owner) =
            (Step::Clone, Due::At(row.record.created_at), Some(id));
        row.epoch += 1;
    }
    bench.store.fail("claim", store_error(StoreOutcome::Unknown));
    bench.until_all_ready().await;
    assert!(!bench.store.state().workers.contains_key(&id), "it came back under a new id");
    worker.drain().await.unwrap();
}
