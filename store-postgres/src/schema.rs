//! The store's own schema: its name in statements, its version, and the migrations that lead to it.

use crate::{ConnectError, SettingsError, failure::words};
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};
use tokio_postgres::Client;

/// The migrations, in order; the n-th leads to version n. Only ever appended to.
const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/0001_first.sql"),
    include_str!("../migrations/0002_jobs_traffic_locks.sql"),
    include_str!("../migrations/0003_dns.sql"),
    include_str!("../migrations/0004_life.sql"),
    include_str!("../migrations/0005_adopt.sql"),
];

/// The version that this program reads and writes.
pub(crate) fn known_version() -> i32 {
    i32::try_from(MIGRATIONS.len()).unwrap_or(i32::MAX)
}

/// Filled-in statements, by where their text is in the program.
type Texts = HashMap<(usize, usize), Arc<str>>;

/// The schema by name, as statements have it. Statements never rely on the `search_path`: behind a connection pooler, it is
/// whoever's used the connection before.
#[derive(Clone)]
pub(crate) struct Schema {
    name: Arc<str>,
    texts: Arc<Mutex<Texts>>,
}

impl Schema {
    /// A schema of this name.
    ///
    /// # Errors
    /// [`SettingsError`] for what would have to be quoted wherever a person types it.
    pub(crate) fn new(name: &str) -> Result<Self, SettingsError> {
        let first = |c: char| c.is_ascii_lowercase() || c == '_';
        let rest = |c: char| first(c) || c.is_ascii_digit();
        let valid = name.starts_with(first) && name.chars().all(rest) && name.len() <= 63;
        if !valid || name.starts_with("pg_") {
            let expected =
                "1 to 63 lower-case letters, digits and '_', not beginning with a digit or \"pg_\"";
            return Err(SettingsError::new("schema", name, expected));
        }
        Ok(Self { name: name.into(), texts: Arc::default() })
    }

    /// The schema that is used where none is named.
    pub(crate) fn standard() -> Self {
        Self { name: "pve_deploy".into(), texts: Arc::default() }
    }

    /// Its name; also that of the channel of notifications.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// A statement with the schema's name filled in.
    pub(crate) fn fill(&self, text: &str) -> String {
        text.replace("$schema", &self.name).replace("$channel", &format!("'{}'", self.name))
    }

    /// [`fill`](Self::fill) for statements that are sent again and again: filled in once.
    pub(crate) fn text(&self, text: &'static str) -> Arc<str> {
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (text.as_ptr() as usize, text.len());
        texts.entry(place).or_insert_with(|| self.fill(text).into()).clone()
    }

    /// All that brings an empty database to the known version, for those who let no program change their schema.
    pub(crate) fn script(&self) -> String {
        let versions = MIGRATIONS.iter().enumerate();
        let migrations: Vec<_> =
            versions.map(|(n, text)| format!("\n-- version {}\n{}", n + 1, self.fill(text))).collect();
        let migrations = migrations.concat();
        let (name, table) = (&self.name, self.fill(VERSION_TABLE));
        let version = known_version();
        format!(
            "BEGIN;\nCREATE SCHEMA {name};\n{table}{migrations}\nINSERT INTO {name}.version VALUES ({version});\nCOMMIT;\n"
        )
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)
    }
}

const VERSION_TABLE: &str = "CREATE TABLE $schema.version (version integer NOT NULL);\n";

/// Brings the schema to the known version, all migrations in one transaction. Of processes that start at once one does it,
/// the others wait for it.
pub(crate) async fn migrate(client: &Client, schema: &Schema) -> Result<(), ConnectError> {
    let failed = |error: tokio_postgres::Error| ConnectError::Database(words(&error));
    if found_version(client, schema).await? == Some(known_version()) {
        return Ok(()); // not even a lock is taken
    }
    client.batch_execute("BEGIN").await.map_err(failed)?;
    match bring_up(client, schema).await {
        Ok(()) => client.batch_execute("COMMIT").await.map_err(failed),
        Err(error) => {
            // Fails only where the connection is gone, and with it the transaction.
            let _ = client.batch_execute("ROLLBACK").await;
            Err(error)
        }
    }
}

async fn bring_up(client: &Client, schema: &Schema) -> Result<(), ConnectError> {
    let failed = |error: tokio_postgres::Error| ConnectError::Migration(words(&error));
    // Held until the end of the transaction, so that it works behind a pooler too.
    let lock =
        schema.fill("SELECT pg_advisory_xact_lock(hashtextextended('pve-deploy migrates ' || $channel, 0))");
    client.batch_execute(&lock).await.map_err(failed)?;
    let version = found_version(client, schema).await?;
    if version.is_none() {
        // Asked first: `IF NOT EXISTS` wants the right to make one also where it is there.
        let there =
            schema.fill("SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $channel)");
        let there: bool =
            client.query_typed_one(&there, &[]).await.and_then(|row| row.try_get(0)).map_err(failed)?;
        if !there {
            client.batch_execute(&schema.fill("CREATE SCHEMA $schema")).await.map_err(failed)?;
        }
        client.batch_execute(&schema.fill(VERSION_TABLE)).await.map_err(failed)?;
        client.batch_execute(&schema.fill("INSERT INTO $schema.version VALUES (0)")).await.map_err(failed)?;
    }
    let done = usize::try_from(version.unwrap_or(0)).unwrap_or(0);
    for migration in MIGRATIONS.iter().skip(done) {
        client.batch_execute(&schema.fill(migration)).await.map_err(failed)?;
    }
    let set = schema.fill(&format!("UPDATE $schema.version SET version = {}", known_version()));
    client.batch_execute(&set).await.map_err(failed)
}

/// The version that is there, if any.
async fn found_version(client: &Client, schema: &Schema) -> Result<Option<i32>, ConnectError> {
    let failed = |error: tokio_postgres::Error| ConnectError::Database(words(&error));
    // Names are compared, not resolved: a schema that is not there is no error.
    let there = schema.fill(
        "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_tables WHERE schemaname = $channel AND tablename = 'version'),
             EXISTS (SELECT 1 FROM pg_catalog.pg_tables WHERE schemaname = $channel AND tablename <> 'version')",
    );
    let row = client.query_typed_one(&there, &[]).await.map_err(failed)?;
    let (versioned, others): (bool, bool) = (row.get(0), row.get(1));
    if !versioned {
        return if others {
            Err(ConnectError::Foreign { schema: schema.name().to_owned() })
        } else {
            Ok(None)
        };
    }
    let read = schema.fill("SELECT version FROM $schema.version");
    let row = client.query_typed_one(&read, &[]).await.map_err(failed)?;
    let found = row.try_get(0).map_err(failed)?;
    if found > known_version() {
        let schema = schema.name().to_owned();
        return Err(ConnectError::TooNew { schema, found, known: known_version() });
    }
    Ok(Some(found))
}
