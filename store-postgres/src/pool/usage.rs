//! How full pools are.

use super::define::decode;
use crate::{db::Db, failure::Failure};
use deploy_core::{Pool, PoolUsage, Span, StoreError};
use std::net::IpAddr;
use tokio_postgres::Row;

/// The definitions of all pools by name.
pub(crate) async fn definitions(db: &Db<'_>) -> Result<Vec<Pool>, Failure<StoreError>> {
    let rows = db.query("SELECT name, definition FROM $schema.pool ORDER BY name COLLATE \"C\"", &[]).await?;
    Ok(rows.iter().map(decode).collect::<Result<_, _>>()?)
}

/// All pools by name, with their usage; one statement, so that the numbers fit together.
pub(crate) async fn pools(db: &Db<'_>) -> Result<Vec<PoolUsage>, Failure<StoreError>> {
    // What rested long enough is free, also before somebody takes an address and has it joined with the free intervals.
    let text = "SELECT name, definition,
             (SELECT count(*) FROM $schema.address WHERE pool = name AND until IS NULL) AS held,
             (SELECT count(*) FROM $schema.address WHERE pool = name AND until > coalesce($1, now())) AS resting,
             (SELECT count(*) FROM $schema.address WHERE pool = name AND until <= coalesce($1, now()) AND EXISTS (
                 SELECT 1 FROM $schema.usable_range AS usable
                 WHERE usable.pool = name AND usable.first <= address.address AND usable.last >= address.address
             )) AS rested,
             array(SELECT first FROM $schema.free_range WHERE pool = name ORDER BY first) AS firsts,
             array(SELECT last FROM $schema.free_range WHERE pool = name ORDER BY first) AS lasts
         FROM $schema.pool ORDER BY name COLLATE \"C\"";
    db.query(text, &[db.clock()]).await?.iter().map(usage).collect()
}

fn usage(row: &Row) -> Result<PoolUsage, Failure<StoreError>> {
    let (firsts, lasts): (Vec<IpAddr>, Vec<IpAddr>) = (row.try_get("firsts")?, row.try_get("lasts")?);
    let free = firsts
        .into_iter()
        .zip(lasts)
        .map(|(first, last)| Span { first: Span::number(first), last: Span::number(last) }.size())
        .fold(0, u128::saturating_add);
    let count = |column| row.try_get::<_, i64>(column).map(i64::unsigned_abs);
    Ok(PoolUsage {
        pool: decode(row)?,
        free: free.saturating_add(u128::from(count("rested")?)),
        held: count("held")?,
        resting: count("resting")?,
    })
}
