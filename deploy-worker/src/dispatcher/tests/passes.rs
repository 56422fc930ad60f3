//! One pass, as from cron; and notices.

use crate::{
    TickReport,
    dispatcher::Dispatcher,
    fake::{Act, Bench, advance, cloning, key, start_time},
};
use async_trait::async_trait;
use deploy_core::*;
use jiff::SignedDuration;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::Instant;

async fn tick(
    bench: &Bench,
    bound: Duration,
    script: impl Fn(&Leased, &Known) -> Act + Send + Sync + 'static,
) -> Result<TickReport, StoreError> {
    let parts = bench.parts(move |_, leased, known| script(leased, known));
    Dispatcher::new(parts, Some(Instant::now() + bound)).run().await
}

#[derive(Default)]
struct Heard(Mutex<Vec<VmKey>>);

#[async_trait]
impl Notifier for Heard {
    async fn notify(&self, notice: &QueuedNotice) -> Result<(), NotifyError> {
        tokio::time::sleep(Duration::from_millis(10)).await;
        self.0.lock().unwrap().push(notice.key);
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_pass_does_all_that_is_due_and_ends() {
    let mut bench = Bench::new(200);
    let heard = Arc::new(Heard::default());
    bench.notifier = Some(Arc::clone(&heard) as _);
    let started = Instant::now();
    let report = tick(&bench, Duration::from_secs(60), |leased, _| advance(leased)).await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    let expected = TickReport {
        machines: 200,
        advanced: 200,
        ready: 200,
        notices: 200,
        complete: true,
        ..TickReport::default()
    };
    assert_eq!(report, expected);
    assert_eq!(heard.0.lock().unwrap().len(), 200);
    assert!(bench.store.state().rows.values().all(|row| row.owner.is_none()));
    assert!(bench.store.state().workers.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_pass_ends_only_when_the_store_has_no_more() {
    let mut bench = Bench::new(10);
    bench.settings.turns = 1;
    let pass = tick(&bench, Duration::from_secs(60), |leased, _| advance(leased));
    // Also where it cannot be asked for a while.
    let outage = async {
        bench.until("the first is under way", |state| state.calls.contains_key("commit")).await;
        bench.store.fail("claim", CommitError::Store(StoreError::not_written("the disk is full")));
    };
    let (report, ()) = tokio::join!(pass, outage);
    let report = report.unwrap();
    assert_eq!((report.ready, report.complete), (10, true));
}

#[tokio::test(start_paused = true)]
async fn a_pass_with_nothing_to_do_ends_at_once() {
    let bench = Bench::new(0);
    let started = Instant::now();
    let report = tick(&bench, Duration::from_secs(60), |leased, _| advance(leased)).await.unwrap();
    assert_eq!(report, TickReport { complete: true, ..TickReport::default() });
    assert!(started.elapsed() < Duration::from_millis(50));
}

#[tokio::test(start_paused = true)]
async fn a_pass_waits_no_longer_than_its_bound() {
    let bench = Bench::new(2);
    let started = Instant::now();
    let report = tick(&bench, Duration::from_secs(20), |leased, _| match leased.record.step {
        Step::Clone if leased.lease.key == key(1) => {
            Act::Say(Ok(Turned::Task("UPID:1".parse().unwrap(), None)))
        }
        _ => advance(leased),
    });
    let report = report.await.unwrap();
    assert!((20.0..20.2).contains(&started.elapsed().as_secs_f64()), "{:?}", started.elapsed());
    assert_eq!((report.machines, report.ready, report.waiting, report.complete), (2, 1, 1, false));
    assert!(bench.store.state().rows.values().all(|row| row.owner.is_none()));
}

#[tokio::test(start_paused = true)]
async fn a_pass_waits_for_what_comes_in_time_and_leaves_the_rest() {
    for (seconds, ready) in [(10, 1), (40, 0)] {
        let bench = Bench::new(1);
        let at = start_time() + SignedDuration::from_secs(seconds);
        let started = Instant::now();
        let report = tick(&bench, Duration::from_secs(20), move |leased, _| {
            if leased.record.step == Step::Clone && leased.record.due != Due::At(at) {
                let attention = Attention { since: at, step: Step::Clone, message: "full".to_owned() };
                let commit =
                    Commit { due: Some(Due::At(at)), attention: Some(Some(attention)), ..Commit::default() };
                return Act::Write(Box::new(commit), Turned::Until(at));
            }
            advance(leased)
        });
        let report = report.await.unwrap();
        assert_eq!((report.ready, report.waiting, report.attention), (ready, 1 - ready, 1));
        assert!(report.complete);
        let waited = started.elapsed();
        assert!(
            if ready == 1 { waited < Duration::from_secs(11) } else { waited < Duration::from_secs(1) },
            "{waited:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_pass_without_a_store_says_so() {
    let bench = Bench::new(1);
    bench.store.fail("heartbeat", CommitError::Store(StoreError::not_written("no file")));
    let error = tick(&bench, Duration::from_secs(20), |leased, _| advance(leased)).await.unwrap_err();
    assert_eq!(error.message, "no file");
}

#[tokio::test(start_paused = true)]
async fn a_notice_is_delivered_at_once_and_once() {
    let mut bench = Bench::new(20);
    bench.settings.turns = 4;
    let heard = Arc::new(Heard::default());
    bench.notifier = Some(Arc::clone(&heard) as _);
    let one = bench.start(|_, leased, _| advance(leased));
    let other = bench.start(|_, leased, _| advance(leased));
    bench.until_all_ready().await;
    bench.until("all are delivered", |state| state.delivered.len() == 20).await;
    tokio::time::sleep(Duration::from_secs(120)).await;
    let mut heard = heard.0.lock().unwrap().clone();
    heard.sort();
    assert_eq!(heard, (0..20).map(key).collect::<Vec<_>>());
    one.drain().await.unwrap();
    other.drain().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_pass_counts_what_still_waits_for_the_task_of_the_pass_before() {
    let bench = Bench::new(1);
    let progress = cloning("UPID:1".parse().unwrap());
    bench.store.state().rows.get_mut(&key(0)).unwrap().record.progress = progress;
    let report = tick(&bench, Duration::from_secs(5), |_, _| panic!("there is nothing to do")).await.unwrap();
    assert_eq!((report.machines, report.waiting, report.advanced), (1, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn endless_settings_are_cut_to_a_day() {
    let bench = Bench::new(0);
    let parts = bench.parts(|_, leased, _| advance(leased));
    let mut pool = deploy_testkit::mocks::MockIpPool::new();
    pool.expect_release().never();
    let worker = crate::Worker::new(parts.hypervisor.clone(), Arc::new(pool), parts.store.clone())
        .with_clock(parts.clock.clone())
        .with_alive_for(Duration::MAX)
        .with_poll(Duration::MAX)
        .with_task_pace(Duration::MAX, Duration::MAX);
    let report = worker.tick(Duration::MAX).await.unwrap();
    assert!(report.complete);
}

#[tokio::test(start_paused = true)]
async fn a_call_for_a_human_is_delivered_at_once() {
    let mut bench = Bench::new(1);
    let heard = Arc::new(Heard::default());
    bench.notifier = Some(Arc::clone(&heard) as _);
    let at = start_time() + SignedDuration::from_secs(3);
    let worker = bench.start(move |_, leased, _| {
        let attention = Attention { since: at, step: Step::Clone, message: "full".to_owned() };
        match leased.record.due {
            Due::At(due) if due < at => {
                let commit = Commit { due: Some(Due::At(at)), ..Commit::default() };
                Act::Write(Box::new(commit), Turned::Until(at))
            }
            _ => {
                let far = at + SignedDuration::from_secs(4);
                let notice = Some(Notice::NeedsAttention(attention.clone()));
                let commit = Commit { attention: Some(Some(attention)), notice, ..Commit::default() };
                Act::Write(Box::new(commit), Turned::Until(far))
            }
        }
    });
    let started = Instant::now();
    bench.until("it is delivered", |state| !state.delivered.is_empty()).await;
    assert!(started.elapsed() < Duration::from_millis(3100), "{:?}", started.elapsed());
    worker.drain().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_was_told_is_noted_before_a_worker_ends() {
    for millis in 0..200 {
        let mut bench = Bench::new(3);
        let heard = Arc::new(Heard::default());
        bench.notifier = Some(Arc::clone(&heard) as _);
        let worker = bench.start(|_, leased, _| advance(leased));
        tokio::time::sleep(Duration::from_millis(millis)).await;
        worker.drain().await.unwrap();
        let told = heard.0.lock().unwrap().len();
        assert_eq!(told, bench.store.state().delivered.len(), "drained after {millis} ms");
    }
}
