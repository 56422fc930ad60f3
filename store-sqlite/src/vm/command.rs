//! Queueing a command.

use super::row;
use crate::{
    column::{json, micros},
    failure::Failure,
    writer::Tx,
};
use deploy_core::{Admission, Command, CommandError, CommandId, VmKey, admit};
use rusqlite::params;

/// Judges a command on the record as it is in this transaction, and queues it.
pub(crate) fn command(
    tx: &Tx<'_>,
    key: VmKey,
    id: CommandId,
    command: &Command,
) -> Result<Admission, Failure<CommandError>> {
    let record = row::by_key(tx.conn, key)?.ok_or_else(|| Failure::Refused(CommandError::NotFound(key)))?;
    let admission =
        admit(&record, command, id).map_err(|denied| Failure::Refused(CommandError::Denied(denied)))?;
    if let Admission::Queued(id) = admission {
        let key = key.to_string();
        tx.conn
            .prepare_cached("INSERT INTO command (vm, id, command) VALUES (?, ?, ?)")?
            .execute(params![key, id.to_string(), json(command)?])?;
        tx.conn
            .prepare_cached("UPDATE vm SET due_at = min(coalesce(due_at, ?2), ?2) WHERE key = ?1")?
            .execute(params![key, micros(tx.now)])?;
    }
    Ok(admission)
}
