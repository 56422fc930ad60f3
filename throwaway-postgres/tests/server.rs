//! Servers that are started, stopped, started again, and special.
#![allow(clippy::unwrap_used)] // these are tests, also where a function helps them

use std::{process::Command, time::Duration};
use throwaway_postgres::{Bouncer, Server, ServerError, shared};

#[test]
fn it_takes_connections_by_the_port_and_by_the_socket() {
    let server = shared();
    let database = server.fresh_database().unwrap();
    assert_eq!(database.psql("SELECT 1, 'two'").unwrap(), "1|two");
    assert_eq!(database.psql("SHOW lc_collate").unwrap(), "C.UTF-8");
    assert_eq!(database.psql("SHOW synchronous_commit").unwrap(), "on");
    assert!(database.url().contains("@127.0.0.1:"));
    assert_eq!(ask(&database.url(), "SELECT inet_client_addr()").unwrap(), "127.0.0.1");
    let by_socket = server.socket_url(database.name()).unwrap();
    assert_eq!(ask(&by_socket, "SELECT inet_client_addr() IS NULL").unwrap(), "t");
}

#[test]
fn the_port_asks_for_the_password() {
    let url = shared().url("postgres");
    let (scheme, rest) = url.split_once("://").unwrap();
    let (user, host) = rest.split_once('@').unwrap();
    let wrong = format!("{scheme}://{user}x@{host}");
    assert!(ask(&wrong, "SELECT 1").unwrap_err().contains("password authentication failed"));
}

#[test]
fn what_fails_is_told_in_the_servers_words() {
    let error = shared().psql("postgres", "SELECT 1; SELECT nothing").unwrap_err();
    assert!(error.to_string().contains("column \"nothing\" does not exist"), "{error}");
    assert!(matches!(shared().create_database("it's"), Err(ServerError::Unusable(_))));
    shared().create_database("taken").unwrap();
    assert!(shared().create_database("taken").unwrap_err().to_string().contains("already exists"));
}

#[test]
fn data_stay_over_every_stop_on_the_same_port() {
    let server = Server::start().unwrap();
    let url = server.create_database("kept").unwrap();
    server.psql("kept", "CREATE TABLE t (n int); INSERT INTO t VALUES (1)").unwrap();
    let first = server.pid().unwrap();
    server.stop_immediately().unwrap();
    assert_eq!(server.pid(), None);
    assert!(ask(&url, "SELECT 1").unwrap_err().contains("Connection refused"));
    // Stopped is stopped.
    server.stop_immediately().unwrap();
    server.start_again().unwrap();
    assert!(matches!(server.start_again(), Err(ServerError::Unusable(_))));
    assert_eq!(ask(&url, "SELECT n FROM t").unwrap(), "1");
    assert!(
        server.log().unwrap().contains("not properly shut down; automatic recovery"),
        "it was a hard stop"
    );
    server.restart().unwrap();
    assert_eq!(ask(&url, "SELECT n FROM t").unwrap(), "1");
    assert_ne!(server.pid().unwrap(), first);
}

#[test]
fn settings_are_put_in_force() {
    let server =
        Server::builder().setting("max_connections", "7").setting("work_mem", "1MB").start().unwrap();
    assert_eq!(server.psql("postgres", "SHOW max_connections").unwrap(), "7");
    assert_eq!(server.psql("postgres", "SHOW fsync").unwrap(), "off");
    let durable = Server::builder().durable().start().unwrap();
    assert_eq!(durable.psql("postgres", "SHOW fsync").unwrap(), "on");
    assert_eq!(durable.psql("postgres", "SHOW full_page_writes").unwrap(), "on");
    let wrong = Server::builder().setting("no_such_setting", "1").start().unwrap_err();
    assert!(wrong.to_string().contains("no_such_setting"), "{wrong}");
}

#[test]
fn a_standby_can_be_read_and_follows() {
    let primary = Server::start().unwrap();
    primary.psql("postgres", "CREATE TABLE t (n int)").unwrap();
    let standby = Server::builder().standby_of(&primary).unwrap().start().unwrap();
    assert_eq!(ask(&standby.url("postgres"), "SELECT pg_is_in_recovery()").unwrap(), "t");
    let refused = standby.psql("postgres", "INSERT INTO t VALUES (1)").unwrap_err();
    assert!(refused.to_string().contains("read-only transaction"), "{refused}");
    primary.psql("postgres", "INSERT INTO t VALUES (5)").unwrap();
    let followed = (0..1000).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        standby.psql("postgres", "SELECT n FROM t").unwrap() == "5"
    });
    assert!(followed);
    assert!(primary.promote().unwrap_err().to_string().contains("not in standby mode"));
    primary.stop_immediately().unwrap();
    standby.promote().unwrap();
    standby.psql("postgres", "INSERT INTO t VALUES (6)").unwrap();
}

#[test]
fn tls_is_verified_by_authority_and_name() {
    let server = Server::builder().tls().start().unwrap();
    let (right, wrong) = {
        let certificates = server.certificates().unwrap();
        (certificates.authority().display().to_string(), certificates.other_authority().display().to_string())
    };
    let url = server.url("postgres");
    let named = url.replace("127.0.0.1", "localhost");
    let ask = |url: &str, rest: &str| {
        ask(&format!("{url}?{rest}"), "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    };
    assert_eq!(ask(&named, &format!("sslmode=verify-full&sslrootcert={right}")).unwrap(), "t");
    assert!(
        ask(&named, &format!("sslmode=verify-full&sslrootcert={wrong}"))
            .unwrap_err()
            .contains("verify failed")
    );
    assert!(
        ask(&url, &format!("sslmode=verify-full&sslrootcert={right}"))
            .unwrap_err()
            .contains("does not match")
    );
    assert!(ask(&url, "sslmode=disable").unwrap_err().contains("no encryption"));
}

#[test]
fn a_disk_is_full_until_it_is_enlarged() {
    // 2 MiB, and a piece of a page.
    let server = Server::builder().largest_file(4097).wal_segments(1).start().unwrap();
    server.psql("postgres", "CREATE TABLE t (text text)").unwrap();
    let insert = "INSERT INTO t SELECT repeat('x', 1500) FROM generate_series(1, 3000)";
    let told = server.psql("postgres", insert).unwrap_err().to_string();
    assert!(told.contains("could not extend file") && told.contains("Check free disk space"), "{told}");
    let caught =
        format!("DO $$ BEGIN {insert}; EXCEPTION WHEN disk_full THEN RAISE 'SQLSTATE %', SQLSTATE; END $$");
    let told = server.psql("postgres", &caught).unwrap_err().to_string();
    assert!(told.contains("SQLSTATE 53100"), "{told}");
    // The server goes on, and so does what needs no space.
    assert_eq!(server.psql("postgres", "SELECT count(*) FROM t").unwrap(), "0");
    server.enlarge_disk().unwrap();
    server.psql("postgres", insert).unwrap();
    assert_eq!(server.psql("postgres", "SELECT count(*) FROM t").unwrap(), "3000");
}

#[test]
fn a_server_whose_log_is_full_crashes_and_starts_again_where_there_is_room() {
    let server = Server::builder().largest_file(4097).wal_segments(4).start().unwrap();
    server.psql("postgres", "CREATE TABLE t (n int)").unwrap();
    let insert = "INSERT INTO t SELECT generate_series(1, 1000)";
    let crashed = (0..1000).any(|_| server.psql("postgres", insert).is_err());
    assert!(crashed);
    assert!(server.log().unwrap().contains("PANIC:  could not write to log file"));
    // It goes on crashing until somebody makes room, or has given up by now.
    server.enlarge_disk().unwrap();
    server.stop_immediately().unwrap();
    server.start_again().unwrap();
    server.psql("postgres", insert).unwrap();
}

#[test]
fn a_bouncer_gives_a_connection_for_a_transaction() {
    let server = Server::start().unwrap();
    server.create_database("behind").unwrap();
    let bouncer = Bouncer::start(&server).unwrap();
    let url = bouncer.url("behind");
    assert_eq!(ask(&url, "SELECT current_database()").unwrap(), "behind");
    // Two transactions of one session, as soon as the bouncer has more than one connection.
    let differ = (0..1000).any(|_| {
        let (pid, session) = ("SELECT pg_backend_pid()", ["-XAtq", "-d", &url]);
        let output = Command::new("psql").args(session).args(["-c", pid, "-c", pid]).output().unwrap();
        let pids = String::from_utf8(output.stdout).unwrap();
        let (first, second) = pids.trim().split_once('\n').unwrap();
        first != second
    });
    assert!(differ);
    drop(bouncer);
    assert!(ask(&url, "SELECT 1").unwrap_err().contains("Connection refused"));
}

/// Asks with psql, by URL. The machine's own psql does for that.
fn ask(url: &str, sql: &str) -> Result<String, String> {
    let output =
        Command::new("psql").args(["-XAtq", "-d", url, "-c", sql]).env("LC_ALL", "C").output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().trim().to_owned();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}
