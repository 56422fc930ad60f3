//! A process that is killed in the middle of writing: what it was told is written is there, and the file is free.
#![allow(clippy::unwrap_used)] // these are tests, also where a function helps them

use deploy_core::{ExternalRef, RecordStore};
use deploy_testkit::{ManualClock, sample};
use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
};
use store_sqlite::SqliteStore;
use tempfile::TempDir;

const PATH: &str = "STORE_SQLITE_TEST_KILLED";

async fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, Arc::new(ManualClock::default())).await.unwrap()
}

/// Not a test of its own: the process that is killed. It orders machines for ever, eight at a time, and says each reference
/// when the store has answered.
#[tokio::test]
async fn the_process_that_is_killed() {
    let Some(path) = std::env::var_os(PATH) else { return };
    let store = open(Path::new(&path)).await;
    store.put_cluster(&sample::cluster(100, 999_999)).await.unwrap();
    for first in (1..).step_by(8) {
        let mut orders = tokio::task::JoinSet::new();
        for n in first..first + 8 {
            let store = store.clone();
            orders.spawn(async move { store.create(&sample::order(n)).await });
        }
        for created in orders.join_all().await {
            println!("answered {}", created.unwrap().record().external_ref);
        }
    }
}

fn start(path: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_process_that_is_killed", "--nocapture"])
        .env(PATH, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn everything_answered_is_there_after_a_kill() {
    for wanted in [1, 40, 150] {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("deploy.db");
        let mut child = start(&path);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        // The test harness writes its own words on the line of the first.
        let mut answered = lines.filter_map(|line| line.split_once("answered ").map(|(_, it)| it.to_owned()));
        let mut seen: Vec<String> = answered.by_ref().take(wanted).collect();
        child.kill().unwrap();
        child.wait().unwrap();
        seen.extend(answered);
        assert!(seen.len() >= wanted, "{} of {wanted}", seen.len());

        let store = open(&path).await;
        for reference in &seen {
            // Lines are whole: one short write to a pipe is (POSIX, write: PIPE_BUF).
            let reference: ExternalRef = reference.parse().unwrap();
            let record = store.by_reference(&reference).await.unwrap().expect("it was answered");
            assert_eq!(store.log(record.key, deploy_core::LogId(0), 10).await.unwrap().len(), 1);
        }
    }
}
