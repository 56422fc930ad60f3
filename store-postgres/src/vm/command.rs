//! Queueing a command.

use super::row;
use crate::{column::JsonText, db::Db, failure::Failure};
use deploy_core::{Admission, Command, CommandError, CommandId, QueuedCommand, VmKey, admit};
use tokio_postgres::types::Type;

/// Judges a command on the record as it is in this transaction, and queues it.
pub(crate) async fn command(
    db: &Db<'_>,
    key: VmKey,
    id: CommandId,
    command: Command,
) -> Result<Admission, Failure<CommandError>> {
    // A commit of the worker waits for this lock, and then sees the command in the row; a table of its own it would not see.
    let record = row::locked(db, key).await?.ok_or_else(|| Failure::Refused(CommandError::NotFound(key)))?;
    let admission =
        admit(&record, &command, id).map_err(|denied| Failure::Refused(CommandError::Denied(denied)))?;
    if let Admission::Queued(id) = admission {
        let queued = JsonText::of(&QueuedCommand { id, command })?;
        let text = "WITH queued AS (
                 UPDATE $schema.vm_state SET pending = pending || jsonb_build_array($2::jsonb),
                     due_at = least(due_at, coalesce($3, now()))
                 WHERE key = $1 RETURNING key
             )
             SELECT pg_notify($channel, key::text) FROM queued";
        db.execute(text, &[(&key.0, Type::UUID), (&queued, Type::JSONB), db.clock()]).await?;
    }
    Ok(admission)
}
