//! What it costs a worker to begin beside machines that rest.

#![allow(clippy::print_stdout, reason = "the table is what the bench is run for")]

use benches::{Fleet, Sample, measured, median, settle_copies};
use deploy_core::{Hypervisor, LeaseStore, Summary};
use deploy_testkit::{
    ManualClock,
    mocks::{MockHypervisor, MockIpPool},
    sample,
};
use deploy_worker::Worker;
use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use store_sqlite::SqliteStore;

/// Machines that are ready, and of which nothing is due.
const SETTLED: u32 = 100_000;
/// How many times a worker begins.
const ROUNDS: usize = 11;
/// What is measured in each round, one after the other.
const PHASES: [&str; 3] =
    ["the store opens", "a pass finds nothing due", "a look for vanished machines finds none"];
/// So much CPU, in seconds, may pass until nothing was found due.
const TARGET: f64 = 1.0;

#[tokio::main]
async fn main() {
    let directory = tempfile::tempdir().expect("a temporary folder");
    let path = directory.path().join("deploy.db");
    settle(&path).await;
    let list = inventory(&open(&path).await).await;
    assert_eq!(list.len(), SETTLED as usize + 1, "the copies and the one that they were made of");

    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push(begin(&path, list.clone()).await);
    }
    println!(
        "Beginning beside {SETTLED} machines at rest, SQLite, {ROUNDS} rounds (target: at most {TARGET} s of CPU until"
    );
    println!("the pass is over)\n{:<42} {:>8} {:>8}", "", "ms", "CPU ms");
    for (phase, name) in PHASES.into_iter().enumerate() {
        let middle = |time: fn(&Sample) -> Duration| {
            median(rounds.iter().map(|round| time(&round[phase]).as_secs_f64() * 1e3))
        };
        println!("{name:<42} {:>8.2} {:>8.2}", middle(|sample| sample.wall), middle(|sample| sample.cpu));
    }
}

/// A store with one machine that was deployed, and so many copies of it.
async fn settle(path: &Path) {
    let deployment = benches::deployment(&sample::full_spec()).await;
    let mut fleet = Fleet::new(open(path).await, sample::full_spec()).await;
    let first = fleet.lease(1).await;
    fleet.commit_all(vec![(first[0], deployment)]).await;
    fleet.release(&first).await;
    fleet.store().close().await;
    settle_copies(path, SETTLED);
}

async fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, Arc::new(ManualClock::default())).await.expect("a store")
}

/// The list of a cluster in which all machines are where they should be.
async fn inventory(store: &SqliteStore) -> Vec<Summary> {
    let resting = store.resting(None, SETTLED as usize + 2).await.expect("the machines at rest");
    let listed = resting.into_iter().map(|machine| Summary {
        vmid: machine.vmid,
        node: machine.node,
        name: Some(machine.name.to_string()),
        power: None,
        lock: None,
        template: false,
    });
    listed.collect()
}

/// A worker begins: opens the store, looks for what is due, and then for what vanished; the list itself costs nothing here.
async fn begin(path: &Path, list: Vec<Summary>) -> [Sample; 3] {
    let (store, opening) = measured(open(path)).await;
    let worker = Worker::new(hypervisor(list), Arc::new(MockIpPool::new()), Arc::new(store.clone()));
    let (passed, passing) = measured(worker.tick(Duration::from_secs(60))).await;
    let passed = passed.expect("a pass");
    assert!(passed.complete && passed.machines == 0, "nothing is due: {passed:?}");
    let (audited, auditing) = measured(worker.audit()).await;
    let audited = audited.expect("a report");
    assert_eq!((audited.machines, audited.missing), (SETTLED as usize + 1, 0), "all are there");
    store.close().await;
    [opening, passing, auditing]
}

fn hypervisor(list: Vec<Summary>) -> Arc<dyn Hypervisor> {
    let list = Mutex::new(list);
    let mut hypervisor = MockHypervisor::new();
    hypervisor
        .expect_inventory()
        .returning(move |_| Ok(std::mem::take(&mut list.lock().unwrap_or_else(PoisonError::into_inner))));
    Arc::new(hypervisor)
}
