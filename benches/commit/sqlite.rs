//! On SQLite.

use crate::{
    Targets, Work,
    by_hand::{self, Value},
};
use benches::Fleet;
use deploy_core::{Commit, Lease};
use deploy_testkit::{ManualClock, sample};
use rusqlite::{
    Connection, ToSql, params,
    types::{Null, ToSqlOutput},
};
use std::{path::Path, sync::Arc};
use store_sqlite::SqliteStore;

const TARGETS: Targets = Targets { speed: 0.5, cpu: 2.0 };

pub(crate) async fn run(commits: &[Commit]) {
    let directory = tempfile::tempdir().expect("a temporary folder");
    let path = directory.path().join("deploy.db");
    let store = SqliteStore::open(&path, Arc::new(ManualClock::default())).await.expect("a store");
    let mut fleet = Fleet::new(store, sample::full_spec()).await;
    let by_hand = ByHand::new(&path, commits);
    let write = async |work| by_hand.commit_all(work);
    crate::compare("SQLite, synchronous=FULL", &TARGETS, &mut fleet, write, commits).await;
}

/// One connection, one transaction for 64 commits, a statement for each commit of the deployment.
struct ByHand {
    conn: Connection,
    updates: Vec<String>,
}

impl ByHand {
    fn new(path: &Path, commits: &[Commit]) -> Self {
        let conn = Connection::open(path).expect("the database");
        conn.execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;").expect("settings");
        conn.set_prepared_statement_cache_capacity(commits.len() + 8);
        let updates = commits.iter().map(update).collect();
        Self { conn, updates }
    }

    fn commit_all(&self, work: Work) {
        for (place, group) in by_hand::groups(work) {
            self.conn.execute_batch("BEGIN IMMEDIATE").expect("BEGIN");
            for (lease, commit) in group {
                self.commit(&lease, &commit, &self.updates[place]).expect("a commit by hand");
            }
            self.conn.execute_batch("COMMIT").expect("COMMIT");
        }
    }

    fn commit(&self, lease: &Lease, commit: &Commit, update: &str) -> rusqlite::Result<()> {
        let (key, owner) = (lease.key.to_string(), lease.worker.to_string());
        let mut statement = self.conn.prepare_cached(update)?;
        let mut index = 0;
        for (_, value) in by_hand::changes(commit) {
            index += 1;
            statement.raw_bind_parameter(index, value)?;
        }
        statement.raw_bind_parameter(index + 1, &key)?;
        statement.raw_bind_parameter(index + 2, owner)?;
        statement.raw_bind_parameter(index + 3, lease.epoch)?;
        assert_eq!(statement.raw_execute()?, 1, "the row is there");
        if let Some(line) = &commit.log {
            self.conn
                .prepare_cached(
                    "INSERT INTO deploy_log (vm, at, operation, step, event, last_at) VALUES (?1, ?2, ?3, ?4, ?5, ?2)",
                )?
                .execute(params![
                    key,
                    line.at.as_microsecond(),
                    line.operation.as_str(),
                    line.step.as_str(),
                    by_hand::written(&line.event)
                ])?;
        }
        if let Some(notice) = &commit.notice {
            self.conn
                .prepare_cached("INSERT INTO outbox (vm, at, notice) VALUES (?, ?, ?)")?
                .execute(params![key, 0, by_hand::written(notice)])?;
        }
        Ok(())
    }
}

/// The statement that changes what the commit does and nothing else.
fn update(commit: &Commit) -> String {
    let set: Vec<String> =
        by_hand::changes(commit).iter().map(|(column, _)| format!("{column} = ?")).collect();
    format!("UPDATE vm SET {} WHERE key = ? AND owner = ? AND epoch = ?", set.join(", "))
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Self::Text(text) => text.to_sql(),
            Self::Json(json) => json.to_sql(),
            Self::Number(number) => number.to_sql(),
            Self::Time(None) | Self::Id(None) => Ok(Null.into()),
            Self::Time(Some(at)) => Ok(at.as_microsecond().into()),
            Self::Id(Some(id)) => Ok(id.to_string().into()),
        }
    }
}
