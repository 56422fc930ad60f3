//! Workers share what is due.
#![allow(clippy::unwrap_used)] // these are tests, also where a function helps them

mod place;

use deploy_core::{LeaseStore, RecordStore};
use deploy_testkit::sample;
use jiff::SignedDuration;
use place::Place;
use store_postgres::{PostgresStore, Sharing};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// Three workers live, and so many machines were just ordered.
async fn with(place: &Place, sharing: Sharing, machines: u32) -> PostgresStore {
    let store = PostgresStore::connect(place.settings().with_sharing(sharing)).await.unwrap();
    store.put_cluster(&sample::cluster(100, 9999)).await.unwrap();
    for n in 1..=3 {
        store.heartbeat(&sample::worker(n), HOUR).await.unwrap();
    }
    for n in 1..=machines {
        store.create(&sample::order(n)).await.unwrap();
    }
    store
}

async fn claims(store: &PostgresStore, worker: u32, limit: usize) -> usize {
    store.claim(sample::worker(worker).id, limit).await.unwrap().len()
}

#[tokio::test]
async fn each_takes_its_share() {
    let place = Place::new();
    let store = with(&place, Sharing::Equal, 31).await;
    assert_eq!(claims(&store, 1, 64).await, 11);
    assert_eq!(claims(&store, 1, 64).await, 0, "the rest is the others'");
    assert_eq!(claims(&store, 2, 64).await, 11);
    assert_eq!(claims(&store, 3, 64).await, 9);
    // More comes, and the one who has least may take most.
    for n in 101..=106 {
        store.create(&sample::order(n)).await.unwrap();
    }
    assert_eq!(claims(&store, 3, 64).await, 4);
    assert_eq!(claims(&store, 2, 64).await, 2);
}

#[tokio::test]
async fn what_nobody_takes_is_anybodys_after_a_while() {
    let place = Place::new();
    let store = with(&place, Sharing::Equal, 31).await;
    assert_eq!(claims(&store, 1, 64).await, 11);
    place.clock.advance(SignedDuration::from_secs(2));
    assert_eq!(claims(&store, 1, 5).await, 5, "no more than it can work on");
    assert_eq!(claims(&store, 1, 64).await, 15, "two workers that are not there hold up nothing");
}

#[tokio::test]
async fn a_dead_worker_has_no_share() {
    let place = Place::new();
    let store = with(&place, Sharing::Equal, 0).await;
    place.clock.advance(HOUR);
    store.heartbeat(&sample::worker(4), HOUR).await.unwrap();
    for n in 1..=10 {
        let order =
            deploy_core::NewRecord { created_at: deploy_core::Clock::now(&*place.clock), ..sample::order(n) };
        store.create(&order).await.unwrap();
    }
    assert_eq!(claims(&store, 4, 64).await, 10);
}

#[tokio::test]
async fn the_greedy_take_all() {
    let place = Place::new();
    let store = with(&place, Sharing::Greedy, 31).await;
    assert_eq!(claims(&store, 1, 64).await, 31);
}

/// However many somebody asks for.
#[tokio::test]
async fn there_is_no_limit_that_is_too_high() {
    let place = Place::new();
    let store = with(&place, Sharing::Equal, 6).await;
    assert_eq!(claims(&store, 1, usize::MAX).await, 2);
    let greedy = PostgresStore::connect(place.settings().with_sharing(Sharing::Greedy)).await.unwrap();
    assert_eq!(claims(&greedy, 2, usize::MAX).await, 4);
}
