//! More connections than the server has.

use crate::rig::{Logged, begun, claim, leased, not_written, note_at_last, noted, notes, order, settings};
use deploy_core::{LeaseStore, RecordStore};
use deploy_testkit::sample;
use store_postgres::{ConnectError, PostgresStore};
use throwaway_postgres::Server;
use tokio_postgres::{Client, NoTls};

/// Takes all connections that are left to the role.
async fn crowd(url: &str) -> Vec<Client> {
    let mut clients = Vec::new();
    while let Ok((client, connection)) = tokio_postgres::connect(url, NoTls).await {
        tokio::spawn(connection);
        clients.push(client);
    }
    clients
}

/// A server with few connections, and the URL of an ordinary user: some are kept for the superuser.
fn small_server() -> (Server, String) {
    let server = Server::builder().setting("max_connections", "12").start().unwrap();
    let url = server.create_database("panel").unwrap();
    server
        .psql("panel", "CREATE ROLE panel LOGIN PASSWORD 'secret'; GRANT CREATE ON DATABASE panel TO panel")
        .unwrap();
    let host = url.split_once('@').unwrap().1;
    let url = format!("postgres://panel:secret@{host}");
    (server, url)
}

#[tokio::test]
async fn a_start_without_a_connection_to_be_had_says_how_many_it_needs() {
    let (_server, url) = small_server();
    let crowd = crowd(&url).await;
    assert!(crowd.len() > 4);
    let error = PostgresStore::connect(settings(&url)).await.unwrap_err();
    assert!(matches!(error, ConnectError::Refused { .. }), "{error:?}");
    let words = error.to_string();
    for word in ["53300", "four connections", "max_connections", "pgbouncer"] {
        assert!(words.contains(word), "{word:?} in: {words}");
    }
    drop(crowd);
}

#[tokio::test]
async fn four_connections_are_all_that_a_process_takes() {
    let (server, url) = small_server();
    let store = begun(&url).await;
    let _listening = store.listen(std::sync::Arc::new(deploy_core::NoDoorbell));
    let lease = leased(&store, 1).await.lease;
    let at_once = (0..50).map(|n| {
        let store = store.clone();
        tokio::spawn(async move {
            store.commit(&lease, noted(n.to_string())).await.unwrap();
            store.get(lease.key).await.unwrap();
            store.heartbeat(&sample::worker(1), crate::rig::ALIVE).await.unwrap();
        })
    });
    for one in at_once.collect::<Vec<_>>() {
        one.await.unwrap();
    }
    let taken = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'panel'";
    let taken: u32 = server.psql("panel", taken).unwrap().parse().unwrap();
    assert!((3..=4).contains(&taken), "{taken}");
}

#[tokio::test]
async fn writes_wait_for_a_connection_and_go_on_by_themselves() {
    let logged = Logged::listen();
    let (server, url) = small_server();
    let store = begun(&url).await;
    let lease = leased(&store, 1).await.lease;
    store.commit(&lease, noted("before")).await.unwrap();
    // Whoever restarts has lost his connections, and finds the others sitting in their places.
    let others = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'panel'";
    server.psql("panel", others).unwrap();
    let crowd = crowd(&url).await;
    // The server's words differ: no place at all, or none but the superuser's.
    let words = not_written(store.commit(&lease, noted("lost")).await);
    assert!(words.contains("53300") && words.contains("max_connections"), "{words}");
    let words = not_written(store.create(&sample::order(2)).await);
    assert!(words.contains("53300"), "{words}");
    assert!(not_written(store.claim(sample::worker(1).id, 1).await).contains("53300"));
    logged.must_have("ERROR", "53300");
    drop(crowd);
    note_at_last(&store, &lease, "after", "53300").await;
    assert_eq!(notes(&store, lease.key).await, ["before", "after"]);
    order(&store, 2).await;
    assert_eq!(claim(&store).await.len(), 1);
}
