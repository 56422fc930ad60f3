//! Opening: what is refused, and in which words.
#![allow(clippy::unwrap_used)] // these are tests, also where a function helps them

use deploy_core::{Commit, CommitError, DnsStore, LeaseStore, LogId, Operation, RecordStore};
use deploy_testkit::{ManualClock, sample};
use jiff::SignedDuration;
use rusqlite::Connection;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};
use store_sqlite::{OpenError, SqliteStore};
use tempfile::TempDir;

async fn open(path: &Path) -> Result<SqliteStore, OpenError> {
    SqliteStore::open(path, Arc::new(ManualClock::default())).await
}

/// The error's text; it names the path, and never an SQLite error number.
async fn refused(path: &Path) -> (OpenError, String) {
    let error = open(path).await.expect_err("this must not open");
    let text = error.to_string();
    assert!(text.contains(path.to_str().unwrap()), "it names the path: {text}");
    assert!(!text.to_lowercase().contains("error code"), "it is in words: {text}");
    (error, text)
}

fn file(directory: &TempDir) -> PathBuf {
    directory.path().canonicalize().unwrap().join("deploy.db")
}

#[tokio::test]
async fn a_new_file_is_made_and_opened_again() {
    let directory = TempDir::new().unwrap();
    let path = file(&directory);
    let store = open(&path).await.unwrap();
    assert_eq!(store.path(), path);
    store.put_cluster(&sample::cluster(100, 199)).await.unwrap();
    store.close().await;
    assert!(!path.with_extension("db-wal").exists(), "closing writes the log back");
    let store = open(&path).await.unwrap();
    assert_eq!(store.clusters().await.unwrap(), [sample::cluster(100, 199)]);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let directory = TempDir::new().unwrap();
    let path = file(&directory);
    let text = "customer;price\n".repeat(500);
    fs::write(&path, &text).unwrap();
    let (_, why) = refused(&path).await;
    assert!(why.contains("is not an SQLite database"), "{why}");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[tokio::test]
async fn another_programs_database_is_refused_and_left_alone() {
    for (sql, id) in [("PRAGMA application_id = 42", 42), ("PRAGMA user_version = 3", 0)] {
        let directory = TempDir::new().unwrap();
        let path = file(&directory);
        let other = Connection::open(&path).unwrap();
        other.execute_batch(&format!("CREATE TABLE customer (name TEXT); {sql}")).unwrap();
        drop(other);
        let (error, why) = refused(&path).await;
        assert!(
            matches!(error, OpenError::Foreign { application_id, .. } if application_id == id),
            "{error:?}"
        );
        assert!(why.contains("another program's") && why.contains("a file of its own"), "{why}");
        let other = Connection::open(&path).unwrap();
        let tables: i64 =
            other.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0)).unwrap();
        let mode: String = other.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
        assert_eq!((tables, mode.as_str()), (1, "delete"));
    }
}

#[tokio::test]
async fn a_newer_schema_is_refused_with_both_versions() {
    let directory = TempDir::new().unwrap();
    let path = file(&directory);
    open(&path).await.unwrap().close().await;
    let newer = Connection::open(&path).unwrap();
    let ours: i64 = newer.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    let theirs = ours + 5;
    newer.execute_batch(&format!("PRAGMA user_version = {theirs}")).unwrap();
    drop(newer);
    let (error, why) = refused(&path).await;
    let expected = OpenError::TooNew { path: path.clone(), found: theirs, known: ours };
    assert_eq!(format!("{error:?}"), format!("{expected:?}"));
    let said = [format!("version {theirs}"), format!("version {ours}"), "update the program".to_owned()];
    assert!(said.iter().all(|said| why.contains(said)), "{why}");
}

#[tokio::test]
async fn a_second_store_on_the_file_is_refused_until_the_first_is_closed() {
    let directory = TempDir::new().unwrap();
    let path = file(&directory);
    let first = open(&path).await.unwrap();
    let link = directory.path().join("link.db");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    for way in [path.clone(), directory.path().join(".").join("deploy.db"), link] {
        let error = open(&way).await.expect_err("it is open already");
        let OpenError::InUse { holder, .. } = &error else { panic!("{error:?}") };
        assert_eq!(*holder, format!("process {}", std::process::id()));
        let why = error.to_string();
        assert!(why.contains(path.to_str().unwrap()) && why.contains("deploy.db.lock"), "{why}");
        assert!(why.contains("only one process") && why.contains("PostgreSQL"), "{why}");
    }
    let clone = first.clone();
    first.close().await;
    let write = clone.put_cluster(&sample::cluster(100, 199)).await.unwrap_err();
    assert!(write.to_string().contains("is closed"), "{write}");
    open(&path).await.unwrap();
}

#[tokio::test]
async fn dropping_the_last_clone_closes_as_well() {
    let directory = TempDir::new().unwrap();
    let path = file(&directory);
    let store = open(&path).await.unwrap();
    let clone = store.clone();
    drop(store);
    clone.put_cluster(&sample::cluster(100, 199)).await.unwrap();
    drop(clone);
    assert_eq!(open(&path).await.unwrap().clusters().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_path_that_cannot_hold_a_file_is_refused() {
    let directory = TempDir::new().unwrap();
    let (_, why) = refused(directory.path()).await;
    assert!(why.contains("is a directory"), "{why}");

    let plain = directory.path().join("plain");
    fs::write(&plain, "x").unwrap();
    let (_, why) = refused(&plain.join("deploy.db")).await;
    assert!(why.contains("Not a directory"), "{why}");

    let (_, why) = refused(&directory.path().join("missing").join("deploy.db")).await;
    assert!(why.contains("its directory") && why.contains("missing"), "{why}");
}

/// File modes do not stop root, so SQLite itself is told: the header's file-format write version 3 makes a database
/// read-only for every program (SQLite, Database File Format, 1.3.3).
#[tokio::test]
async fn a_database_that_cannot_be_written_is_refused() {
    let directory = TempDir::new().unwrap();
    let path = file(&directory);
    open(&path).await.unwrap().close().await;
    let mut bytes = fs::read(&path).unwrap();
    bytes[18] = 3;
    fs::write(&path, bytes).unwrap();
    let (_, why) = refused(&path).await;
    assert!(why.contains("is read-only") && why.contains("its directory"), "{why}");
}

#[tokio::test]
async fn a_damaged_database_is_named() {
    let directory = TempDir::new().unwrap();
    let path = file(&directory);
    open(&path).await.unwrap().close().await;
    let mut bytes = fs::read(&path).unwrap();
    bytes[100..400].fill(0xff);
    fs::write(&path, bytes).unwrap();
    let (_, why) = refused(&path).await;
    assert!(why.contains("is damaged") && why.contains("backup"), "{why}");
}

/// What a process leaves that is killed: the files as they are at some moment. Copied while the store is open, with writes
/// on their way, and opened elsewhere, they hold everything that was answered.
#[tokio::test]
async fn what_was_answered_survives_a_kill() {
    let directory = TempDir::new().unwrap();
    let path = file(&directory);
    let store = open(&path).await.unwrap();
    store.put_cluster(&sample::cluster(100, 999)).await.unwrap();
    let mut orders = tokio::task::JoinSet::new();
    for n in 1..=200 {
        let store = store.clone();
        orders.spawn(
            async move { store.create(&sample::order(n)).await.map(|created| created.record().clone()) },
        );
    }
    let mut answered = Vec::new();
    while let Some(order) = orders.join_next().await {
        answered.push(order.unwrap().unwrap());
        if answered.len() == 100 {
            break;
        }
    }
    let copies = TempDir::new().unwrap();
    let copy = copies.path().join("deploy.db");
    // So little is written that no checkpoint moves anything from one to the other meanwhile.
    for suffix in ["-wal", ""] {
        let name = |path: &Path| PathBuf::from(format!("{}{suffix}", path.display()));
        fs::copy(name(&path), name(&copy)).unwrap();
    }
    let copy = open(&copy).await.unwrap();
    for record in &answered {
        assert_eq!(copy.get(record.key).await.unwrap().as_ref(), Some(record));
    }
    let events = copy.events(LogId(0), 1000).await.unwrap();
    assert!(events.len() >= answered.len(), "an order and its log line are one");
    drop(orders);
}

/// Dropped with writes on their way: each is there whole, or not at all.
#[tokio::test]
async fn writes_on_their_way_are_written_when_the_store_is_dropped() {
    let directory = TempDir::new().unwrap();
    let path = file(&directory);
    let store = open(&path).await.unwrap();
    store.put_cluster(&sample::cluster(100, 999)).await.unwrap();
    let mut orders = tokio::task::JoinSet::new();
    for n in 1..=50 {
        let store = store.clone();
        orders.spawn(async move { store.create(&sample::order(n)).await.is_ok() });
    }
    drop(store);
    tokio::task::yield_now().await;
    orders.shutdown().await;
    let store = open(&path).await.unwrap();
    let events = store.events(LogId(0), 1000).await.unwrap();
    assert_eq!(events.len(), 50, "every order that was handed in");
    for event in events {
        assert!(store.get(event.key).await.unwrap().is_some());
    }
}

/// Who had them is gone: a restart goes on at once with the leases and the claims of DNS.
#[tokio::test]
async fn what_was_in_hand_is_free_when_the_file_is_opened_again() {
    let directory = TempDir::new().unwrap();
    let path = file(&directory);
    let store = open(&path).await.unwrap();
    store.put_cluster(&sample::cluster(100, 199)).await.unwrap();
    store.create(&sample::order(1)).await.unwrap();
    let hour = SignedDuration::from_hours(1);
    store.heartbeat(&sample::worker(1), hour).await.unwrap();
    let lease = store.claim(sample::worker(1).id, 1).await.unwrap()[0].lease;
    let marks = Commit { operation: Some(Operation::Terminate), ..Commit::default() };
    store.commit(&lease, marks).await.unwrap();
    let before = store.claim_dns(1, hour).await.unwrap()[0].claim;
    store.close().await;
    let store = open(&path).await.unwrap();
    store.heartbeat(&sample::worker(2), hour).await.unwrap();
    assert_eq!(store.claim(sample::worker(2).id, 1).await.unwrap()[0].lease.key, lease.key);
    assert_eq!(store.finish_dns(&before, None).await, Err(CommitError::Fenced));
    let claimed = store.claim_dns(1, hour).await.unwrap();
    assert_eq!((claimed[0].claim.key, claimed[0].claim.token), (lease.key, before.token + 1));
}
