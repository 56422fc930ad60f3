//! Writes that wait: for one another, for the end, and for somebody else's transaction.
#![allow(clippy::unwrap_used)] // these are tests, also where a function helps them

mod place;

use deploy_core::{Commit, Created, LeaseStore, RecordStore};
use deploy_testkit::sample;
use place::{Place, leased};
use std::sync::Mutex;
use store_postgres::Order;
use tokio_postgres::{Client, NoTls};

async fn client(place: &Place) -> Client {
    let (client, connection) = tokio_postgres::connect(&place.database.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

#[tokio::test]
async fn closing_waits_for_what_was_to_be_written() {
    let place = Place::new();
    let store = place.with_cluster().await;
    let ended = Mutex::new(Vec::new());
    let write = async |n| {
        let created = store.create(&sample::order(n)).await;
        ended.lock().unwrap().push(created.is_ok());
    };
    let close = async {
        store.close().await;
        assert_eq!(*ended.lock().unwrap(), [true; 3], "what waited when it was closed is written");
    };
    tokio::join!(write(1), write(2), write(3), close);
    assert_eq!(
        place.database.psql("SELECT count(*) FROM pve_deploy.session").unwrap(),
        "0",
        "it said goodbye"
    );
    store.close().await;
}

/// A panel orders in a transaction of its own, and does not end it.
#[tokio::test]
async fn an_order_that_has_to_wait_does_not_hold_up_the_workers() {
    let place = Place::new();
    let store = place.with_cluster().await;
    let lease = leased(&store, 1..=1).await.remove(0);
    let (mut panel, onlooker) = (client(&place).await, client(&place).await);
    let open = panel.transaction().await.unwrap();
    let second = Order::new(&place.settings(), &sample::order(2)).unwrap();
    open.query_one(second.sql(), &[&second.parameter()]).await.unwrap();
    let orders = (3..=4).map(|n| {
        let store = store.clone();
        tokio::spawn(async move { store.create(&sample::order(n)).await })
    });
    let orders: Vec<_> = orders.collect();
    let waits =
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while onlooker.query(waits, &[]).await.unwrap().is_empty() {}
    // While the panel's transaction is open, and another write waits for it.
    store.commit(&lease, Commit { failures: Some(1), ..Commit::default() }).await.unwrap();
    assert_eq!(store.get(lease.key).await.unwrap().unwrap().failures, 1);
    open.commit().await.unwrap();
    let mut refused = 0;
    for order in orders {
        match order.await.unwrap() {
            Ok(created) => assert!(matches!(created, Created::New(_)), "{created:?}"),
            Err(error) => {
                assert!(error.to_string().contains("pg_stat_activity"), "{error}");
                refused += 1;
            }
        }
    }
    assert!(refused >= 1, "the commit waited for none of them");
    assert!(matches!(store.create(&sample::order(5)).await.unwrap(), Created::New(_)));
}

/// A person in a session of their own looks at a row for longer than is good.
#[tokio::test]
async fn a_row_that_somebody_holds_does_not_hold_up_the_other_machines() {
    let place = Place::new();
    let store = place.with_cluster().await;
    let leases = leased(&store, 1..=3).await;
    let mut person = client(&place).await;
    let open = person.transaction().await.unwrap();
    let held = leases[1];
    open.execute("SELECT 1 FROM pve_deploy.vm_state WHERE key = $1 FOR UPDATE", &[&held.key.0])
        .await
        .unwrap();
    let commit = |lease| store.commit(lease, Commit { failures: Some(1), ..Commit::default() });
    let (first, second, third) = tokio::join!(commit(&leases[0]), commit(&held), commit(&leases[2]));
    assert_eq!((first, third), (Ok(()), Ok(())));
    let refused = second.unwrap_err().to_string();
    assert!(refused.contains("pg_stat_activity"), "{refused}");
    open.rollback().await.unwrap();
    commit(&held).await.unwrap();
    for lease in leases {
        assert_eq!(store.get(lease.key).await.unwrap().unwrap().failures, 1);
    }
}
