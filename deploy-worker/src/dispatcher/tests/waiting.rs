//! Machines that wait: for a task, a slot, a time, a command.

use crate::{
    Doing, Limits,
    fake::{Act, Bench, State, advance, cloning, key, start_time},
};
use deploy_core::*;
use jiff::SignedDuration;
use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

fn task(of: &Leased) -> TaskId {
    format!("UPID:{}", of.lease.key).parse().unwrap()
}

/// Clones by a task of so many seconds, everything else at once.
fn clone_by_task(bench: &Bench, seconds: u64) -> impl Fn(&Leased, &Known) -> Act + use<> {
    let tasks = Arc::clone(&bench.tasks);
    move |leased, known| {
        let record = &leased.record;
        match (&record.progress, &known.task) {
            (Progress::Submitted { .. }, Some(TaskState::Ended(_))) => advance(leased),
            (Progress::Submitted { task, .. }, _) => Act::Say(Ok(Turned::Task(task.clone(), None))),
            _ if record.step == Step::Clone => {
                let task = task(leased);
                tasks
                    .ends
                    .lock()
                    .unwrap()
                    .insert(task.clone(), Instant::now() + Duration::from_secs(seconds));
                let commit = Commit { progress: Some(cloning(task.clone())), ..Commit::default() };
                Act::Write(Box::new(commit), Turned::Task(task, None))
            }
            _ => advance(leased),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn many_machines_come_to_ready() {
    let bench = Bench::new(500);
    let worker = bench.start(|_, leased, _| advance(leased));
    bench.until_all_ready().await;
    let busy = bench.seen();
    assert_eq!(busy.turns, 500 * 14);
    assert!(busy.most <= 64 && busy.most > 32, "{} at once", busy.most);
    assert_eq!(bench.store.state().calls["release"], 500);
    worker.drain().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_machine_on_its_way_goes_before_those_that_wait_for_their_turn() {
    let mut bench = Bench::new(40);
    bench.settings.turns = 4;
    let script = clone_by_task(&bench, 10);
    let worker = bench.start(move |_, leased, known| script(leased, known));
    // All their clones end at about the same time.
    let before = [Step::Creation, Step::SetIp, Step::Clone, Step::Migrated, Step::Ready];
    let halfway =
        |state: &State| state.rows.values().filter(|row| !before.contains(&row.record.step)).count();
    bench
        .until("all are ready", |state| {
            assert!(halfway(state) <= 4, "breadth first: {} are halfway", halfway(state));
            state.rows.values().all(|row| row.record.step == Step::Ready)
        })
        .await;
    worker.drain().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_question_a_tick_for_all_tasks() {
    let bench = Bench::new(300);
    let script = clone_by_task(&bench, 30);
    let worker = bench.start(move |_, leased, known| script(leased, known));
    let started = Instant::now();
    bench.until_all_ready().await;
    assert!(started.elapsed() < Duration::from_secs(33), "woken late: {:?}", started.elapsed());
    let questions = bench.tasks.questions.lock().unwrap().clone();
    // Alone, each machine would have asked about 20 times: 6,000 questions.
    assert!(questions.len() < 60, "{} questions", questions.len());
    assert_eq!(questions.iter().max(), Some(&300));
    let seen = bench.seen();
    assert_eq!(seen.turns, 300 * 15, "a waiting machine has no turns");
    assert!(seen.most <= 64, "{} turns at once", seen.most);
    worker.drain().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_short_task_is_noticed_soon() {
    let bench = Bench::new(1);
    let script = clone_by_task(&bench, 0);
    let worker = bench.start(move |_, leased, known| script(leased, known));
    let started = Instant::now();
    bench.until_all_ready().await;
    // No clone is known to be that quick here yet.
    assert!(started.elapsed() < Duration::from_millis(900), "{:?}", started.elapsed());
    worker.drain().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn slots_are_kept_under_load() {
    let mut bench = Bench::new(60);
    bench.limits = Limits { template: 4, ..Limits::default() };
    let script = clone_by_task(&bench, 10);
    let cloning = Arc::new(Mutex::new((HashSet::new(), 0)));
    let seen = Arc::clone(&cloning);
    let worker = bench.start(move |gate, leased, known| {
        let (key, slot) = (leased.lease.key, Slot::Template("c1".parse().unwrap(), Vmid::MIN));
        let is_new = leased.record.step == Step::Clone && leased.record.progress == Progress::Untried;
        if is_new && let Err(full) = gate.enter(key, std::slice::from_ref(&slot)) {
            return Act::Say(Ok(Turned::Slot(full)));
        }
        let mut cloning = seen.lock().unwrap();
        if is_new {
            cloning.0.insert(key);
            cloning.1 = cloning.1.max(cloning.0.len());
        }
        let act = script(leased, known);
        if matches!(act, Act::Write(_, Turned::Again(_))) && cloning.0.remove(&key) {
            gate.leave(key);
        }
        act
    });
    let started = Instant::now();
    bench.until_all_ready().await;
    assert_eq!(cloning.lock().unwrap().1, 4);
    // Fifteen rounds of ten seconds, each noticed within two.
    assert!((150..190).contains(&started.elapsed().as_secs()), "{:?}", started.elapsed());
    worker.drain().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_near_time_is_waited_for_in_hand_and_a_far_one_in_the_store() {
    // The last release is that of its rest.
    for (seconds, releases) in [(3, 1), (30, 2)] {
        let bench = Bench::new(1);
        let wait = start_time() + SignedDuration::from_secs(seconds);
        let worker = bench.start(move |_, leased, _| {
            if leased.record.due == Due::At(wait) || leased.record.step != Step::Creation {
                return advance(leased);
            }
            let commit = Commit { due: Some(Due::At(wait)), ..Commit::default() };
            Act::Write(Box::new(commit), Turned::Until(wait))
        });
        let started = Instant::now();
        bench.until_all_ready().await;
        let waited = started.elapsed().as_secs_f64();
        #[allow(clippy::cast_precision_loss)]
        let expected = seconds as f64;
        assert!((expected..expected + 1.1).contains(&waited), "{waited} s");
        assert_eq!(bench.store.state().calls["release"], releases);
        worker.drain().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_far_time_that_the_store_does_not_know_is_waited_for_in_hand() {
    let bench = Bench::new(1);
    let far = start_time() + SignedDuration::from_secs(60);
    let worker = bench.start(move |_, _, _| Act::Say(Ok(Turned::Until(far))));
    tokio::time::sleep(Duration::from_secs(59)).await;
    assert_eq!(bench.seen().turns, 1);
    assert_eq!(bench.store.state().calls.get("release"), None);
    worker.drain().await.unwrap();
}

/// Waits as told, and takes any command to its end at once.
fn obey(leased: &Leased, otherwise: Turned) -> Act {
    match leased.record.pending.first() {
        Some(queued) => {
            let commit = Commit {
                consume: Some(queued.id),
                step: Some(Step::Ready),
                due: Some(Due::OnCommand),
                progress: Some(Progress::Untried),
                ..Commit::default()
            };
            Act::Write(Box::new(commit), Turned::Rest)
        }
        None => Act::Say(Ok(otherwise)),
    }
}

#[tokio::test(start_paused = true)]
async fn a_command_wakes_a_machine_whatever_it_waits_for() {
    let slot = Slot::Cluster("c1".parse().unwrap());
    let soon = start_time() + SignedDuration::from_secs(3600);
    for wait in [Turned::Task("UPID:1".parse().unwrap(), None), Turned::Slot(slot), Turned::Until(soon)] {
        let bench = Bench::new(1);
        let answer = wait.clone();
        let worker = bench.start(move |_, leased, _| obey(leased, answer.clone()));
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(bench.seen().turns, 1, "{wait:?}");
        bench.store.command(0, Command::Retry);
        let rung = Instant::now();
        worker.doorbell().ring(key(0));
        bench.until_all_ready().await;
        assert!(rung.elapsed() < Duration::from_millis(50), "{wait:?}: {:?}", rung.elapsed());
        worker.drain().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_command_during_a_turn_is_not_missed() {
    for millis in 0..50 {
        let bench = Bench::new(1);
        let worker = bench.start(|_, leased, _| obey(leased, Turned::Rest));
        tokio::time::sleep(Duration::from_millis(millis)).await;
        bench.store.command(0, Command::Retry);
        worker.doorbell().ring(key(0));
        let rung = Instant::now();
        bench.until_all_ready().await;
        assert!(rung.elapsed() < Duration::from_millis(50), "rung after {millis} ms: {:?}", rung.elapsed());
        worker.drain().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_command_during_a_release_that_fails_is_not_missed() {
    for millis in 0..50 {
        let bench = Bench::new(1);
        let worker = bench.start(|_, leased, _| obey(leased, Turned::Rest));
        bench.store.fail("release", CommitError::Store(StoreError::not_written("the disk is full")));
        tokio::time::sleep(Duration::from_millis(millis)).await;
        bench.store.command(0, Command::Retry);
        worker.doorbell().ring(key(0));
        let rung = Instant::now();
        bench.until("it obeyed", |state| state.rows[&key(0)].record.step == Step::Ready).await;
        assert!(rung.elapsed() < Duration::from_millis(50), "rung after {millis} ms: {:?}", rung.elapsed());
        worker.drain().await.unwrap();
    }
}

/// A slot for one: one machine holds it for ten seconds, two wait for it, and when the first of them could have it, this
/// becomes of it.
async fn the_next_gets_the_slot_though(first: fn() -> Act) {
    let mut bench = Bench::new(3);
    bench.limits.template = 1;
    let script = clone_by_task(&bench, 10);
    let refused = AtomicUsize::new(0);
    let worker = bench.start(move |gate, leased, known| {
        let (record, key) = (&leased.record, leased.lease.key);
        if record.step != Step::Clone {
            return script(leased, known);
        }
        if known.task.is_some() {
            gate.leave(key);
            return script(leased, known);
        }
        if key == crate::fake::key(1) && refused.load(Ordering::Relaxed) > 0 {
            return first();
        }
        match gate.enter(key, &slots(record, ChangeKind::Clone, &record.node)) {
            Ok(()) => script(leased, known),
            Err(full) => {
                refused.fetch_add(usize::from(key == crate::fake::key(1)), Ordering::Relaxed);
                Act::Say(Ok(Turned::Slot(full)))
            }
        }
    });
    bench.until("the last one got it", |state| state.rows[&key(2)].record.step == Step::Ready).await;
    worker.drain().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_next_gets_the_slot_though_the_first_does_something_else() {
    fn wait_until_tomorrow() -> Act {
        Act::Say(Ok(Turned::Until(start_time() + SignedDuration::from_hours(24))))
    }
    the_next_gets_the_slot_though(wait_until_tomorrow).await;
}

#[tokio::test(start_paused = true)]
async fn the_next_gets_the_slot_though_the_first_is_in_trouble() {
    the_next_gets_the_slot_though(|| panic!("a bug")).await;
}

#[tokio::test(start_paused = true)]
async fn a_new_order_begins_when_the_bell_rings_or_within_a_second() {
    for (rings, limit) in [(true, 200), (false, 1200)] {
        let bench = Bench::new(0);
        let worker = bench.start(|_, leased, _| advance(leased));
        tokio::time::sleep(Duration::from_millis(2345)).await;
        let row = crate::fake::Row { record: crate::fake::record(5), owner: None, epoch: 0 };
        bench.store.state().rows.insert(key(5), row);
        if rings {
            worker.doorbell().ring(key(5));
        }
        let ordered = Instant::now();
        bench.until_all_ready().await;
        assert!(ordered.elapsed() < Duration::from_millis(limit), "{:?}", ordered.elapsed());
        worker.drain().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_worker_is_quiet() {
    let bench = Bench::new(0);
    let worker = bench.start(|_, leased, _| advance(leased));
    tokio::time::sleep(Duration::from_secs(600)).await;
    let calls = bench.store.state().calls.clone();
    // Every second, or up to a quarter earlier: seven eighths of a second in the mean.
    assert!(
        (640..=740).contains(&calls["claim"]) && calls["heartbeat"] <= 61 && calls["sweep"] <= 61,
        "{calls:?}"
    );
    worker.drain().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn activity_says_what_each_waits_for() {
    let bench = Bench::new(3);
    let until = start_time() + SignedDuration::from_secs(3600);
    let slot = Slot::Cluster("c1".parse().unwrap());
    let (full, calls) = (slot.clone(), AtomicUsize::new(0));
    let worker = bench.start(move |_, leased, _| {
        calls.fetch_add(1, Ordering::Relaxed);
        Act::Say(Ok(match leased.lease.key.0.as_u128() {
            0 => Turned::Task("UPID:1".parse().unwrap(), None),
            1 => Turned::Slot(full.clone()),
            _ => Turned::Until(until),
        }))
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut activity = worker.activity().await;
    activity.sort_by_key(|machine| machine.key);
    let doing: Vec<Doing> = activity.into_iter().map(|machine| machine.doing).collect();
    let task = "UPID:1".parse().unwrap();
    assert_eq!(doing, [Doing::Task(task), Doing::Slot(slot), Doing::Until(until)]);
    worker.drain().await.unwrap();
}
