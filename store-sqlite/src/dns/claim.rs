//! Claiming machines whose records are due.

use super::{entry, mark};
use crate::{
    column::{micros, micros_after, timestamp},
    failure::{Failure, Unreadable},
    vm,
    writer::Tx,
};
use deploy_core::{CommitError, DnsClaim, DnsClaimed, StoreError, VmKey};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

/// So long a machine is left alone whose record a newer program wrote.
const LEFT_ALONE: SignedDuration = SignedDuration::from_mins(10);

/// Claims due machines: those that were marked or have a time of their own, then those that other zones were judged by.
pub(super) fn claim(
    tx: &Tx<'_>,
    limit: usize,
    lasting: SignedDuration,
) -> Result<Vec<DnsClaimed>, Failure<StoreError>> {
    let now = micros(tx.now);
    let mut claimed = Vec::new();
    for text in [
        "SELECT vm FROM dns_machine INDEXED BY dns_machine_due
         WHERE due_at IS NOT NULL AND due_at <= ?1 AND (claimed_until IS NULL OR claimed_until <= ?1)
         ORDER BY due_at, vm LIMIT ?2",
        "SELECT vm FROM dns_machine INDEXED BY dns_machine_plan
         WHERE plan < (SELECT number FROM dns_plan) AND (claimed_until IS NULL OR claimed_until <= ?1)
         ORDER BY plan, vm LIMIT ?2",
    ] {
        let mut statement = tx.conn.prepare_cached(text)?;
        let free = crate::column::limit(limit.saturating_sub(claimed.len()));
        let keys = statement.query_map(params![now, free], |row| row.get(0))?;
        for key in keys.collect::<rusqlite::Result<Vec<String>>>()? {
            claimed.extend(claim_one(tx, &key, lasting)?);
        }
    }
    Ok(claimed)
}

fn claim_one(
    tx: &Tx<'_>,
    key: &str,
    lasting: SignedDuration,
) -> Result<Option<DnsClaimed>, Failure<StoreError>> {
    let claimed = (|| {
        let key: VmKey = key.parse().map_err(|error| Unreadable(format!("machine {key}: {error}")))?;
        let record = vm::by_key(tx.conn, key)?.ok_or_else(|| Unreadable(format!("machine {key} is gone")))?;
        Ok((record, mark::names(tx.conn, key)?, entry::entries(tx.conn, key)?))
    })();
    let (record, names, entries) = match claimed {
        Ok(claimed) => claimed,
        Err(Failure::Unreadable(Unreadable(why))) => {
            tracing::error!("its DNS records are passed over: {why}");
            let until = micros_after(tx.now, LEFT_ALONE);
            tx.conn
                .prepare_cached("UPDATE dns_machine SET claimed_until = ? WHERE vm = ?")?
                .execute(params![until, key])?;
            return Ok(None);
        }
        Err(failure) => return Err(failure),
    };
    let mut statement = tx.conn.prepare_cached(
        "UPDATE dns_machine SET token = token + 1, claimed_until = ?, claimed_mark = mark,
             claimed_plan = (SELECT number FROM dns_plan)
         WHERE vm = ? RETURNING token, asked > done",
    )?;
    let (token, thorough) = statement
        .query_row(params![micros_after(tx.now, lasting), key], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let claim = DnsClaim { key: record.key, token };
    Ok(Some(DnsClaimed { claim, record, names, entries, thorough }))
}

/// When the next machine can be claimed.
pub(super) fn next_due(conn: &Connection) -> Result<Option<Timestamp>, Failure<StoreError>> {
    let mut statement = conn.prepare_cached(
        "SELECT min(at) FROM (
             SELECT max(due_at, coalesce(claimed_until, due_at)) AS at FROM dns_machine WHERE due_at IS NOT NULL
             UNION ALL
             SELECT coalesce(claimed_until, 0) FROM dns_machine WHERE plan < (SELECT number FROM dns_plan)
         )",
    )?;
    Ok(statement.query_row([], |row| row.get::<_, Option<i64>>(0))?.map(timestamp))
}

/// Ends a claim.
pub(super) fn finish(
    tx: &Tx<'_>,
    claim: &DnsClaim,
    due: Option<Timestamp>,
) -> Result<(), Failure<CommitError>> {
    fence(tx.conn, claim, CommitError::Fenced)?;
    tx.conn
        .prepare_cached(
            "UPDATE dns_machine SET done = claimed_mark, plan = claimed_plan, claimed_until = NULL,
                 due_at = iif(mark > claimed_mark, due_at, ?) WHERE vm = ?",
        )?
        .execute(params![due.map(micros), claim.key.to_string()])?;
    Ok(())
}

/// Fails where the claim is over; `fenced` is the caller's word for it.
pub(super) fn fence<E>(conn: &Connection, claim: &DnsClaim, fenced: E) -> Result<(), Failure<E>> {
    let mut statement = conn.prepare_cached(
        "SELECT 1 FROM dns_machine WHERE vm = ? AND token = ? AND claimed_until IS NOT NULL",
    )?;
    let ours: Option<i64> =
        statement.query_row(params![claim.key.to_string(), claim.token], |row| row.get(0)).optional()?;
    ours.map(|_| ()).ok_or(Failure::Refused(fenced))
}
