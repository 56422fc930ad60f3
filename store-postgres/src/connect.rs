//! The first connection: whether this is a database to work with, and its schema.

use crate::{
    Settings,
    clock::DatabaseClock,
    db::Db,
    failure::words,
    link::{answered, connect, no_answer},
    schema::migrate,
    vm,
};
use deploy_core::SPEC_VERSION;
use tokio_postgres::Client;

/// PostgreSQL 13: everything older has no support any more.
const OLDEST: i32 = 130_000;

/// The store could not be opened. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The server was not reached, or refused.
    #[error("{place}: {message}")]
    Refused {
        /// Where.
        place: String,
        /// What happened, in words.
        message: String,
    },
    /// The server is a standby, is recovering, or takes no writes from this user.
    #[error(
        "{place} takes no writes ({why}); connect to the primary, or name all servers and target_session_attrs=read-write"
    )]
    ReadOnly {
        /// Where.
        place: String,
        /// Why.
        why: String,
    },
    /// The server is too old.
    #[error("PostgreSQL {found} is too old: 13 or newer is needed")]
    TooOld {
        /// Its version.
        found: String,
    },
    /// The schema belongs to somebody else.
    #[error(
        "schema {schema} has tables that are not of this store; name another one, or use another database"
    )]
    Foreign {
        /// Its name.
        schema: String,
    },
    /// The schema was made by a newer program.
    #[error(
        "schema {schema} is of version {found}, this program knows up to version {known}: update the program"
    )]
    TooNew {
        /// Its name.
        schema: String,
        /// Its version.
        found: i32,
        /// The newest version that is known.
        known: i32,
    },
    /// The schema could not be brought up to date.
    #[error("the schema could not be brought up to date: {0}")]
    Migration(String),
    /// The database could not be asked.
    #[error("{0}")]
    Database(String),
}

/// Looks at the server, migrates, and sets the clock.
pub(crate) async fn prepare(settings: &Settings, clock: &DatabaseClock) -> Result<(), ConnectError> {
    let place = || settings.place();
    let client =
        connect(settings).await.map_err(|message| ConnectError::Refused { place: place(), message })?;
    let silent = || ConnectError::Database(no_answer());
    answered(must_take_writes(&client, settings, clock)).await.ok_or_else(silent)??;
    migrate(&client, &settings.schema).await?;
    let db = Db { client: &client, schema: &settings.schema, now: None };
    let newer = answered(vm::count_newer(&db))
        .await
        .ok_or_else(silent)?
        .map_err(|error| ConnectError::Database(words(&error)))?;
    if newer > 0 {
        // What is passed over by every claim must be said somewhere.
        tracing::warn!(
            place = place(),
            "{newer} machines were ordered in a form newer than version {SPEC_VERSION}, which is the newest that this \
             program knows: they are left as they are until it is updated"
        );
    }
    Ok(())
}

async fn must_take_writes(
    client: &Client,
    settings: &Settings,
    clock: &DatabaseClock,
) -> Result<(), ConnectError> {
    let database = |error: tokio_postgres::Error| ConnectError::Database(words(&error));
    let text = "SELECT current_setting('server_version_num')::integer, current_setting('server_version'),
         pg_is_in_recovery(), current_setting('transaction_read_only') = 'on', clock_timestamp()";
    let row = client.query_typed_one(text, &[]).await.map_err(database)?;
    if row.try_get::<_, i32>(0).map_err(database)? < OLDEST {
        return Err(ConnectError::TooOld { found: row.try_get(1).map_err(database)? });
    }
    let why = if row.try_get(2).map_err(database)? {
        "it is a standby, or recovering"
    } else if row.try_get(3).map_err(database)? {
        "transactions of this user are read-only by default"
    } else {
        clock.set(row.try_get(4).map_err(database)?);
        return Ok(());
    };
    Err(ConnectError::ReadOnly { place: settings.place(), why: why.to_owned() })
}
