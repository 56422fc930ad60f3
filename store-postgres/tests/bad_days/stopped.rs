//! The server is stopped as a crash stops it, in the middle of everything.

use crate::rig::{Logged, begun, claim, connect, leased, not_written, note_at_last, noted, notes, order};
use deploy_core::{
    Commit, CommitError, CreateError, Created, Lease, LeaseStore, Notice, RecordStore, StoreError,
    StoreOutcome,
};
use deploy_testkit::sample;
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use store_postgres::PostgresStore;
use throwaway_postgres::Server;
use tokio::{sync::watch, task::JoinSet};

const MACHINES: u32 = 200;
/// Commits of each machine.
const ROUNDS: u32 = 25;
/// Orders that a panel writes meanwhile.
const ORDERS: u32 = 50;
const STOPS: u32 = 3;

/// As a worker does between two tries.
const PAUSE: Duration = Duration::from_millis(20);

/// Counts what is done, so that the server is stopped in the middle of it.
type Done = Arc<watch::Sender<u32>>;

/// A machine's life: line after line, each written until the store says that it is.
async fn work(store: PostgresStore, lease: Lease, done: Done) {
    for round in 1..=ROUNDS {
        let notice = (round == ROUNDS).then_some(Notice::Ready);
        let commit = Commit { notice, ..noted(round.to_string()) };
        loop {
            match store.commit(&lease, commit.clone()).await {
                Ok(()) => break,
                Err(CommitError::Store(StoreError { outcome: StoreOutcome::NotWritten, .. })) => {
                    tokio::time::sleep(PAUSE).await;
                }
                // Stopped and started within ten seconds: what became of a write can be found out, and is.
                Err(error) => panic!("round {round}: {error:?}"),
            }
        }
        done.send_modify(|done| *done += 1);
    }
}

/// A panel that orders one machine after the other.
async fn order_all(store: PostgresStore) {
    for n in MACHINES + 1..=MACHINES + ORDERS {
        loop {
            match store.create(&sample::order(n)).await {
                Ok(Created::New(_)) => break,
                Err(CreateError::Store(StoreError { outcome: StoreOutcome::NotWritten, .. })) => {
                    tokio::time::sleep(PAUSE).await;
                }
                other => panic!("order {n}: {other:?}"),
            }
        }
    }
}

/// Stops the server and starts it again, each time that another part of the work is done.
async fn stop_and_start(server: Arc<Server>, mut done: watch::Receiver<u32>) {
    for stop in 1..=STOPS {
        let so_far = stop * MACHINES * ROUNDS / (STOPS + 1);
        done.wait_for(|done| *done >= so_far).await.unwrap();
        let server = Arc::clone(&server);
        let stopped = tokio::task::spawn_blocking(move || {
            server.stop_immediately().unwrap();
            server.start_again().unwrap();
        });
        stopped.await.unwrap();
    }
}

#[tokio::test]
async fn two_hundred_machines_go_on_after_every_stop_and_nothing_is_lost_or_doubled() {
    let logged = Logged::listen();
    let server = Arc::new(Server::start().unwrap());
    let url = server.create_database("panel").unwrap();
    // Two processes with half of the machines each, and a panel.
    let stores = [begun(&url).await, connect(&url).await];
    let panel = connect(&url).await;
    for n in 1..=MACHINES {
        order(&panel, n).await;
    }
    let machines = claim(&stores[0]).await;
    assert_eq!(machines.len(), MACHINES as usize);

    let done = Done::default();
    let mut running = JoinSet::new();
    for (n, machine) in machines.iter().enumerate() {
        running.spawn(work(stores[n % 2].clone(), machine.lease, Arc::clone(&done)));
    }
    running.spawn(order_all(panel.clone()));
    running.spawn(stop_and_start(Arc::clone(&server), done.subscribe()));
    running.join_all().await;

    let rounds: Vec<String> = (1..=ROUNDS).map(|round| round.to_string()).collect();
    for machine in &machines {
        assert_eq!(notes(&panel, machine.lease.key).await, rounds);
    }
    let ready = panel.notices(sample::worker(999).id, 10_000).await.unwrap();
    let told: BTreeSet<_> = ready.iter().map(|notice| notice.key).collect();
    assert_eq!((ready.len(), told.len()), (MACHINES as usize, MACHINES as usize), "each told once");
    let count = |what: &str| {
        server
            .psql("panel", &format!("SELECT count({what}) FROM pve_deploy.vm"))
            .unwrap()
            .parse::<u32>()
            .unwrap()
    };
    assert_eq!((count("*"), count("DISTINCT vmid")), (MACHINES + ORDERS, MACHINES + ORDERS));
    let recoveries = server.log().unwrap().matches("automatic recovery in progress").count();
    assert_eq!(recoveries, STOPS as usize, "the stops were hard");
    logged.must_have("WARN", "the connection that writes was lost");
    logged.must_have("INFO", "connected again");
}

#[tokio::test]
async fn a_server_that_stays_away_is_told_at_once_and_asked_again() {
    let logged = Logged::listen();
    let server = Server::start().unwrap();
    let store = begun(&server.create_database("panel").unwrap()).await;
    let lease = leased(&store, 1).await.lease;
    store.commit(&lease, noted("before")).await.unwrap();
    store.get(lease.key).await.unwrap();
    server.stop_fast().unwrap();
    // The connections' ends are noticed by the store's tasks.
    tokio::task::yield_now().await;
    let mut known = false;
    while !known {
        match store.commit(&lease, noted("lost")).await {
            // Sent before the end was noticed: for ten seconds it is looked for, and then nobody knows.
            Err(CommitError::Store(StoreError { outcome: StoreOutcome::Unknown, message })) => {
                assert!(message.contains("refused"), "{message}");
            }
            refused => {
                let words = not_written(refused);
                assert!(words.contains("cannot be reached") && words.contains("refused"), "{words}");
                known = true;
            }
        }
    }
    assert!(not_written(store.get(lease.key).await).contains("cannot be reached"));
    assert!(not_written(store.claim(sample::worker(1).id, 1).await).contains("cannot be reached"));
    assert!(not_written(store.create(&sample::order(2)).await).contains("cannot be reached"));
    logged.must_have("ERROR", "cannot be reached");
    server.start_again().unwrap();
    note_at_last(&store, &lease, "after", "cannot be reached").await;
    assert_eq!(notes(&store, lease.key).await, ["before", "after"]);
    order(&store, 2).await;
}
