//! The free intervals of a pool, in the database.

use super::range::Span;
use crate::{column::micros, failure::Failure, writer::Tx};
use deploy_core::PoolName;
use rusqlite::{OptionalExtension, Row, params};

/// Takes the lowest free address of a pool: one step down an index, however large the pool is.
pub(crate) fn take_lowest<E>(tx: &Tx<'_>, pool: &PoolName) -> Result<Option<u128>, Failure<E>> {
    let lowest = tx
        .conn
        .prepare_cached("SELECT first, last FROM free_range WHERE pool = ? ORDER BY first LIMIT 1")?
        .query_row([pool.as_str()], span)
        .optional()?;
    let Some(Span { first, last }) = lowest else { return Ok(None) };
    remove(tx, pool, first)?;
    if first < last {
        insert(tx, pool, Span { first: first + 1, last })?;
    }
    Ok(Some(first))
}

/// Gives addresses whose rest is over back to the free ones, if the pool still may give them. Each address passes here
/// once for each time it was given back.
pub(crate) fn reclaim<E>(tx: &Tx<'_>, pool: &PoolName) -> Result<(), Failure<E>> {
    let rested = {
        let mut statement = tx.conn.prepare_cached(
            "DELETE FROM address WHERE pool = ? AND until IS NOT NULL AND until <= ? RETURNING address",
        )?;
        let rows = statement.query_map(params![pool.as_str(), micros(tx.now)], |row| key(row, 0))?;
        rows.collect::<rusqlite::Result<Vec<u128>>>()?
    };
    for number in rested {
        if is_usable(tx, pool, number)? {
            put_back(tx, pool, number)?;
        }
    }
    Ok(())
}

fn is_usable<E>(tx: &Tx<'_>, pool: &PoolName, number: u128) -> Result<bool, Failure<E>> {
    let last = tx
        .conn
        .prepare_cached(
            "SELECT last FROM usable_range WHERE pool = ? AND first <= ? ORDER BY first DESC LIMIT 1",
        )?
        .query_row(params![pool.as_str(), number.to_be_bytes()], |row| key(row, 0))
        .optional()?;
    Ok(last.is_some_and(|last| number <= last))
}

/// Puts one address among the free ones, joining the intervals it touches, so that their number does not grow with time.
fn put_back<E>(tx: &Tx<'_>, pool: &PoolName, number: u128) -> Result<(), Failure<E>> {
    let below = tx
        .conn
        .prepare_cached(
            "SELECT first, last FROM free_range WHERE pool = ? AND first <= ? ORDER BY first DESC LIMIT 1",
        )?
        .query_row(params![pool.as_str(), number.to_be_bytes()], span)
        .optional()?;
    let above = tx
        .conn
        .prepare_cached(
            "SELECT first, last FROM free_range WHERE pool = ? AND first > ? ORDER BY first LIMIT 1",
        )?
        .query_row(params![pool.as_str(), number.to_be_bytes()], span)
        .optional()?;
    if below.is_some_and(|below| number <= below.last) {
        return Ok(()); // it is free already
    }
    let mut joined = Span { first: number, last: number };
    if let Some(below) = below.filter(|below| below.last.checked_add(1) == Some(number)) {
        remove(tx, pool, below.first)?;
        joined.first = below.first;
    }
    if let Some(above) = above.filter(|above| number.checked_add(1) == Some(above.first)) {
        remove(tx, pool, above.first)?;
        joined.last = above.last;
    }
    insert(tx, pool, joined)
}

/// Replaces all free intervals of a pool.
pub(crate) fn replace<E>(tx: &Tx<'_>, pool: &PoolName, spans: &[Span]) -> Result<(), Failure<E>> {
    tx.conn.prepare_cached("DELETE FROM free_range WHERE pool = ?")?.execute([pool.as_str()])?;
    spans.iter().try_for_each(|span| insert(tx, pool, *span))
}

fn insert<E>(tx: &Tx<'_>, pool: &PoolName, span: Span) -> Result<(), Failure<E>> {
    tx.conn
        .prepare_cached("INSERT INTO free_range (pool, first, last) VALUES (?, ?, ?)")?
        .execute(params![pool.as_str(), span.first.to_be_bytes(), span.last.to_be_bytes()])?;
    Ok(())
}

fn remove<E>(tx: &Tx<'_>, pool: &PoolName, first: u128) -> Result<(), Failure<E>> {
    tx.conn
        .prepare_cached("DELETE FROM free_range WHERE pool = ? AND first = ?")?
        .execute(params![pool.as_str(), first.to_be_bytes()])?;
    Ok(())
}

/// An address column as a number.
pub(crate) fn key(row: &Row<'_>, column: usize) -> rusqlite::Result<u128> {
    row.get::<_, [u8; 16]>(column).map(u128::from_be_bytes)
}

/// The columns `first` and `last`.
pub(crate) fn span(row: &Row<'_>) -> rusqlite::Result<Span> {
    Ok(Span { first: key(row, 0)?, last: key(row, 1)? })
}
