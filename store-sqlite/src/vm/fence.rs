//! The fence: what a worker writes is written only while the lease is its own.

use super::row;
use crate::{failure::Failure, writer::Tx};
use deploy_core::{CommitError, Lease, VmRecord};
use rusqlite::{Connection, params};

/// Fails where the lease is not the record's; `fenced` is the caller's word for it.
pub(crate) fn fence<E>(conn: &Connection, lease: &Lease, fenced: E) -> Result<(), Failure<E>> {
    let mut statement =
        conn.prepare_cached("SELECT EXISTS (SELECT 1 FROM vm WHERE key = ? AND owner = ? AND epoch = ?)")?;
    let ours: bool = statement
        .query_row(params![lease.key.to_string(), lease.worker.to_string(), lease.epoch], |row| row.get(0))?;
    if ours { Ok(()) } else { Err(Failure::Refused(fenced)) }
}

/// Ends a lease.
pub(crate) fn release(tx: &Tx<'_>, lease: &Lease) -> Result<(), Failure<CommitError>> {
    let mut statement =
        tx.conn.prepare_cached("UPDATE vm SET owner = NULL WHERE key = ? AND owner = ? AND epoch = ?")?;
    match statement.execute(params![lease.key.to_string(), lease.worker.to_string(), lease.epoch])? {
        0 => Err(Failure::Refused(CommitError::Fenced)),
        _ => Ok(()),
    }
}

/// Reads a leased record; one statement, so that lease and record are of one moment.
pub(crate) fn reload(conn: &Connection, lease: &Lease) -> Result<VmRecord, Failure<CommitError>> {
    let sql = format!("SELECT {} FROM vm WHERE key = ? AND owner = ? AND epoch = ?", row::COLUMNS);
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query(params![lease.key.to_string(), lease.worker.to_string(), lease.epoch])?;
    match rows.next()? {
        Some(row) => Ok(row::decode(row)?),
        None => Err(Failure::Refused(CommitError::Fenced)),
    }
}
