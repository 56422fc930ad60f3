//! Starts, ends, crashes, and several workers on one store.

use crate::fake::{Act, Bench, State, advance, cloning, key};
use deploy_core::*;
use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

fn owners(state: &State) -> HashSet<WorkerId> {
    state.rows.values().filter_map(|row| row.owner).collect()
}

#[tokio::test(start_paused = true)]
async fn two_workers_share_the_work_and_never_a_machine() {
    let mut bench = Bench::new(300);
    bench.settings.turns = 8;
    let one = bench.start(|_, leased, _| advance(leased));
    let other = bench.start(|_, leased, _| advance(leased));
    let both = AtomicBool::new(false);
    bench
        .until("all are ready", |state| {
            both.fetch_or(owners(state).len() == 2, Ordering::Relaxed);
            state.rows.values().all(|row| row.record.step == Step::Ready)
        })
        .await;
    assert!(both.into_inner(), "one did it all");
    let busy = bench.seen();
    assert!(!busy.twice && busy.most <= 16);
    assert_eq!(busy.turns, 300 * 14);
    one.drain().await.unwrap();
    other.drain().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn drain_ends_running_turns_begins_none_and_releases_all() {
    let mut bench = Bench::new(200);
    bench.settings.turns = 10;
    let worker = bench.start(|_, leased, _| match leased.lease.key.0.as_u128() % 2 {
        0 => Act::Say(Ok(Turned::Task("UPID:1".parse().unwrap(), None))),
        _ => advance(leased),
    });
    bench
        .until("some are under way", |state| owners(state).len() == 1 && state.calls.contains_key("release"))
        .await;
    let turns = bench.seen().turns;
    worker.drain().await.unwrap();
    let busy = bench.seen();
    assert!(busy.turns <= turns + 10, "turns were begun while draining");
    assert_eq!(busy.finished, busy.turns, "a turn was broken off");
    assert_eq!(owners(&bench.store.state()), HashSet::new());
    assert!(bench.store.state().workers.is_empty());
    let turns_then = busy.turns;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(bench.seen().turns, turns_then);
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_hangs_is_broken_off_and_all_is_released() {
    let bench = Bench::new(20);
    let worker = bench.start(|_, leased, _| match leased.lease.key.0.as_u128() % 4 {
        0 => Act::Hang,
        1 => Act::Say(Ok(Turned::Task("UPID:1".parse().unwrap(), None))),
        _ => advance(leased),
    });
    bench.until("the others are ready", |state| state.calls.contains_key("release")).await;
    let begun = Instant::now();
    worker.drain_within(Duration::from_secs(5)).await.unwrap();
    assert_eq!(begun.elapsed().as_secs(), 5);
    let busy = bench.seen();
    assert_eq!(busy.now.values().sum::<usize>(), 0, "a turn goes on");
    assert_eq!(busy.turns - busy.finished, 5, "others were broken off, too");
    assert_eq!(owners(&bench.store.state()), HashSet::new());
    assert!(bench.store.state().workers.is_empty());
}

#[tokio::test(start_paused = true)]
async fn drain_within_waits_no_longer_than_there_is_something_to_wait_for() {
    let bench = Bench::new(20);
    let worker = bench.start(|_, leased, _| advance(leased));
    bench.until("some are under way", |state| owners(state).len() == 1).await;
    let begun = Instant::now();
    worker.drain_within(Duration::from_secs(3600)).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(1));
    let busy = bench.seen();
    assert_eq!(busy.finished, busy.turns, "a turn was broken off");
    assert_eq!(owners(&bench.store.state()), HashSet::new());
}

#[tokio::test(start_paused = true)]
async fn drain_says_when_the_leases_could_not_be_ended() {
    let bench = Bench::new(1);
    bench.store.fail("retire", CommitError::Store(StoreError::not_written("gone")));
    let worker = bench.start(|_, leased, _| advance(leased));
    bench.until_all_ready().await;
    let error = worker.drain().await.unwrap_err();
    assert_eq!(error.to_string(), "the leases were not ended: store: gone");
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_moment_loses_nothing() {
    for millis in [0, 1, 2, 3, 5, 8, 13, 21, 34] {
        let mut bench = Bench::new(30);
        bench.settings.alive_for = Duration::from_secs(6);
        bench.settings.turns = 8;
        let worker = bench.start(|_, leased, _| advance(leased));
        tokio::time::sleep(Duration::from_millis(millis)).await;
        drop(worker);
        let crashed = Instant::now();
        let worker = bench.start(|_, leased, _| advance(leased));
        bench.until_all_ready().await;
        assert!(crashed.elapsed() < Duration::from_secs(9), "after {millis} ms: {:?}", crashed.elapsed());
        assert!(!bench.seen().twice);
        worker.drain().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_a_task_in_flight_is_waited_for_with_its_slots_taken() {
    let mut bench = Bench::new(3);
    bench.limits.template = 1;
    let task: TaskId = "UPID:9".parse().unwrap();
    {
        let mut state = bench.store.state();
        let record = &mut state.rows.get_mut(&key(2)).unwrap().record;
        record.step = Step::Clone;
        record.progress = cloning(task.clone());
    }
    let end = Instant::now() + Duration::from_secs(20);
    bench.tasks.ends.lock().unwrap().insert(task, end);
    let worker = bench.start(move |gate, leased, known| {
        let record = &leased.record;
        if let Progress::Submitted { .. } = record.progress {
            assert_eq!(known.task, Some(TaskState::Ended(Ended::Ok)), "a turn for nothing");
            gate.leave(leased.lease.key);
            return advance(leased);
        }
        if record.step == Step::Clone {
            let slots = slots(record, ChangeKind::Clone, &record.node);
            if let Err(full) = gate.enter(leased.lease.key, &slots) {
                return Act::Say(Ok(Turned::Slot(full)));
            }
            gate.leave(leased.lease.key);
        }
        advance(leased)
    });
    tokio::time::sleep(Duration::from_secs(19)).await;
    assert_eq!((bench.store.step(0), bench.store.step(1)), (Step::Clone, Step::Clone), "its slot is taken");
    bench.until_all_ready().await;
    assert!(end.elapsed() < Duration::from_secs(3));
    worker.drain().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_the_store_gave_up_comes_back_under_a_new_id() {
    let bench = Bench::new(5);
    let started = Instant::now();
    let tomorrow = started + Duration::from_secs(86_400);
    bench.tasks.ends.lock().unwrap().insert("UPID:1".parse().unwrap(), tomorrow);
    let go = Arc::new(AtomicBool::new(false));
    let going = Arc::clone(&go);
    let worker = bench.start(move |_, leased, _| {
        if going.load(Ordering::Relaxed) {
            return advance(leased);
        }
        Act::Say(Ok(Turned::Task("UPID:1".parse().unwrap(), None)))
    });
    bench.until("all wait", |_| bench.seen().finished == 5).await;
    let before = owners(&bench.store.state());
    bench.store.fail("heartbeat", CommitError::Fenced);
    go.store(true, Ordering::Relaxed);
    bench.until_all_ready().await;
    let epochs: Vec<i64> = bench.store.state().rows.values().map(|row| row.epoch).collect();
    assert_eq!(epochs, [2; 5], "leased anew");
    assert!(started.elapsed() < Duration::from_secs(12), "it waited for its own leases to run out");
    assert!(bench.store.state().workers.keys().all(|id| !before.contains(id)));
    assert!(!bench.seen().twice);
    worker.drain().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn without_a_sign_of_life_machines_are_dropped_before_others_get_them() {
    let mut bench = Bench::new(8);
    bench.settings.alive_for = Duration::from_secs(9);
    // It commits, but its signs of life do not get through.
    let cut_off = bench.start(|_, leased, _| {
        Act::Say(Ok(Turned::Until(leased.record.created_at + jiff::SignedDuration::from_secs(86_400))))
    });
    bench.until("all are held", |state| state.rows.values().all(|row| row.owner.is_some())).await;
    for _ in 0..1000 {
        bench.store.fail("heartbeat", CommitError::Store(StoreError::not_written("no way through")));
    }
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert_eq!(cut_off.activity().await.len(), 8);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(cut_off.activity().await.len(), 0);
    bench.store.state().faults.clear();
    bench.until("it is back", |state| state.rows.values().all(|row| row.epoch == 2)).await;
    cut_off.drain().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_turn_of_a_lost_lease_is_over_before_the_machine_is_leased_again() {
    let bench = Bench::new(4);
    let worker = bench.start(|_, leased, _| advance(leased));
    bench.until("some are under way", |state| state.calls.get("commit") > Some(&8)).await;
    bench.store.state().workers.values_mut().for_each(|until| *until = jiff::Timestamp::UNIX_EPOCH);
    bench.store.fail("heartbeat", CommitError::Fenced);
    bench.until_all_ready().await;
    assert!(!bench.seen().twice);
    worker.drain().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_turn_of_a_lost_lease_is_broken_off() {
    let bench = Bench::new(1);
    let worker =
        bench.start(|_, leased, _| if leased.lease.epoch == 1 { Act::Hang } else { advance(leased) });
    bench.until("it hangs", |_| bench.seen().turns == 1).await;
    bench.store.fail("heartbeat", CommitError::Fenced);
    bench.until_all_ready().await;
    worker.drain().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn run_ends_with_its_shutdown() {
    let bench = Bench::new(3);
    let worker = bench.start(|_, leased, _| advance(leased));
    worker.until(tokio::time::sleep(Duration::from_secs(5))).await.unwrap();
    assert_eq!(bench.store.step(0), Step::Ready);
    assert!(bench.store.state().workers.is_empty());
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_a_worker_that_has_ended_gets_an_answer() {
    let bench = Bench::new(1);
    let parts = bench.parts(|_, leased, _| advance(leased));
    let mailbox = Arc::clone(&parts.mailbox);
    let dispatcher = crate::dispatcher::Dispatcher::new(parts, None);
    let asked = mailbox.ask();
    drop(dispatcher);
    assert!(asked.await.is_err());
    assert!(mailbox.ask().await.is_err());
}
