//! Creating, changing and deleting pools.

use super::free;
use crate::{
    column::{json, micros},
    failure::{Failure, Unreadable},
    writer::Tx,
};
use deploy_core::{AddressRange, Invalid, Pool, PoolError, PoolName, Span};
use rusqlite::{Connection, OptionalExtension, params};

/// Creates a pool or changes it; see [`AddressStore::put_pool`](deploy_core::AddressStore::put_pool).
pub(crate) fn put(tx: &Tx<'_>, pool: &Pool, usable: &[AddressRange]) -> Result<(), Failure<PoolError>> {
    let spans = Span::of_ranges(pool.family, usable).map_err(|e| Failure::Refused(PoolError::Invalid(e)))?;
    if let Some(before) = find(tx.conn, &pool.name)? {
        free::reclaim(tx, &pool.name)?;
        must_not_move(tx, &before, pool)?;
    }
    must_not_overlap(tx, pool, &spans)?;
    free::forget_rested(tx, pool)?;
    tx.conn
        .prepare_cached(
            "INSERT INTO pool (name, cluster, definition) VALUES (?1, ?2, ?3)
             ON CONFLICT (name) DO UPDATE SET cluster = ?2, definition = ?3",
        )?
        .execute(params![pool.name.as_str(), pool.cluster.as_str(), json(pool)?])?;
    set_usable(tx, &pool.name, &spans)?;
    free::replace(tx, &pool.name, &Span::without(&spans, &taken(tx, &pool.name)?))
}

/// The pool of this name.
pub(crate) fn find<E>(conn: &Connection, name: &PoolName) -> Result<Option<Pool>, Failure<E>> {
    let definition: Option<String> = conn
        .prepare_cached("SELECT definition FROM pool WHERE name = ?")?
        .query_row([name.as_str()], |row| row.get(0))
        .optional()?;
    Ok(definition.map(|text| parse(name.as_str(), &text)).transpose()?)
}

/// A definition read back.
pub(crate) fn parse(name: &str, definition: &str) -> Result<Pool, Unreadable> {
    serde_json::from_str(definition)
        .map_err(|error| Unreadable(format!("pool {name}: column definition: {error}")))
}

/// Addresses that machines hold do not change cluster or family with their pool.
fn must_not_move(tx: &Tx<'_>, before: &Pool, pool: &Pool) -> Result<(), Failure<PoolError>> {
    let in_use: bool = tx
        .conn
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM address WHERE pool = ?)")?
        .query_row([pool.name.as_str()], |row| row.get(0))?;
    let stay = |field: &str, value: String, as_it_is: String| {
        let expected = format!("{as_it_is}, as it is, while addresses of the pool are held or rest");
        Err(Failure::Refused(PoolError::Invalid(Invalid::new(field, value, expected))))
    };
    if in_use && before.cluster != pool.cluster {
        return stay("cluster", pool.cluster.to_string(), before.cluster.to_string());
    }
    if in_use && before.family != pool.family {
        return stay("family", pool.family.to_string(), before.family.to_string());
    }
    Ok(())
}

/// Looks for an address that another pool of the cluster may give, or that a machine has from it.
fn must_not_overlap(tx: &Tx<'_>, pool: &Pool, spans: &[Span]) -> Result<(), Failure<PoolError>> {
    let mut others = tx.conn.prepare_cached(
        "SELECT first, last, pool FROM usable_range JOIN pool ON pool.name = usable_range.pool
         WHERE pool.cluster = ?1 AND pool <> ?2
         UNION ALL
         SELECT address, address, pool FROM address
         WHERE cluster = ?1 AND pool <> ?2 AND (until IS NULL OR until > ?3)
         ORDER BY 1",
    )?;
    let mut rows = others.query(params![pool.cluster.as_str(), pool.name.as_str(), micros(tx.now)])?;
    let mut lowest: Option<(u128, String)> = None;
    while let Some(row) = rows.next()? {
        let other = free::span(row)?;
        let met = spans.iter().find_map(|span| span.meets(other));
        if let Some(number) = met.filter(|number| lowest.as_ref().is_none_or(|(low, _)| number < low)) {
            lowest = Some((number, row.get(2)?));
        }
    }
    let Some((number, other)) = lowest else { return Ok(()) };
    let other = other.parse().map_err(|error| Unreadable(format!("pool: {error}")))?;
    let address = Span::address(number);
    Err(Failure::Refused(PoolError::Overlap { pool: pool.name.clone(), other, address }))
}

fn set_usable(tx: &Tx<'_>, pool: &PoolName, spans: &[Span]) -> Result<(), Failure<PoolError>> {
    tx.conn.prepare_cached("DELETE FROM usable_range WHERE pool = ?")?.execute([pool.as_str()])?;
    let mut insert =
        tx.conn.prepare_cached("INSERT INTO usable_range (pool, first, last) VALUES (?, ?, ?)")?;
    for span in spans {
        insert.execute(params![pool.as_str(), span.first.to_be_bytes(), span.last.to_be_bytes()])?;
    }
    Ok(())
}

/// What machines hold of a pool and what rests, ascending.
fn taken(tx: &Tx<'_>, pool: &PoolName) -> Result<Vec<u128>, Failure<PoolError>> {
    let mut statement =
        tx.conn.prepare_cached("SELECT address FROM address WHERE pool = ? ORDER BY address")?;
    let rows = statement.query_map([pool.as_str()], |row| free::key(row, 0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Deletes a pool of which machines hold nothing; what rests is forgotten.
pub(crate) fn delete(tx: &Tx<'_>, name: &PoolName) -> Result<(), Failure<PoolError>> {
    if find::<PoolError>(tx.conn, name)?.is_none() {
        return Err(Failure::Refused(PoolError::NotFound(name.clone())));
    }
    let held: i64 = tx
        .conn
        .prepare_cached("SELECT count(*) FROM address WHERE pool = ? AND until IS NULL")?
        .query_row([name.as_str()], |row| row.get(0))?;
    if held > 0 {
        return Err(Failure::Refused(PoolError::InUse { pool: name.clone(), held: held.unsigned_abs() }));
    }
    for table in ["address", "free_range", "usable_range"] {
        tx.conn.execute(&format!("DELETE FROM {table} WHERE pool = ?"), [name.as_str()])?;
    }
    tx.conn.execute("DELETE FROM pool WHERE name = ?", [name.as_str()])?;
    Ok(())
}
