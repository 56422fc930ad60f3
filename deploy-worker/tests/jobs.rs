//! Jobs: under their locks, in their time, and what each finds on a model cluster.

#![allow(clippy::unwrap_used)] // also in what the tests share

mod support;

use deploy_core::*;
use deploy_testkit::{sample, world::ModelMachine};
use deploy_worker::{JobPlan, JobTick, Orphan, Report, SnapshotReport, TrafficReport, WhyOrphan};
use std::time::Duration;
use support::{Bench, MINUTE, machine};

fn ran(tick: JobTick) -> (JobOutcome, Option<Report>) {
    match tick {
        JobTick::Ran { outcome, report, .. } => (outcome, report),
        other => panic!("{other:?}"),
    }
}

fn of(ticks: &[(Job, JobTick)], job: Job) -> JobTick {
    ticks.iter().find(|(of, _)| *of == job).unwrap().1.clone()
}

#[tokio::test(start_paused = true)]
async fn a_tick_runs_what_is_due_and_says_what_is_not() {
    let bench = Bench::new().await;
    bench.ready(1).await;
    let ticks = bench.tick().await;
    let jobs: Vec<Job> = ticks.iter().map(|(job, _)| *job).collect();
    assert_eq!(jobs, Job::ALL);
    for (job, tick) in &ticks {
        assert!(matches!(tick, JobTick::Ran { outcome: JobOutcome::Done { .. }, .. }), "{job}: {tick:?}");
    }
    let began = bench.clock.now();
    tokio::time::advance(Duration::from_secs(30)).await;
    let ticks = bench.tick().await;
    assert!(matches!(of(&ticks, Job::Process), JobTick::Ran { .. }), "at every tick");
    let early = |job, minutes: i32| {
        let JobTick::Early { next } = of(&ticks, job) else { panic!("{job}: {ticks:?}") };
        assert!(next <= began + MINUTE * minutes && next > began + MINUTE * (minutes - 1), "{job}: {next}");
    };
    early(Job::Audit, 5);
    early(Job::Traffic, 5);
    early(Job::Snapshots, 60);
    early(Job::Orphans, 60);
    early(Job::Retention, 24 * 60);
    tokio::time::advance(Duration::from_secs(5 * 60)).await;
    let ticks = bench.tick().await;
    assert!(matches!(of(&ticks, Job::Traffic), JobTick::Ran { .. }));
    assert!(matches!(of(&ticks, Job::Orphans), JobTick::Early { .. }));
}

#[tokio::test(start_paused = true)]
async fn of_two_processes_one_runs_a_job() {
    let bench = Bench::new().await;
    let (one, other) = tokio::join!(bench.tick(), bench.tick());
    for job in [Job::Traffic, Job::Orphans, Job::Snapshots] {
        let ran = [&one, &other].into_iter().filter(|ticks| matches!(of(ticks, job), JobTick::Ran { .. }));
        assert_eq!(ran.count(), 1, "{job}: {one:?} {other:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_not_planned_is_not_run() {
    let bench = Bench::new().await;
    let jobs = bench.jobs.clone().with_plan(JobPlan::none().with(Job::Orphans, Some(Duration::ZERO)));
    let ticks = jobs.tick(&bench.worker, Duration::from_secs(1)).await;
    assert_eq!(of(&ticks, Job::Traffic), JobTick::Off);
    assert_eq!(of(&ticks, Job::Process), JobTick::Off);
    assert!(matches!(of(&ticks, Job::Orphans), JobTick::Ran { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_killed_lets_the_next_one_in_when_its_time_is_over() {
    let bench = Bench::new().await;
    bench.clusters.hang(true);
    {
        let killed = bench.tick();
        tokio::pin!(killed);
        // It waits for a list that never comes, and shows that it lives.
        assert!(tokio::time::timeout(Duration::from_secs(600), &mut killed).await.is_err());
        let busy = of(&bench.tick_of_others().await, Job::Traffic);
        assert!(matches!(busy, JobTick::Busy { ref info, .. } if info == "here"), "{busy:?}");
    }
    bench.clusters.hang(false);
    tokio::time::advance(Duration::from_secs(61)).await;
    let ticks = bench.tick().await;
    assert!(
        matches!(of(&ticks, Job::Traffic), JobTick::Ran { .. }),
        "though its pause is not over: {ticks:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_run_that_lost_its_lock_is_broken_off() {
    let bench = Bench::new().await;
    bench.clusters.hang(true);
    let jobs = bench.jobs.clone();
    let worker = bench.worker.clone();
    let run = tokio::spawn(async move { jobs.tick(&worker, Duration::from_secs(1)).await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    bench.take_over(Job::Traffic).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    bench.clusters.hang(false);
    let ticks = tokio::time::timeout(Duration::from_secs(900), run).await.unwrap().unwrap();
    let (outcome, report) = ran(of(&ticks, Job::Traffic));
    assert!(
        matches!(outcome, JobOutcome::Failed { ref message } if message.contains("lost its lock")),
        "{outcome}"
    );
    assert_eq!(report, None);
    let held = bench.store.jobs().await.unwrap().into_iter().find(|state| state.job == Job::Traffic);
    assert_eq!(held.unwrap().running.unwrap().info, "there", "the other one's lock is untouched");
}

#[tokio::test(start_paused = true)]
async fn how_the_last_run_went_is_kept() {
    let bench = Bench::new().await;
    bench.clusters.down(true);
    let (outcome, report) = ran(of(&bench.tick().await, Job::Traffic));
    let unread = vec![(sample::cluster_name(), "no route".to_owned())];
    assert_eq!(report, Some(Report::Traffic(TrafficReport { unread, ..TrafficReport::default() })));
    let state =
        bench.store.jobs().await.unwrap().into_iter().find(|state| state.job == Job::Traffic).unwrap();
    assert_eq!((state.running, state.last.unwrap().outcome), (None, outcome.clone()));
    assert!(
        matches!(outcome, JobOutcome::Failed { ref message } if message.contains("pve: no route")),
        "{outcome}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_worker_runs_them_by_itself_and_gives_the_locks_back_at_its_end() {
    let bench = Bench::new().await;
    let record = bench.ready(1).await;
    let running = bench.worker.clone().with_jobs(bench.jobs.clone()).start();
    bench.count(&record, 700, 70);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(bench.total(&record).await, (700, 70), "at once, where none came before");
    bench.count(&record, 900, 90);
    tokio::time::sleep(Duration::from_secs(5 * 60)).await;
    assert_eq!(bench.total(&record).await, (900, 90));
    bench.clusters.hang(true);
    tokio::time::sleep(Duration::from_secs(5 * 60)).await;
    running.drain().await.unwrap();
    let traffic =
        bench.store.jobs().await.unwrap().into_iter().find(|state| state.job == Job::Traffic).unwrap();
    assert_eq!(traffic.running, None);
    let last = traffic.last.unwrap().outcome;
    assert!(matches!(last, JobOutcome::Failed { ref message } if message.contains("told to stop")), "{last}");
}

#[tokio::test(start_paused = true)]
async fn traffic_is_counted_over_restarts_and_of_our_machines_alone() {
    let bench = Bench::new().await;
    let (ours, replaced, down) = (bench.ready(1).await, bench.ready(2).await, bench.ready(3).await);
    bench.count(&ours, 1000, 100);
    bench.count(&replaced, 5000, 5000);
    bench.count(&down, 5000, 5000);
    bench.change(&replaced, |machine| machine.config.name = Some("theirs".parse().unwrap()));
    bench.change(&down, |machine| machine.node = "node2".parse().unwrap());
    bench.world(|cluster| cluster.nodes_down.insert("node2".parse().unwrap()));
    let (_, report) = ran(of(&bench.tick().await, Job::Traffic));
    assert_eq!(report, Some(Report::Traffic(TrafficReport { counted: 1, left_out: 2, unread: vec![] })));
    let minutes = |count: u64| Duration::from_secs(60 * count);
    tokio::time::advance(minutes(6)).await;
    bench.count(&ours, 1500, 100);
    bench.tick().await;
    // Started anew four minutes ago.
    tokio::time::advance(minutes(6)).await;
    let since = bench.clock.now() - MINUTE * 4;
    bench.change(&ours, |machine| machine.running_since = Some(since));
    bench.count(&ours, 1600, 30);
    bench.tick().await;
    // Stopped.
    tokio::time::advance(minutes(6)).await;
    bench.change(&ours, |machine| {
        machine.power = Power::Stopped;
        machine.running_since = None;
    });
    bench.tick().await;
    assert_eq!(bench.total(&ours).await, (1500 + 1600, 130));
    assert_eq!(bench.total(&replaced).await, (0, 0));
    assert_eq!(bench.total(&down).await, (0, 0));
}

#[tokio::test(start_paused = true)]
async fn counting_dates_locks_as_well() {
    let bench = Bench::new().await;
    let record = bench.ready(1).await;
    bench.change(&record, |machine| machine.lock = Some("backup".to_owned()));
    bench.tick().await;
    let first = bench.clock.now();
    tokio::time::advance(Duration::from_secs(3000)).await;
    let seen = [SeenLock { key: record.key, lock: Some(Lock::Backup) }];
    let since = bench.store.locks_seen(&seen).await.unwrap()[0].since;
    assert!(since <= first && since > first - MINUTE, "{since}");
}

#[tokio::test(start_paused = true)]
async fn what_no_record_knows_is_reported_and_left_alone() {
    let bench = Bench::new().await;
    let ours = bench.ready(1).await;
    let gone = SmbiosUuid(uuid::Uuid::from_u128(7));
    let at = |vmid: u32, change: &dyn Fn(&mut ModelMachine)| {
        let mut other = machine(&ours, sample::epoch());
        other.config.name = Some(format!("m{vmid}").parse().unwrap());
        other.config.smbios = Some(gone);
        other.config.description.clear();
        change(&mut other);
        bench.world(|cluster| cluster.add(sample::vmid(vmid), other));
    };
    at(150, &|_| {});
    at(160, &|other| other.config.description = OwnerMark(sample::key(77)).to_string());
    // Beyond our numbers a mark makes the difference.
    at(5000, &|_| {});
    at(5001, &|other| other.config.description = ours.mark().to_string());
    at(165, &|other| other.template = true);
    at(5002, &|other| other.template = true);
    at(170, &|other| other.node = "node2".parse().unwrap());
    bench.world(|cluster| cluster.nodes_down.insert("node2".parse().unwrap()));
    let before = bench.world(|cluster| (cluster.machines.clone(), cluster.counters.changes));
    let (outcome, report) = ran(of(&bench.tick().await, Job::Orphans));
    let Some(Report::Orphans(report)) = report else { panic!("{report:?}") };
    let found: Vec<(u32, &WhyOrphan)> =
        report.machines.iter().map(|Orphan { vmid, why, .. }| (vmid.get(), why)).collect();
    let unseen = Obscured { class: ErrorClass::Unreachable, message: "no route to host".to_owned() };
    assert_eq!(
        found,
        [
            (150, &WhyOrphan::Unknown),
            (160, &WhyOrphan::Forgotten(sample::key(77))),
            (165, &WhyOrphan::Unknown),
            (170, &WhyOrphan::Unseen(unseen)),
            (5001, &WhyOrphan::Double { of: ours.key, its: ours.numbered.vmid }),
        ]
    );
    assert!(
        matches!(outcome, JobOutcome::Done { ref summary } if summary.starts_with("5 machines")),
        "{outcome}"
    );
    assert_eq!(bench.world(|cluster| (cluster.machines.clone(), cluster.counters.changes)), before);
}

#[tokio::test(start_paused = true)]
async fn of_many_strangers_each_is_looked_at_in_time() {
    let bench = Bench::new().await;
    let ours = bench.ready(1).await;
    for n in 0..450 {
        let mut other = machine(&ours, sample::epoch());
        other.config.description = OwnerMark(sample::key(9000 + n)).to_string();
        bench.world(|cluster| cluster.add(sample::vmid(5000 + n), other));
    }
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..40 {
        let report = bench.jobs.orphans().await.unwrap();
        assert_eq!((report.machines.len(), report.unlooked), (200, 250));
        seen.extend(report.machines.into_iter().map(|orphan| orphan.vmid));
    }
    assert_eq!(seen.len(), 450);
}

#[tokio::test(start_paused = true)]
async fn snapshots_whose_time_is_over_are_deleted_and_no_others() {
    let bench = Bench::new().await;
    let record = bench.ready(1).await;
    let now = bench.clock.now();
    let expires = |minutes: i32| ExpiryMark(now + MINUTE * minutes).put_into("before the update");
    bench.snapshot(&record, "old", &expires(-1)).await;
    bench.snapshot(&record, "older", &expires(-90)).await;
    bench.snapshot(&record, "young", &expires(30)).await;
    bench.snapshot(&record, "kept", "for ever").await;
    let suspended = bench.at_rest(2, Step::Suspended).await;
    bench.snapshot(&suspended, "old", &expires(-1)).await;
    let (_, report) = ran(of(&bench.tick().await, Job::Snapshots));
    let Some(Report::Snapshots(report)) = report else { panic!("{report:?}") };
    let mut deleted: Vec<&str> = report.deleted.iter().map(|(_, name)| name.as_str()).collect();
    deleted.sort_unstable();
    assert_eq!((deleted, report.failed, report.machines), (vec!["old", "old", "older"], vec![], 2));
    assert_eq!(bench.snapshots(&record), ["young", "kept"]);
    tokio::time::advance(Duration::from_secs(3600)).await;
    bench.tick().await;
    assert_eq!(bench.snapshots(&record), ["kept"]);
}

#[tokio::test(start_paused = true)]
async fn snapshots_of_strangers_and_of_machines_on_their_way_are_left_alone() {
    let bench = Bench::new().await;
    let (stranger, locked) = (bench.ready(1).await, bench.ready(2).await);
    let over = ExpiryMark(bench.clock.now() - MINUTE).to_string();
    for record in [&stranger, &locked] {
        bench.snapshot(record, "old", &over).await;
    }
    bench.change(&stranger, |machine| machine.config.smbios = Some(SmbiosUuid(uuid::Uuid::from_u128(99))));
    bench.change(&locked, |machine| machine.lock = Some("backup".to_owned()));
    let working = bench.ready(3).await;
    bench.snapshot(&working, "old", &over).await;
    bench.command(&working).await;
    let ticks = bench.jobs.clone().with_plan(JobPlan::default().with(Job::Process, None));
    let ticks = ticks.tick(&bench.worker, Duration::from_secs(1)).await;
    let (_, report) = ran(of(&ticks, Job::Snapshots));
    // Nor is anything tried.
    assert_eq!(report, Some(Report::Snapshots(SnapshotReport::default())));
    for record in [&stranger, &locked, &working] {
        assert_eq!(bench.snapshots(record), ["old"]);
    }
}
