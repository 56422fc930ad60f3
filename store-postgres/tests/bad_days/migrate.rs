//! The schema, when many want to make it at one moment.

use crate::{
    other::{Other, Role, listen, say},
    rig::{begun, connect, leased, not_written, noted, order, settings, until},
};
use deploy_core::{LeaseStore, RecordStore};
use deploy_testkit::sample;
use store_postgres::PostgresStore;
use throwaway_postgres::{Server, shared};

const PROCESSES: u32 = 10;

/// Runs as a process that starts.
pub(crate) async fn live(role: &Role) {
    say("ready");
    listen();
    let store = connect(&role.url).await;
    store.put_cluster(&sample::cluster(100, 9999)).await.unwrap();
    order(&store, role.number).await;
}

#[tokio::test]
async fn of_ten_processes_that_start_at_once_one_makes_the_schema() {
    let server = Server::builder().setting("log_statement", "ddl").start().unwrap();
    let url = server.create_database("panel").unwrap();
    let mut others: Vec<Other> = (1..=PROCESSES).map(|n| Other::start("migrates", &url, n)).collect();
    for other in &others {
        assert_eq!(other.said(), "ready");
    }
    for other in &mut others {
        other.tell("go");
    }
    for other in others {
        other.ended();
    }
    let log = server.log().unwrap();
    assert_eq!(log.matches("CREATE TABLE pve_deploy.cluster").count(), 1, "{log}");
    assert_eq!(server.psql("panel", "SELECT count(*) FROM pve_deploy.version").unwrap(), "1");
    assert_eq!(server.psql("panel", "SELECT count(*) FROM pve_deploy.vm").unwrap(), PROCESSES.to_string());
}

#[tokio::test]
async fn a_schema_that_is_dropped_while_the_program_runs_is_told() {
    let database = shared().fresh_database().unwrap();
    let store = begun(&database.url()).await;
    let lease = leased(&store, 1).await.lease;
    database.psql("DROP SCHEMA pve_deploy CASCADE").unwrap();
    let words = [
        not_written(store.commit(&lease, noted("lost")).await),
        not_written(store.create(&sample::order(2)).await),
        not_written(store.claim(sample::worker(1).id, 1).await),
        not_written(store.get(lease.key).await),
    ];
    assert!(words.iter().all(|words| words.contains("was dropped")), "{words:?}");
}

#[tokio::test]
async fn a_server_that_stops_while_the_schema_is_made_has_nothing_of_it() {
    let server = Server::start().unwrap();
    let url = server.create_database("panel").unwrap();
    // It waits for this transaction in the middle of its own: a type of the same name as one of its tables.
    let (mut other, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let held = other.transaction().await.unwrap();
    let lock = "CREATE SCHEMA pve_deploy; CREATE TABLE pve_deploy.pool ()";
    held.batch_execute(lock).await.unwrap();
    let first = tokio::spawn(PostgresStore::connect(settings(&url)));
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    until("it waits", async || (server.psql("panel", waits).unwrap() == "1").then_some(())).await;
    server.stop_immediately().unwrap();
    assert!(first.await.unwrap().is_err());
    server.start_again().unwrap();
    let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname = 'pve_deploy'";
    assert_eq!(server.psql("panel", schemas).unwrap(), "0");
    let store = connect(&url).await;
    store.put_cluster(&sample::cluster(100, 9999)).await.unwrap();
    order(&store, 1).await;
}
