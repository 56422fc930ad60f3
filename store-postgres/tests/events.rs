//! Whoever reads all events from a cursor misses none, in whatever order transactions end.
#![allow(clippy::unwrap_used)] // these are tests, also where a function helps them

mod place;

use deploy_core::{ClusterSettings, LogId, NewRecord, RecordStore};
use deploy_testkit::sample;
use place::Place;
use std::collections::BTreeSet;
use store_postgres::PostgresStore;
use tokio_postgres::{Client, NoTls};

async fn client(place: &Place) -> Client {
    let (client, connection) = tokio_postgres::connect(&place.database.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

fn order(place: &Place, n: u32, cluster: &str) -> store_postgres::Order {
    store_postgres::Order::new(&place.settings(), &order_of(n, cluster)).unwrap()
}

/// Orders of one cluster wait for one another; of several they do not.
fn order_of(n: u32, cluster: &str) -> NewRecord {
    let mut order = sample::order(n);
    order.spec.cluster = cluster.parse().unwrap();
    order
}

async fn put_cluster(store: &PostgresStore, name: &str) {
    let cluster = ClusterSettings { name: name.parse().unwrap(), ..sample::cluster(100, 999) };
    store.put_cluster(&cluster).await.unwrap();
}

/// An embedder's transaction takes a number and stays open, while others end: they are shown after it.
#[tokio::test]
async fn a_line_that_is_still_to_come_is_waited_for() {
    let place = Place::new();
    let store = place.with_cluster().await;
    put_cluster(&store, "one").await;
    put_cluster(&store, "other").await;
    store.create(&order_of(1, "one")).await.unwrap();
    let mut slow = client(&place).await;
    let open = slow.transaction().await.unwrap();
    let second = order(&place, 2, "one");
    open.query_one(second.sql(), &[&second.parameter()]).await.unwrap();
    store.create(&order_of(3, "other")).await.unwrap();

    let keys = async |after| {
        let events = store.events(LogId(after), 99).await.unwrap();
        events.into_iter().map(|event| event.key).collect::<Vec<_>>()
    };
    assert_eq!(keys(0).await, [sample::key(1)], "the third is later than one that may still come");
    open.commit().await.unwrap();
    assert_eq!(keys(0).await, [1, 2, 3].map(sample::key));
}

/// One that is taken back leaves a gap, and nothing waits for it.
#[tokio::test]
async fn a_transaction_that_is_taken_back_holds_up_nothing() {
    let place = Place::new();
    let store = place.with_cluster().await;
    let mut slow = client(&place).await;
    let open = slow.transaction().await.unwrap();
    put_cluster(&store, "one").await;
    let first = order(&place, 1, "one");
    open.query_one(first.sql(), &[&first.parameter()]).await.unwrap();
    open.rollback().await.unwrap();
    store.create(&order_of(2, "one")).await.unwrap();
    assert_eq!(store.events(LogId(0), 9).await.unwrap().len(), 1);
}

/// Many writers, and one who reads on from what was shown last.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_missed_while_many_write() {
    let place = Place::new();
    let store = place.with_cluster().await;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..6_u32 {
        let mut client = client(&place).await;
        let cluster = format!("cluster-{writer}");
        put_cluster(&store, &cluster).await;
        let orders: Vec<_> = (1..=40).map(|n| order(&place, writer * 100 + n, &cluster)).collect();
        writers.spawn(async move {
            for order in orders {
                let transaction = client.transaction().await.unwrap();
                transaction.query_one(order.sql(), &[&order.parameter()]).await.unwrap();
                transaction.commit().await.unwrap();
            }
        });
    }
    let (mut seen, mut cursor, mut over) = (BTreeSet::new(), LogId(0), false);
    loop {
        let events = store.events(cursor, 7).await.unwrap();
        if events.is_empty() && over {
            break;
        }
        for event in events {
            assert!(event.id > cursor);
            cursor = event.id;
            assert!(seen.insert(event.key));
        }
        over = over || {
            while let Some(done) = writers.try_join_next() {
                done.unwrap();
            }
            writers.is_empty()
        };
    }
    assert_eq!(seen.len(), 240);
}

/// Thousands of orders in one transaction do not fill the server's table of locks; what a savepoint takes back does not
/// loosen the one that is held.
#[tokio::test]
async fn a_transaction_holds_one_lock_however_much_it_writes() {
    let place = Place::new();
    let store = place.with_cluster().await;
    put_cluster(&store, "one").await;
    put_cluster(&store, "other").await;
    let mut panel = client(&place).await;
    let locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()";
    let mut open = panel.transaction().await.unwrap();
    let taken_back = open.transaction().await.unwrap();
    let first = order(&place, 1, "one");
    taken_back.query_one(first.sql(), &[&first.parameter()]).await.unwrap();
    taken_back.rollback().await.unwrap();
    assert_eq!(open.query_one(locks, &[]).await.unwrap().get::<_, i64>(0), 0);
    for n in 2..=5 {
        let order = order(&place, n, "one");
        open.query_one(order.sql(), &[&order.parameter()]).await.unwrap();
    }
    assert_eq!(open.query_one(locks, &[]).await.unwrap().get::<_, i64>(0), 1);
    store.create(&order_of(6, "other")).await.unwrap();
    assert_eq!(store.events(LogId(0), 99).await.unwrap(), [], "later than those that may still come");
    open.commit().await.unwrap();
    assert_eq!(store.events(LogId(0), 99).await.unwrap().len(), 5);
    // The connection's next transaction holds its own.
    let open = panel.transaction().await.unwrap();
    let order = order(&place, 7, "one");
    open.query_one(order.sql(), &[&order.parameter()]).await.unwrap();
    assert_eq!(open.query_one(locks, &[]).await.unwrap().get::<_, i64>(0), 1);
}
