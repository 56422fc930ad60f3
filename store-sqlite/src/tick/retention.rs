//! How long the deploy log is kept.

use crate::{
    SqliteStore,
    column::{limit, micros},
    failure::Failure,
    writer::Tx,
};
use async_trait::async_trait;
use deploy_core::{LogId, LogKeep, LogPruned, LogRetention, StoreError};
use rusqlite::params;
use std::num::NonZeroU32;

#[async_trait]
impl LogRetention for SqliteStore {
    async fn prune_log(&self, keep: &LogKeep, after: LogId, limit: usize) -> Result<LogPruned, StoreError> {
        let keep = *keep;
        self.write(move |tx| prune(tx, &keep, after, limit)).await
    }
}

fn prune(
    tx: &Tx<'_>,
    keep: &LogKeep,
    after: LogId,
    at_most: usize,
) -> Result<LogPruned, Failure<StoreError>> {
    let since = micros(keep.since);
    let mut statement =
        tx.conn.prepare_cached("SELECT id, at < ? FROM deploy_log WHERE id > ? ORDER BY id LIMIT ?")?;
    let mut rows = statement.query(params![since, after.0, limit(at_most)])?;
    let (mut seen, mut last) = (0, after.0);
    while let Some(row) = rows.next()?
        && row.get(1)?
    {
        (seen, last) = (seen + 1, row.get(0)?);
    }
    let next = (seen > 0 && seen == at_most).then_some(LogId(last));
    // The newest of a machine are kept, so that it does not matter which of its entries are gone already.
    let deleted = tx
        .conn
        .prepare_cached(
            "DELETE FROM deploy_log WHERE id > ?1 AND id <= ?2 AND last_at < ?3 AND (
                 EXISTS (SELECT 1 FROM vm WHERE key = deploy_log.vm AND terminated = 1)
                 OR (SELECT count(*) FROM (
                     SELECT 1 FROM deploy_log AS newer WHERE newer.vm = deploy_log.vm AND newer.id > deploy_log.id LIMIT ?4
                 )) >= ?4
             )",
        )?
        .execute(params![after.0, last, since, keep.of_living.map(NonZeroU32::get)])?;
    Ok(LogPruned { deleted: deleted as u64, next })
}
