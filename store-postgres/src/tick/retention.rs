//! How long the deploy log is kept.

use crate::{PostgresStore, column::Micros, column::limit, db::Db, failure::Failure};
use async_trait::async_trait;
use deploy_core::{LogId, LogKeep, LogPruned, LogRetention, StoreError};
use std::num::NonZeroU32;
use tokio_postgres::types::Type;

#[async_trait]
impl LogRetention for PostgresStore {
    async fn prune_log(&self, keep: &LogKeep, after: LogId, limit: usize) -> Result<LogPruned, StoreError> {
        let what = (*keep, after, limit);
        self.write(what, |db, (keep, after, limit)| Box::pin(prune(db, keep, *after, *limit))).await
    }
}

async fn prune(
    db: &Db<'_>,
    keep: &LogKeep,
    after: LogId,
    at_most: usize,
) -> Result<LogPruned, Failure<StoreError>> {
    // What was counted once more meanwhile is looked at again before it would be deleted, and stays.
    let text = "WITH seen AS MATERIALIZED (
             SELECT id, vm, at FROM $schema.deploy_log WHERE id > $1 ORDER BY id LIMIT $2
         ), old AS MATERIALIZED (
             SELECT id, vm FROM seen
             WHERE id < (SELECT coalesce(min(id) FILTER (WHERE at >= $3), 9223372036854775807) FROM seen)
         ), deleted AS (
             DELETE FROM $schema.deploy_log AS entry USING old JOIN $schema.vm ON vm.key = old.vm
             WHERE entry.id = old.id AND entry.last_at < $3 AND (
                 vm.terminated
                 OR (SELECT count(*) FROM (
                     SELECT 1 FROM $schema.deploy_log AS newer WHERE newer.vm = old.vm AND newer.id > old.id LIMIT $4
                 ) AS newer) >= $4
             )
             RETURNING 1
         )
         SELECT (SELECT count(*) FROM deleted) AS deleted, count(*) AS seen, max(id) AS last FROM old";
    let (since, at_most) = (Micros::of(keep.since), limit(at_most));
    let of_living = keep.of_living.map(|of_living| i64::from(NonZeroU32::get(of_living)));
    let params = [
        (&after.0 as _, Type::INT8),
        (&at_most as _, Type::INT8),
        (&since as _, Type::TIMESTAMPTZ),
        (&of_living as _, Type::INT8),
    ];
    let row = db.one(text, &params).await?;
    let (deleted, seen): (i64, i64) = (row.try_get("deleted")?, row.try_get("seen")?);
    let last: Option<i64> = row.try_get("last")?;
    let next = last.filter(|_| seen == at_most).map(LogId);
    Ok(LogPruned { deleted: deleted.unsigned_abs(), next })
}
