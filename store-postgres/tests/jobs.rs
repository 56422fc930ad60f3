//! Jobs and traffic of several processes on one database: each store has connections of its own, as each process has.
#![allow(clippy::unwrap_used)] // these are tests, also where a function helps them

mod place;

use deploy_core::{
    Clock, CounterReading, Job, JobRun, JobStart, JobStore, JobTerms, Lock, LockStore, MachineReading, RunId,
    SeenLock, Traffic, TrafficQuery, TrafficStore,
};
use deploy_testkit::sample;
use jiff::SignedDuration;
use place::{Place, leased};
use store_postgres::PostgresStore;
use tokio::task::JoinSet;
use uuid::Uuid;

const PROCESSES: u32 = 4;
const MACHINES: u32 = 20;

/// So many processes on one database, with some machines.
async fn processes(place: &Place) -> Vec<PostgresStore> {
    let mut stores = vec![place.with_cluster().await];
    leased(&stores[0], 1..=MACHINES).await;
    while stores.len() < PROCESSES as usize {
        stores.push(place.open().await);
    }
    stores
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_processes_one_begins_a_job() {
    let place = Place::new();
    let stores = processes(&place).await;
    let terms = JobTerms { gap: SignedDuration::from_mins(1), alive_for: SignedDuration::from_mins(1) };
    for round in 0..20_u32 {
        let mut begins = JoinSet::new();
        for (n, store) in (0..).zip(stores.clone()) {
            let id = RunId(Uuid::from_u128((u128::from(round) << 32) | n));
            let run = JobRun { id, info: format!("process {n}") };
            begins.spawn(async move { store.begin_job(Job::Traffic, &run, terms).await.unwrap() });
        }
        let starts = begins.join_all().await;
        let begun = starts.iter().filter(|start| **start == JobStart::Begun).count();
        assert_eq!(begun, 1, "round {round}: {starts:?}");
        // Each round's run dies.
        place.clock.advance(SignedDuration::from_mins(2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_processes_count_one_list_once() {
    let place = Place::new();
    let stores = processes(&place).await;
    for round in 0..20_u64 {
        let at = place.clock.advance(SignedDuration::from_mins(5));
        let counted = Traffic { received: 1000 + round * 300, sent: 10 + round };
        let reading = CounterReading { at, uptime: 10_000 + round * 300, counted };
        let mut counting = JoinSet::new();
        for (n, store) in (0..).zip(stores.clone()) {
            let mut list: Vec<MachineReading> =
                (1..=MACHINES).map(|n| MachineReading { key: sample::key(n), reading }).collect();
            // Whatever order a process has them in.
            list.rotate_left(n);
            counting.spawn(async move { store.count_traffic(&list).await.unwrap() });
        }
        counting.join_all().await;
    }
    let keys: Vec<_> = (1..=MACHINES).map(sample::key).collect();
    let last = Traffic { received: 1000 + 19 * 300, sent: 10 + 19 };
    let totals = stores[1].traffic_totals(&keys).await.unwrap();
    assert_eq!(totals.iter().map(|total| total.total).collect::<Vec<_>>(), [last; MACHINES as usize]);
    let query =
        TrafficQuery { key: None, from: sample::parsed("2026-01-01"), until: sample::parsed("2026-01-02") };
    let days = stores[2].traffic_by_day(&query).await.unwrap();
    assert_eq!(days.iter().map(|day| day.traffic).collect::<Vec<_>>(), [last; MACHINES as usize]);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_processes_date_a_lock_alike() {
    let place = Place::new();
    let stores = processes(&place).await;
    let since = place.clock.now();
    for _ in 0..5 {
        let mut looks = JoinSet::new();
        for store in stores.clone() {
            let seen: Vec<SeenLock> =
                (1..=MACHINES).map(|n| SeenLock { key: sample::key(n), lock: Some(Lock::Backup) }).collect();
            looks.spawn(async move { store.locks_seen(&seen).await.unwrap() });
        }
        for dated in looks.join_all().await {
            assert_eq!(dated.len(), MACHINES as usize);
            assert!(dated.iter().all(|locked| locked.since == since), "{dated:?}");
        }
        place.clock.advance(SignedDuration::from_mins(5));
    }
}
