//! Clocks that are wrong.

use crate::{
    other::{Other, Role, say},
    rig::{ALIVE, begun, connect, leased, noted, order, settings, until},
};
use deploy_core::{Commit, CommitError, Due, LeaseStore, NewRecord, RecordStore};
use deploy_testkit::sample;
use jiff::{SignedDuration, Timestamp};
use std::{fs, process::Command};
use store_postgres::PostgresStore;
use throwaway_postgres::shared;

/// Ten minutes, in seconds.
const WRONG: i64 = 600;

/// What a machine with a wrong clock is like for its programs: `clock_gettime`, wrong by `WRONG_BY` seconds.
const WRONG_CLOCK: &str = include_str!("wrong_clock.c");

/// Runs as a worker on a machine with a wrong clock, which leases a machine and dies.
pub(crate) async fn live(role: &Role) {
    say(&Timestamp::now().to_string());
    let store = connect(&role.url).await;
    say(&store.clock().now().to_string());
    let me = sample::worker(role.number);
    store.heartbeat(&me, SignedDuration::from_secs(3)).await.unwrap();
    let machine = store.claim(me.id, 1).await.unwrap().remove(0);
    let due = store.clock().now() + SignedDuration::from_secs(5);
    let commit = Commit { due: Some(Due::At(due)), ..noted("by the wrong clock") };
    store.commit(&machine.lease, commit).await.unwrap();
    say("leased");
}

fn compile(folder: &tempfile::TempDir) -> String {
    let (source, library) = (folder.path().join("wrong_clock.c"), folder.path().join("wrong_clock.so"));
    fs::write(&source, WRONG_CLOCK).unwrap();
    let cc = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .arg("-ldl")
        .output()
        .unwrap();
    assert!(cc.status.success(), "{}", String::from_utf8_lossy(&cc.stderr));
    library.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_worker_whose_clock_is_ten_minutes_fast_does_as_all_others() {
    does_as_all_others(WRONG).await;
}

#[tokio::test]
async fn a_worker_whose_clock_is_ten_minutes_slow_does_as_all_others() {
    does_as_all_others(-WRONG).await;
}

async fn does_as_all_others(wrong: i64) {
    let folder = tempfile::TempDir::new().unwrap();
    let wrong_clock = [("LD_PRELOAD", &*compile(&folder)), ("WRONG_BY", &*wrong.to_string())];
    let database = shared().fresh_database().unwrap();
    let store = begun(&database.url()).await;
    order(&store, 1).await;
    let other = Other::start_with("wrong clock", &database.url(), 2, &wrong_clock);
    let off = |said: String| (said.parse::<Timestamp>().unwrap() - Timestamp::now()).get_seconds();
    let (its_own, the_stores) = (off(other.said()), off(other.said()));
    assert!((its_own - wrong).abs() < 60, "its clock is wrong: {its_own}");
    assert!(the_stores.abs() < 60, "the store's clock is right: {the_stores}");
    assert_eq!(other.said(), "leased");
    other.ended();
    // When it wants to look again is right, too.
    let due = "SELECT due_at BETWEEN now() - interval '1 minute' AND now() + interval '1 minute' FROM pve_deploy.vm_state";
    assert_eq!(database.psql(due).unwrap(), "t");
    // It is dead after three seconds of the database, no sooner and no later.
    let of_worker = |what: &str| {
        let id = sample::worker(2).id.0;
        database.psql(&format!("SELECT {what} FROM pve_deploy.worker WHERE id = '{id}'")).unwrap()
    };
    assert_eq!(of_worker("lease_until - started_at = interval '3 seconds'"), "t");
    until("its lease is over", async || (store.sweep().await.unwrap() == 1).then_some(())).await;
    assert_eq!(of_worker("now() BETWEEN lease_until AND lease_until + interval '30 seconds'"), "t");
}

#[tokio::test]
async fn orders_of_a_panel_whose_clock_is_off_are_due_at_once() {
    let database = shared().fresh_database().unwrap();
    let store = begun(&database.url()).await;
    for (n, wrong) in [(1, WRONG), (2, -WRONG)] {
        let created_at = Timestamp::now() + SignedDuration::from_secs(wrong);
        let order = NewRecord { created_at, ..sample::order(n) };
        store.create(&order).await.unwrap();
        let leased = store.claim(sample::worker(1).id, 10).await.unwrap();
        assert_eq!(leased.len(), 1, "{wrong}");
    }
}

#[tokio::test]
async fn a_worker_that_is_dead_for_the_database_is_fenced_whatever_its_own_clock_says() {
    let database = shared().fresh_database().unwrap();
    let store = begun(&database.url()).await;
    let lease = leased(&store, 1).await.lease;
    database.psql("UPDATE pve_deploy.worker SET lease_until = now()").unwrap();
    assert_eq!(store.sweep().await.unwrap(), 1);
    assert_eq!(store.commit(&lease, noted("late")).await, Err(CommitError::Fenced));
    assert_eq!(store.heartbeat(&sample::worker(1), ALIVE).await, Err(CommitError::Fenced));
    let again = PostgresStore::connect(settings(&database.url())).await.unwrap();
    again.heartbeat(&sample::worker(2), ALIVE).await.unwrap();
    assert_eq!(again.claim(sample::worker(2).id, 10).await.unwrap().len(), 1);
}
