//! Workers and how long they live.

use crate::{
    column::{micros, micros_after},
    failure::Failure,
    writer::Tx,
};
use deploy_core::{CommitError, StoreError, WorkerId, WorkerInfo};
use jiff::SignedDuration;
use rusqlite::{OptionalExtension, params};

/// So long a worker whose time is over is remembered, so that a late heartbeat of its is recognised. Beyond that it holds
/// no lease any more and can do no harm.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Says that a worker lives.
pub(crate) fn heartbeat(
    tx: &Tx<'_>,
    worker: &WorkerInfo,
    alive_for: SignedDuration,
) -> Result<(), Failure<CommitError>> {
    let id = worker.id.to_string();
    let until: Option<i64> = tx
        .conn
        .prepare_cached("SELECT lease_until FROM worker WHERE id = ?")?
        .query_row([&id], |row| row.get(0))
        .optional()?;
    if until.is_some_and(|until| until <= micros(tx.now)) {
        return Err(Failure::Refused(CommitError::Fenced));
    }
    let mut statement = tx.conn.prepare_cached(
        "INSERT INTO worker (id, info, started_at, lease_until) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (id) DO UPDATE SET info = ?2, lease_until = ?4",
    )?;
    statement.execute(params![id, worker.info, micros(tx.now), micros_after(tx.now, alive_for)])?;
    Ok(())
}

/// Whether a worker's time is not over.
pub(crate) fn is_alive(tx: &Tx<'_>, worker: WorkerId) -> Result<bool, rusqlite::Error> {
    tx.conn
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM worker WHERE id = ? AND lease_until > ?)")?
        .query_row(params![worker.to_string(), micros(tx.now)], |row| row.get(0))
}

/// Ends a worker's time and releases what it holds.
pub(crate) fn retire(tx: &Tx<'_>, worker: WorkerId) -> Result<(), Failure<StoreError>> {
    let id = worker.to_string();
    tx.conn
        .prepare_cached("UPDATE worker SET lease_until = min(lease_until, ?) WHERE id = ?")?
        .execute(params![micros(tx.now), id])?;
    tx.conn.prepare_cached("UPDATE vm SET owner = NULL WHERE owner = ?")?.execute([id])?;
    Ok(())
}

/// Releases what workers hold whose time is over, and says how many records.
pub(crate) fn sweep(tx: &Tx<'_>) -> Result<u64, Failure<StoreError>> {
    let now = micros(tx.now);
    let released = tx
        .conn
        .prepare_cached(
            "UPDATE vm SET owner = NULL WHERE owner IS NOT NULL
             AND NOT EXISTS (SELECT 1 FROM worker WHERE worker.id = vm.owner AND lease_until > ?)",
        )?
        .execute([now])?;
    tx.conn
        .prepare_cached("DELETE FROM worker WHERE lease_until < ?")?
        .execute([now.saturating_sub(crate::column::duration_micros(REMEMBERED))])?;
    Ok(released as u64)
}
