//! Processes that stand still, and come back.

use crate::{
    other::{Other, Role, listen, say},
    rig::{ALIVE, begun, claim, connect, noted, notes, order, until, wired},
    wire::Weather,
};
use deploy_core::{AddressStore, CommitError, Family, LeaseStore, RecordStore, TakeError};
use deploy_testkit::sample;
use jiff::SignedDuration;
use std::time::Duration;
use throwaway_postgres::shared;
use tokio::time::timeout;

/// Runs as a worker that is frozen while it has a machine, and does on waking what it was about to do.
pub(crate) async fn live(role: &Role) {
    let store = connect(&role.url).await;
    let me = sample::worker(role.number);
    store.heartbeat(&me, SignedDuration::from_secs(3)).await.unwrap();
    let lease = store.claim(me.id, 1).await.unwrap().remove(0).lease;
    store.commit(&lease, noted("before")).await.unwrap();
    say("works");
    // Frozen here; the line comes while it is.
    listen();
    let wants = [sample::want(Family::V4, 1, &["public"])];
    let answers = [
        store.commit(&lease, noted("after")).await,
        store.heartbeat(&me, ALIVE).await,
        store.release(&lease).await,
        store.give_back(&lease).await.map(drop),
    ];
    assert!(answers.iter().all(|answer| *answer == Err(CommitError::Fenced)), "{answers:?}");
    assert_eq!(store.take(&lease, &wants).await, Err(TakeError::Fenced));
    assert_eq!(store.claim(me.id, 10).await.unwrap(), []);
    say("fenced");
}

/// A server's process that is frozen, a pooler that hangs: the connection stays, and says nothing.
#[tokio::test]
async fn a_connection_that_says_nothing_is_given_up_by_whoever_stops_waiting() {
    let database = shared().fresh_database().unwrap();
    let (wire, url) = wired(&database.url()).await;
    let store = begun(&url).await;
    let me = sample::worker(1);
    let reference = sample::order(1).external_ref;
    assert_eq!(store.by_reference(&reference).await.unwrap(), None);
    for _ in 0..2 {
        wire.forecast(Weather::Silence, "INSERT INTO pve_deploy.worker");
        let beat = timeout(Duration::from_millis(200), store.heartbeat(&me, ALIVE)).await;
        assert!(beat.is_err() && wire.has_struck(), "{beat:?}");
        timeout(Duration::from_secs(10), store.heartbeat(&me, ALIVE)).await.unwrap().unwrap();

        wire.forecast(Weather::Silence, "vm.external_ref = $1");
        let read = timeout(Duration::from_millis(200), store.by_reference(&reference)).await;
        assert!(read.is_err() && wire.has_struck(), "{read:?}");
        let read = timeout(Duration::from_secs(10), store.by_reference(&reference)).await.unwrap();
        assert_eq!(read.unwrap(), None);
    }
}

#[tokio::test]
async fn a_process_that_wakes_after_its_lease_is_fenced_in_all_it_does() {
    let database = shared().fresh_database().unwrap();
    let store = begun(&database.url()).await;
    let range = [sample::range("192.0.2.10", "192.0.2.20")];
    store.put_pool(&sample::pool("public", 24, &range), &range).await.unwrap();
    order(&store, 1).await;
    let mut zombie = Other::start("frozen", &database.url(), 7);
    assert_eq!(zombie.said(), "works");
    zombie.freeze();
    zombie.tell("go on");
    until("its lease is over", async || (store.sweep().await.unwrap() == 1).then_some(())).await;
    let lease = claim(&store).await.remove(0).lease;
    store.commit(&lease, noted("by the other one")).await.unwrap();
    let taken = store.take(&lease, &[sample::want(Family::V4, 1, &["public"])]).await.unwrap();
    zombie.wake();
    assert_eq!(zombie.ended(), ["fenced"]);
    assert_eq!(notes(&store, lease.key).await, ["before", "by the other one"]);
    assert_eq!(store.held(lease.key).await.unwrap(), taken);
    store.commit(&lease, noted("goes on")).await.unwrap();
}
