//! On PostgreSQL, and what an idle poll reads there.

use crate::{CLAIMED, DUE, SETTLED};
use benches::Fleet;
use deploy_core::{Commit, LeaseStore};
use deploy_testkit::sample;
use store_postgres::{PostgresStore, Settings, Sharing};
use throwaway_postgres::{Database, Server};

/// So many pages of 8 KiB an idle poll may look at.
const BUFFERS: u64 = 20;

pub(crate) async fn run(deployment: &[Commit]) {
    let server = Server::builder()
        .durable()
        .setting("max_wal_size", "4GB")
        .setting("shared_preload_libraries", "pg_stat_statements")
        .start()
        .expect("a server");
    let databases = [server.fresh_database(), server.fresh_database()].map(|made| made.expect("a database"));
    let none = fleet(&databases[0], deployment, 0).await;
    let many = fleet(&databases[1], deployment, SETTLED).await;
    let vacuum = || {
        for database in &databases {
            database.psql("VACUUM pve_deploy.vm_state").expect("a vacuum");
        }
    };
    crate::compare("PostgreSQL, fsync on", &none, &many, vacuum).await;
    idle(&databases[1], &many).await;
    none.store().close().await;
    many.store().close().await;
}

/// A store with one machine that was deployed, so many copies of it, and those that are due.
async fn fleet(database: &Database<'_>, deployment: &[Commit], settled: u32) -> Fleet<PostgresStore> {
    let settings = Settings::parse(&database.url()).expect("settings").with_sharing(Sharing::Equal);
    let store = PostgresStore::connect(settings).await.expect("a store");
    let mut fleet = Fleet::new(store, sample::spec()).await;
    let first = fleet.lease(1).await;
    fleet.commit_all(vec![(first[0], deployment.to_vec())]).await;
    fleet.release(&first).await;
    database.psql(&copy(settled)).expect("copies");
    fleet.order(DUE).await;
    // What the server does by itself once there is that much.
    database.psql("VACUUM (ANALYZE)").expect("statistics");
    database.psql("CHECKPOINT").expect("a checkpoint");
    fleet
}

/// Copies the one machine.
fn copy(count: u32) -> String {
    format!(
        "SET search_path = pve_deploy;
         DO $body$
         DECLARE
             columns text;
             contents text;
         BEGIN
             SELECT string_agg(column_name, ', '), string_agg(
                 CASE column_name
                     WHEN 'key' THEN 'gen_random_uuid()'
                     WHEN 'external_ref' THEN '''settled-'' || n'
                     WHEN 'vmid' THEN '1000000 + n'
                     ELSE column_name
                 END, ', ')
             INTO columns, contents FROM information_schema.columns
             WHERE table_schema = 'pve_deploy' AND table_name = 'vm' AND is_identity = 'NO';
             EXECUTE format('INSERT INTO vm (%s) SELECT %s FROM vm, generate_series(1, {count}) AS n', columns, contents);
             SELECT string_agg(column_name, ', '), string_agg(
                 CASE column_name WHEN 'key' THEN 'vm.key' ELSE 'state.' || column_name END, ', ')
             INTO columns, contents FROM information_schema.columns
             WHERE table_schema = 'pve_deploy' AND table_name = 'vm_state';
             EXECUTE format(
                 'INSERT INTO vm_state (%s) SELECT %s FROM vm CROSS JOIN vm_state AS state
                  WHERE vm.key <> state.key', columns, contents);
         END
         $body$;
         INSERT INTO vmid_reservation (cluster, vmid, vm) SELECT cluster, vmid, key FROM vm WHERE vmid > 1000000;
         INSERT INTO deploy_log (vm, at, operation, step, event, last_at)
             SELECT vm.key, at, line.operation, line.step, event, last_at FROM vm
             CROSS JOIN (SELECT * FROM deploy_log ORDER BY id DESC LIMIT 1) AS line WHERE vm.vmid > 1000000;"
    )
}

/// What a worker's poll reads where nothing is due.
async fn idle(database: &Database<'_>, fleet: &Fleet<PostgresStore>) {
    database.psql("CREATE EXTENSION pg_stat_statements").expect("statistics of statements");
    let wait = "UPDATE pve_deploy.vm_state SET due_at = now() + interval '1 hour' WHERE due_at IS NOT NULL";
    let rest = "UPDATE pve_deploy.vm_state SET due_at = NULL WHERE due_at IS NOT NULL";
    let vacuum = "VACUUM pve_deploy.vm_state";
    println!("\nBuffers that an idle poll touches (target: at most {BUFFERS})");
    println!("{:<50} {:>5} {:>9} {:>9}", "", "claim", "next due", "together");
    for (what, before) in [
        ("all that were due wait: the first poll", wait),
        ("the second, with what is dead in the index", "SELECT 1"),
        ("vacuumed, as within a minute by itself", vacuum),
        ("none waits any more: the first poll", rest),
        ("the second, with what is dead in the index", "SELECT 1"),
        ("vacuumed", vacuum),
    ] {
        database.psql(before).expect("a change");
        database.psql("SELECT pg_stat_statements_reset()").expect("a new count");
        let claimed = fleet.store().claim(fleet.worker().id, CLAIMED).await.expect("a claim");
        assert!(claimed.is_empty(), "nothing is due");
        fleet.store().next_due().await.expect("an answer");
        let (claim, next) = (touched(database, "SKIP LOCKED"), touched(database, "^SELECT due_at"));
        println!("{what:<50} {claim:>5} {next:>9} {:>9}", claim + next);
    }
}

/// What the statement with these words touched since the last count.
fn touched(database: &Database<'_>, words: &str) -> u64 {
    let sql = format!(
        "SELECT sum(shared_blks_hit + shared_blks_read) FROM pg_stat_statements
         WHERE query ~ '{words}' AND query !~ 'pg_stat_statements'"
    );
    let text = database.psql(&sql).expect("a count");
    text.trim().parse().unwrap_or_else(|_| panic!("no statement was counted: {text:?}"))
}
