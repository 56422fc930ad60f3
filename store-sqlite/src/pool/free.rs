//! The free intervals of a pool, in the database.

use crate::{column::micros, failure::Failure, writer::Tx};
use deploy_core::{Pool, PoolName, Span};
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

/// Takes this address out of the free ones, if it is one of them.
pub(crate) fn take_out<E>(tx: &Tx<'_>, pool: &PoolName, number: u128) -> Result<(), Failure<E>> {
    let around = at_or_below(tx, pool, number)?;
    let Some(around) = around.filter(|around| number <= around.last) else { return Ok(()) };
    remove(tx, pool, around.first)?;
    Span::without(&[around], &[number]).into_iter().try_for_each(|left| insert(tx, pool, left))
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

/// Whether a pool may give an address, whoever has it now.
pub(crate) fn is_usable<E>(tx: &Tx<'_>, pool: &PoolName, number: u128) -> Result<bool, Failure<E>> {
    let last = tx
        .conn
        .prepare_cached(
            "SELECT last FROM usable_range WHERE pool = ? AND first <= ? ORDER BY first DESC LIMIT 1",
        )?
        .query_row(params![pool.as_str(), number.to_be_bytes()], |row| key(row, 0))
        .optional()?;
    Ok(last.is_some_and(|last| number <= last))
}

/// Forgets addresses of other pools of the cluster whose rest is over and that their pool may not give any more: from now on
/// this pool may be the one that gives them.
pub(crate) fn forget_rested<E>(tx: &Tx<'_>, pool: &Pool) -> Result<(), Failure<E>> {
    tx.conn
        .prepare_cached(
            "DELETE FROM address WHERE cluster = ?1 AND pool <> ?2 AND until <= ?3 AND NOT EXISTS (
                 SELECT 1 FROM usable_range AS usable WHERE usable.pool = address.pool
                     AND usable.first <= address.address AND usable.last >= address.address
             )",
        )?
        .execute(params![pool.cluster.as_str(), pool.name.as_str(), micros(tx.now)])?;
    Ok(())
}

/// The free interval that begins at this address or is the next to begin below it.
fn at_or_below<E>(tx: &Tx<'_>, pool: &PoolName, number: u128) -> Result<Option<Span>, Failure<E>> {
    let interval = tx
        .conn
        .prepare_cached(
            "SELECT first, last FROM free_range WHERE pool = ? AND first <= ? ORDER BY first DESC LIMIT 1",
        )?
        .query_row(params![pool.as_str(), number.to_be_bytes()], span)
        .optional()?;
    Ok(interval)
}

/// Puts one address among the free ones, joining the intervals it touches, so that their number does not grow with time.
fn put_back<E>(tx: &Tx<'_>, pool: &PoolName, number: u128) -> Result<(), Failure<E>> {
    let below = at_or_below(tx, pool, number)?;
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

#[cfg(test)]
mod tests {
    use crate::SqliteStore;
    use deploy_core::{AddressStore, Family, LeaseStore, RecordStore, StoreError};
    use deploy_testkit::{ManualClock, sample};
    use jiff::SignedDuration;
    use std::sync::Arc;
    use tempfile::TempDir;

    /// However addresses come and go, what is free is kept in as few intervals as it can be.
    #[tokio::test]
    async fn free_intervals_join_again() {
        let directory = TempDir::new().unwrap();
        let clock = Arc::new(ManualClock::default());
        let store = SqliteStore::open(directory.path().join("deploy.db"), clock.clone()).await.unwrap();
        let intervals = async || {
            let count = store.read::<_, StoreError, _>(|conn| {
                Ok(conn.query_row("SELECT count(*) FROM free_range", [], |row| row.get::<_, i64>(0))?)
            });
            count.await.unwrap()
        };
        store.put_cluster(&sample::cluster(100, 199)).await.unwrap();
        store.heartbeat(&sample::worker(1), SignedDuration::from_hours(9)).await.unwrap();
        let ranges = [sample::range("192.0.2.10", "192.0.2.29")];
        store.put_pool(&sample::pool("public", 24, &ranges), &ranges).await.unwrap();
        let want = [sample::want(Family::V4, 1, &["public"])];
        for n in 1..=21 {
            store.create(&sample::order(n)).await.unwrap();
        }
        let claimed = store.claim(sample::worker(1).id, 21).await.unwrap();
        let leases: Vec<_> = claimed.iter().map(|leased| leased.lease).collect();
        for lease in &leases[..20] {
            store.take(lease, &want).await.unwrap();
        }
        assert_eq!(intervals().await, 0);
        // Every other one first: ten holes of one address, the lowest of which the last machine takes.
        for lease in leases[..20].iter().step_by(2) {
            store.give_back(lease).await.unwrap();
        }
        clock.advance(SignedDuration::from_mins(10));
        store.take(&leases[20], &want).await.unwrap();
        assert_eq!(intervals().await, 9);
        for lease in leases[..20].iter().skip(1).step_by(2) {
            store.give_back(lease).await.unwrap();
        }
        store.give_back(&leases[20]).await.unwrap();
        clock.advance(SignedDuration::from_mins(10));
        store.take(&leases[0], &want).await.unwrap();
        assert_eq!(intervals().await, 1);
    }
}
