//! The writing connection and the session that fences it.
//!
//! A transaction whose answer is lost may have been committed, or may still be under way in a process of the server that has
//! not noticed yet. So every transaction changes the row of its session, with its number. After a lost connection the new one
//! takes the row over under a new id: that waits for what is under way, makes void whatever is still to arrive (it finds no
//! row of its id), and reads the number of the last transaction that was committed. It works behind a pooler, where a process
//! of the server cannot be told by its number.

use super::work::{Ran, Work};
use crate::{
    Settings,
    db::Db,
    failure::{is_lost, words},
    link::{answered, connect, no_answer},
};
use futures_util::future::try_join;
use std::sync::Arc;
use tokio_postgres::{Client, Error, types::Type};
use uuid::Uuid;

/// A process that stands still in the middle of a transaction holds locks that others wait for. After so long the server ends
/// the transaction; nothing that the store does between two statements takes a thousandth of it. The other way round, somebody
/// who holds for long what a piece of work needs (a panel that has ordered and does not commit) holds up whatever waits behind it:
/// after so long it is taken back. Statements count on seeing what was committed before each of them, whatever a database has
/// for its default.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = '3s'; \
     SET LOCAL idle_in_transaction_session_timeout = '5s'";

/// A connection with its session.
pub(super) struct Line {
    pub(super) client: Client,
    pub(super) session: Uuid,
    /// The number of the last transaction.
    pub(super) batch: i64,
    settings: Arc<Settings>,
}

/// How a transaction ended.
pub(super) enum Ended {
    /// Committed, or undone because the work was refused.
    Well,
    /// The session was ended by somebody else (it was not used for a week).
    NoSession,
}

impl Line {
    /// Connects, and takes over what was left of these sessions: the one that wrote, and any that a lost connection was to begin
    /// and that arrived late. Also says the number of the last transaction that was committed; `None` where there is none.
    pub(super) async fn open(
        settings: &Arc<Settings>,
        before: &[Uuid],
        session: Uuid,
    ) -> Result<(Self, Option<i64>), String> {
        let client = connect(settings).await?;
        let text = settings.schema.text(
            "WITH taken_over AS (
                 UPDATE $schema.session SET id = $1, at = now() WHERE id = ANY ($2) RETURNING batch
             ), begun AS (
                 INSERT INTO $schema.session (id, batch, at) SELECT $1, 0, now() WHERE NOT EXISTS (SELECT 1 FROM taken_over)
             )
             SELECT (SELECT max(batch) FROM taken_over)",
        );
        let params = [(&session as _, Type::UUID), (&before as _, Type::UUID_ARRAY)];
        let asked = answered(client.query_typed_one(&text, &params)).await;
        let row = asked.ok_or_else(no_answer)?.map_err(|error| words(&error))?;
        let last: Option<i64> = row.try_get(0).map_err(|error| words(&error))?;
        let line = Self { client, session, batch: last.unwrap_or(0), settings: Arc::clone(settings) };
        Ok((line, last))
    }

    pub(super) fn db(&self) -> Db<'_> {
        Db {
            client: &self.client,
            schema: &self.settings.schema,
            now: self.settings.clock.as_ref().map(|clock| crate::column::kept(clock.now())),
        }
    }

    /// Runs a piece of work in the transaction number `batch`.
    ///
    /// # Errors
    /// Where it is not the loss of the connection, nothing was written.
    pub(super) async fn transact(&self, batch: i64, work: &mut dyn Work) -> Result<Ended, Error> {
        match self.up_to_the_end(batch, work).await {
            Ok(Some(end)) => {
                self.client.batch_execute(end).await?;
                Ok(Ended::Well)
            }
            Ok(None) => {
                self.client.batch_execute("ROLLBACK").await?;
                Ok(Ended::NoSession)
            }
            Err(error) if is_lost(&error) => Err(error),
            Err(error) => {
                self.client.batch_execute("ROLLBACK").await?;
                Err(error)
            }
        }
    }

    /// Begins the transaction, does the work, and says how it is to end; `None` without a session.
    async fn up_to_the_end(&self, batch: i64, work: &mut dyn Work) -> Result<Option<&'static str>, Error> {
        let db = self.db();
        let session = [(&batch as _, Type::INT8), (&self.session as _, Type::UUID)];
        let touch = db.execute("UPDATE $schema.session SET batch = $1, at = now() WHERE id = $2", &session);
        // Sent together: the two take one round trip.
        let ((), touched) = try_join(self.client.batch_execute(BEGIN), touch).await?;
        if touched == 0 {
            return Ok(None);
        }
        match work.run(self, batch).await {
            Ran::Kept => Ok(Some("COMMIT")),
            Ran::Refused => Ok(Some("ROLLBACK")),
            Ran::Failed(error) => Err(error),
        }
    }

    /// Says that the session is over, so that its row need not wait for a week.
    pub(super) async fn close(self) {
        let text = "DELETE FROM $schema.session WHERE id = $1";
        // Only tidiness: a row that stays is swept.
        let _ = answered(self.db().execute(text, &[(&self.session, Type::UUID)])).await;
    }
}
