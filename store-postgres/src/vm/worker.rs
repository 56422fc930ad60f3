//! Workers and how long they live.

use crate::{column::micros, db::Db, failure::Failure};
use deploy_core::{CommitError, StoreError, WorkerId, WorkerInfo};
use jiff::{SignedDuration, Timestamp};
use tokio_postgres::types::Type;

/// Says that a worker lives, and what time it is for the database. A worker whose time is over is remembered, so that this is
/// recognised as too late.
pub(crate) async fn heartbeat(
    db: &Db<'_>,
    worker: &WorkerInfo,
    alive_for: SignedDuration,
) -> Result<Timestamp, Failure<CommitError>> {
    let text = "INSERT INTO $schema.worker AS worker (id, info, started_at, lease_until)
         VALUES ($1, $2, coalesce($4, now()), coalesce($4, now()) + interval '1 microsecond' * $3)
         ON CONFLICT (id) DO UPDATE SET info = excluded.info, lease_until = excluded.lease_until
             WHERE worker.lease_until > coalesce($4, now())
         RETURNING clock_timestamp()";
    let info = worker.info.replace('\0', "\u{fffd}");
    let params = [
        (&worker.id.0 as _, Type::UUID),
        (&info as _, Type::TEXT),
        (&micros(alive_for) as _, Type::INT8),
        db.clock(),
    ];
    match db.optional(text, &params).await? {
        Some(row) => Ok(row.try_get(0)?),
        None => Err(Failure::Refused(CommitError::Fenced)),
    }
}

/// Ends a worker's time and releases what it holds.
pub(crate) async fn retire(db: &Db<'_>, worker: WorkerId) -> Result<(), Failure<StoreError>> {
    let text = "WITH ended AS (
             UPDATE $schema.worker SET lease_until = least(lease_until, coalesce($2, now())) WHERE id = $1
         ), released AS (
             UPDATE $schema.vm_state SET owner = NULL WHERE owner = $1 RETURNING due_at
         )
         SELECT pg_notify($channel, '') FROM released WHERE due_at <= coalesce($2, now()) LIMIT 1";
    db.execute(text, &[(&worker.0, Type::UUID), db.clock()]).await?;
    Ok(())
}

/// Releases what workers hold whose time is over, and says how many records. Workers and sessions are forgotten a week after
/// their last sign of life: beyond that they hold nothing and can do no harm.
pub(crate) async fn sweep(db: &Db<'_>) -> Result<u64, Failure<StoreError>> {
    // What is locked is being written by a worker whose write will say that it is fenced, or swept by another one.
    let text = "WITH orphan AS MATERIALIZED (
             SELECT key FROM $schema.vm_state AS state
             WHERE owner IS NOT NULL AND NOT EXISTS (
                 SELECT 1 FROM $schema.worker WHERE id = state.owner AND lease_until > coalesce($1, now())
             )
             FOR UPDATE SKIP LOCKED
         ), forgotten AS (
             DELETE FROM $schema.worker WHERE lease_until < coalesce($1, now()) - interval '7 days'
         ), closed AS (
             DELETE FROM $schema.session WHERE at < now() - interval '7 days'
         )
         UPDATE $schema.vm_state AS state SET owner = NULL FROM orphan WHERE state.key = orphan.key";
    Ok(db.execute(text, &[db.clock()]).await?)
}
