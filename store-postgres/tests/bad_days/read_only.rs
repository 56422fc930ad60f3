//! Servers that take no writes.

use crate::rig::{
    as_role, begun, claim, connect, leased, not_written, note_at_last, noted, notes, order, own_server,
    settings, until,
};
use deploy_core::{LeaseStore, RecordStore};
use deploy_testkit::sample;
use store_postgres::{ConnectError, PostgresStore};
use throwaway_postgres::Server;

/// The URL of both servers' databases: whichever takes writes is used.
fn whichever(standby: &Server, primary: &Server) -> String {
    let (standby, primary) = (standby.url(""), primary.url("panel"));
    let (_, standby) = standby.split_once('@').unwrap();
    let (start, primary) = primary.split_once('@').unwrap();
    format!("{start}@{},{primary}?target_session_attrs=read-write", standby.trim_end_matches('/'))
}

#[tokio::test]
async fn a_standby_is_refused_with_the_way_to_the_primary() {
    let primary = Server::start().unwrap();
    connect(&primary.create_database("panel").unwrap()).await.close().await;
    let standby = Server::builder().standby_of(&primary).unwrap().start().unwrap();
    let error = PostgresStore::connect(settings(&standby.url("panel"))).await.unwrap_err();
    assert!(matches!(error, ConnectError::ReadOnly { .. }), "{error:?}");
    let words = error.to_string();
    assert!(words.contains("standby") && words.contains("connect to the primary"), "{words}");
    // What the words advise.
    order(&begun(&whichever(&standby, &primary)).await, 1).await;
    assert_eq!(primary.psql("panel", "SELECT count(*) FROM pve_deploy.vm").unwrap(), "1");
}

#[tokio::test]
async fn a_standby_that_takes_over_is_gone_on_with() {
    let primary = Server::start().unwrap();
    primary.create_database("panel").unwrap();
    let standby = Server::builder().standby_of(&primary).unwrap().start().unwrap();
    let store = begun(&whichever(&standby, &primary)).await;
    let lease = leased(&store, 1).await.lease;
    store.commit(&lease, noted("before")).await.unwrap();
    // It follows in its own time; what it has not got is lost with its primary.
    let got = "SELECT count(*) FROM pve_deploy.deploy_log WHERE event::text LIKE '%before%'";
    until("it has got it", async || standby.psql("panel", got).ok().filter(|count| count == "1")).await;
    primary.stop_immediately().unwrap();
    standby.promote().unwrap();
    note_at_last(&store, &lease, "after", "PostgreSQL").await;
    assert_eq!(notes(&store, lease.key).await, ["before", "after"]);
    order(&store, 2).await;
    assert_eq!(standby.psql("panel", "SELECT count(*) FROM pve_deploy.vm").unwrap(), "2");
}

#[tokio::test]
async fn a_user_who_is_read_only_by_default_is_refused() {
    let database = own_server().fresh_database().unwrap();
    let read_only = "GRANT CREATE ON DATABASE $database TO $role; ALTER ROLE $role SET default_transaction_read_only = on";
    let url = as_role(&database, read_only);
    let error = PostgresStore::connect(settings(&url)).await.unwrap_err();
    assert!(matches!(error, ConnectError::ReadOnly { .. }), "{error:?}");
    assert!(error.to_string().contains("read-only by default"), "{error}");
    let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname = 'pve_deploy'";
    assert_eq!(database.psql(schemas).unwrap(), "0", "nothing was made");
}

#[tokio::test]
async fn a_server_that_becomes_read_only_is_told_and_gone_on_with() {
    let server = Server::start().unwrap();
    let url = server.create_database("panel").unwrap();
    let store = begun(&url).await;
    let lease = leased(&store, 1).await.lease;
    let turn = |on: &str| {
        server.psql("postgres", &format!("ALTER SYSTEM SET default_transaction_read_only = {on}")).unwrap();
        server.psql("postgres", "SELECT pg_reload_conf()").unwrap();
    };
    turn("on");
    // The server's processes take it in one by one.
    let mut commits = 0;
    let words = until("it is read-only", async || {
        commits += 1;
        let answer = store.commit(&lease, noted(commits.to_string())).await;
        answer.is_err().then(|| not_written(answer))
    })
    .await;
    assert!(words.contains("read-only transaction") && words.contains("connect to the primary"), "{words}");
    let refused = not_written(store.create(&sample::order(2)).await);
    assert!(refused.contains("read-only"), "{refused}");
    assert!(not_written(store.heartbeat(&sample::worker(1), crate::rig::ALIVE).await).contains("read-only"));
    // Whoever only looks is served.
    assert!(store.get(lease.key).await.unwrap().is_some());
    turn("off");
    note_at_last(&store, &lease, "again", "read-only").await;
    assert_eq!(notes(&store, lease.key).await.len(), commits, "those before, and the last one");
    order(&store, 2).await;
    assert_eq!(claim(&store).await.len(), 1);
}
