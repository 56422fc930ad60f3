//! How full pools are.

use super::{define::parse, free};
use crate::{column::micros, failure::Failure};
use deploy_core::{Pool, PoolUsage, StoreError};
use jiff::Timestamp;
use rusqlite::{Connection, params};

/// The definitions of all pools by name.
pub(crate) fn definitions(conn: &Connection) -> Result<Vec<Pool>, Failure<StoreError>> {
    let mut statement = conn.prepare_cached("SELECT name, definition FROM pool ORDER BY name")?;
    let mut rows = statement.query([])?;
    let mut pools = Vec::new();
    while let Some(row) = rows.next()? {
        let (name, definition): (String, String) = (row.get(0)?, row.get(1)?);
        pools.push(parse(&name, &definition)?);
    }
    Ok(pools)
}

/// All pools by name, with their usage. `conn` is in a transaction, so that the numbers fit together.
pub(crate) fn pools(conn: &Connection, now: Timestamp) -> Result<Vec<PoolUsage>, Failure<StoreError>> {
    definitions(conn)?.into_iter().map(|pool| usage(conn, pool, now)).collect()
}

fn usage(conn: &Connection, pool: Pool, now: Timestamp) -> Result<PoolUsage, Failure<StoreError>> {
    let count = |sql: &str| -> rusqlite::Result<u64> {
        let mut statement = conn.prepare_cached(sql)?;
        statement
            .query_row(params![pool.name.as_str(), micros(now)], |row| row.get::<_, i64>(0))
            .map(i64::unsigned_abs)
    };
    // What rested long enough is free, also before somebody takes an address and has it joined with the free intervals.
    let rested = count(
        "SELECT count(*) FROM address WHERE pool = ?1 AND until <= ?2 AND EXISTS
             (SELECT 1 FROM usable_range AS usable
              WHERE usable.pool = ?1 AND usable.first <= address.address AND usable.last >= address.address)",
    )?;
    Ok(PoolUsage {
        free: free_of(conn, pool.name.as_str())?.saturating_add(u128::from(rested)),
        held: count("SELECT count(*) FROM address WHERE pool = ?1 AND until IS NULL AND ?2 IS NOT NULL")?,
        resting: count("SELECT count(*) FROM address WHERE pool = ?1 AND until > ?2")?,
        pool,
    })
}

fn free_of(conn: &Connection, pool: &str) -> rusqlite::Result<u128> {
    let mut statement = conn.prepare_cached("SELECT first, last FROM free_range WHERE pool = ?")?;
    let spans = statement.query_map([pool], free::span)?;
    spans
        .map(|span| Ok(span?.size()))
        .try_fold(0_u128, |sum, size: rusqlite::Result<u128>| Ok(sum.saturating_add(size?)))
}
