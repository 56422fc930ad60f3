//! Behind pgbouncer in transaction mode, where the next transaction may have another connection of the server's.

use crate::rig::{Logged, begun, claim, connect, order, settings, until};
use async_trait::async_trait;
use deploy_core::{Doorbell, LeaseStore, RecordStore, VmKey};
use deploy_testkit::{
    ManualClock,
    conformance::{self, StoreFactory},
    sample,
};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use store_postgres::{PostgresStore, Sharing};
use throwaway_postgres::{Bouncer, Server};
use tokio::sync::Notify;

/// Each store in a schema of its own, through one bouncer.
struct Behind {
    bouncer: Bouncer,
    schemas: AtomicUsize,
    _server: Server,
}

impl Behind {
    fn new() -> Self {
        let server = Server::start().unwrap();
        server.create_database("panel").unwrap();
        Self { bouncer: Bouncer::start(&server).unwrap(), schemas: AtomicUsize::new(0), _server: server }
    }

    async fn open(&self, schema: usize, clock: Arc<ManualClock>) -> PostgresStore {
        let settings = settings(&self.bouncer.url("panel")).with_schema(&format!("deploy_{schema}")).unwrap();
        let settings = settings.with_clock(clock).with_sharing(Sharing::Greedy);
        PostgresStore::connect(settings).await.unwrap()
    }
}

#[async_trait]
impl StoreFactory for Behind {
    type Store = PostgresStore;

    async fn fresh(&self, clock: Arc<ManualClock>) -> PostgresStore {
        self.open(self.schemas.fetch_add(1, Ordering::Relaxed), clock).await
    }

    async fn reopen(&self, store: PostgresStore, clock: Arc<ManualClock>) -> PostgresStore {
        store.close().await;
        self.open(self.schemas.load(Ordering::Relaxed) - 1, clock).await
    }
}

/// One case or two of each concern of the suite.
#[tokio::test]
async fn a_store_behind_a_bouncer_does_what_every_store_must() {
    use conformance::{
        addresses, commands, commits, creation, fencing, leases, log, numbers, outbox, workers,
    };
    let f = &Behind::new();
    creation::orders_at_one_moment_under_one_reference_are_one(f).await;
    numbers::numbers_are_unique_among_orders_at_one_moment(f).await;
    leases::a_record_is_leased_to_one_worker(f).await;
    workers::a_dead_workers_machines_are_swept_and_it_is_fenced(f).await;
    fencing::only_the_fenced_one_of_many_fails(f).await;
    commits::each_named_field_is_changed_and_no_other(f).await;
    commits::a_commit_is_all_or_nothing(f).await;
    commits::many_commits_at_once_all_count(f).await;
    commands::a_command_that_comes_during_a_lease_keeps_the_machine_due(f).await;
    log::events_are_read_on_from_a_cursor(f).await;
    outbox::notices_wait_in_order_until_delivered(f).await;
    addresses::an_address_rests_before_it_is_given_again(f).await;
    addresses::many_at_once_never_share_and_use_every_address(f).await;
}

/// A lock of a session would stay with a connection that is somebody else's by then.
#[tokio::test]
async fn stores_that_start_at_once_behind_a_bouncer_leave_no_lock_behind() {
    let server = Server::start().unwrap();
    server.create_database("panel").unwrap();
    let bouncer = Bouncer::start(&server).unwrap();
    let starts = (0..10).map(|_| PostgresStore::connect(settings(&bouncer.url("panel"))));
    for store in futures_util::future::join_all(starts).await {
        store.unwrap();
    }
    assert_eq!(server.psql("panel", "SELECT count(*) FROM pve_deploy.version").unwrap(), "1");
    let locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'";
    assert_eq!(server.psql("panel", locks).unwrap(), "0");
}

/// Counts what it is told.
#[derive(Default)]
struct Bell {
    wakes: AtomicUsize,
    woken: Notify,
}

impl Doorbell for Bell {
    fn ring(&self, _key: VmKey) {
        self.wake();
    }

    fn wake(&self) {
        self.wakes.fetch_add(1, Ordering::Relaxed);
        self.woken.notify_one();
    }
}

#[tokio::test]
async fn a_listener_behind_a_bouncer_says_that_it_hears_nothing_and_past_it_hears_all() {
    let logged = Logged::listen();
    let server = Server::start().unwrap();
    let direct = server.create_database("panel").unwrap();
    let bouncer = Bouncer::start(&server).unwrap();
    let panel = connect(&direct).await;
    panel.put_cluster(&sample::cluster(100, 199)).await.unwrap();

    let behind = connect(&bouncer.url("panel")).await;
    let deaf = Arc::new(Bell::default());
    let listening = behind.listen(Arc::clone(&deaf) as _);
    until("it says so", async || logged.text().contains("notifications do not arrive").then_some(())).await;
    logged.must_have("WARN", "a URL of its own");
    drop(listening);

    let past = settings(&bouncer.url("panel")).with_listen_url(&direct).unwrap();
    let past = PostgresStore::connect(past).await.unwrap();
    let bell = Arc::new(Bell::default());
    let _listening = past.listen(Arc::clone(&bell) as _);
    bell.woken.notified().await; // it hears
    let before = bell.wakes.load(Ordering::Relaxed);
    order(&panel, 1).await;
    bell.woken.notified().await;
    assert_eq!(bell.wakes.load(Ordering::Relaxed), before + 1);
}

/// A bouncer goes on over a server that was stopped; so does the store behind it.
#[tokio::test]
async fn a_server_that_is_stopped_behind_a_bouncer_is_gone_on_with() {
    let server = Server::start().unwrap();
    server.create_database("panel").unwrap();
    let bouncer = Bouncer::start(&server).unwrap();
    let store = begun(&bouncer.url("panel")).await;
    order(&store, 1).await;
    server.stop_immediately().unwrap();
    server.start_again().unwrap();
    // A heartbeat or a claim may meet the dead connection; nothing of it is lost.
    let machines = until("it claims", async || store.claim(sample::worker(1).id, 10).await.ok()).await;
    let lease = machines.first().expect("nothing was leased unheard").lease;
    store.commit(&lease, crate::rig::noted("after")).await.unwrap();
    order(&store, 2).await;
    assert_eq!(claim(&store).await.len(), 1);
}
