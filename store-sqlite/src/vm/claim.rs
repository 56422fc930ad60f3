//! Leasing due records.

use super::row;
use crate::{
    column::{micros, timestamp},
    failure::{Failure, Unreadable},
    writer::Tx,
};
use deploy_core::{Lease, Leased, SPEC_VERSION, StoreError, WorkerId};
use jiff::Timestamp;
use rusqlite::{Connection, params};

/// Leases due records to a worker, the longest due first.
///
/// A record that this program does not understand (a newer form of order, a step it has never heard of) is passed over and
/// left as it is, so that it never stands in the way of the others.
pub(crate) fn claim(tx: &Tx<'_>, worker: WorkerId, limit: usize) -> Result<Vec<Leased>, Failure<StoreError>> {
    if !super::worker::is_alive(tx, worker)? {
        return Ok(Vec::new());
    }
    let mut leased = Vec::new();
    for record in due(tx, limit)? {
        let mut statement = tx
            .conn
            .prepare_cached("UPDATE vm SET owner = ?, epoch = epoch + 1 WHERE key = ? RETURNING epoch")?;
        let epoch =
            statement.query_row(params![worker.to_string(), record.key.to_string()], |row| row.get(0))?;
        leased.push(Leased::new(Lease { key: record.key, worker, epoch }, record));
    }
    Ok(leased)
}

fn due(tx: &Tx<'_>, limit: usize) -> Result<Vec<deploy_core::VmRecord>, Failure<StoreError>> {
    let sql = format!(
        "SELECT {} FROM vm INDEXED BY vm_due
         WHERE due_at IS NOT NULL AND owner IS NULL AND due_at <= ? AND spec_version <= ? ORDER BY due_at, key",
        row::COLUMNS
    );
    let mut statement = tx.conn.prepare_cached(&sql)?;
    let mut rows = statement.query(params![micros(tx.now), SPEC_VERSION])?;
    let mut records = Vec::new();
    while records.len() < limit
        && let Some(row) = rows.next()?
    {
        match row::decode(row) {
            Ok(record) => records.push(record),
            Err(Unreadable(why)) => tracing::error!("passed over: {why}"),
        }
    }
    Ok(records)
}

/// When the next record that nobody holds is due; only of those that [`claim`] would lease.
pub(crate) fn next_due(conn: &Connection) -> Result<Option<Timestamp>, Failure<StoreError>> {
    let sql = format!(
        "SELECT {} FROM vm INDEXED BY vm_due
         WHERE due_at IS NOT NULL AND owner IS NULL AND spec_version <= ? ORDER BY due_at, key",
        row::COLUMNS
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query([SPEC_VERSION])?;
    while let Some(row) = rows.next()? {
        if row::decode(row).is_ok() {
            return Ok(row.get::<_, Option<i64>>("due_at")?.map(timestamp));
        }
    }
    Ok(None)
}
