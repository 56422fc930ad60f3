//! The free intervals of a pool, in the database. Whoever changes them has locked the pool's row.

use crate::{
    column::Columns,
    db::Db,
    failure::{Failure, Unreadable},
};
use deploy_core::{Pool, PoolName, Span};
use std::net::IpAddr;
use tokio_postgres::{Row, types::Type};

/// So many addresses are put back each for itself, which costs some statements and touches little; more are put back together.
const ONE_BY_ONE: usize = 16;

/// Takes the lowest free addresses of a pool, at most so many: as many steps down an index as intervals are touched, however
/// large the pool is.
pub(crate) async fn take_lowest<E>(
    db: &Db<'_>,
    pool: &PoolName,
    at_most: usize,
) -> Result<Vec<u128>, Failure<E>> {
    let text = "SELECT first, last FROM $schema.free_range WHERE pool = $1 ORDER BY first LIMIT $2";
    let limit = i64::try_from(at_most).unwrap_or(i64::MAX);
    let rows = db.query(text, &[(&pool.as_str(), Type::TEXT), (&limit, Type::INT8)]).await?;
    let (mut taken, mut touched, mut left) = (Vec::new(), Vec::new(), Vec::new());
    for row in &rows {
        let Span { first, last } = span(row)?;
        let missing = (at_most - taken.len()) as u128;
        if missing == 0 {
            break;
        }
        touched.push(first);
        let end = last.min(first.saturating_add(missing - 1));
        taken.extend(first..=end);
        if end < last {
            left.push(Span { first: end + 1, last });
        }
    }
    remove(db, pool, &touched).await?;
    insert(db, pool, &left).await?;
    Ok(taken)
}

/// Whether a pool may give an address, whoever has it now.
pub(crate) async fn is_usable<E>(db: &Db<'_>, pool: &PoolName, address: IpAddr) -> Result<bool, Failure<E>> {
    let text = "SELECT 1 FROM $schema.usable_range WHERE pool = $1 AND first <= $2 AND last >= $2";
    Ok(db.optional(text, &[(&pool.as_str(), Type::TEXT), (&address, Type::INET)]).await?.is_some())
}

/// Takes this address out of the free ones, if it is one of them.
pub(crate) async fn take_out<E>(db: &Db<'_>, pool: &PoolName, number: u128) -> Result<(), Failure<E>> {
    let text = "SELECT first, last FROM $schema.free_range WHERE pool = $1 AND first <= $2 AND last >= $2";
    let params = [(&pool.as_str() as _, Type::TEXT), (&Span::address(number) as _, Type::INET)];
    let Some(around) = db.optional(text, &params).await? else { return Ok(()) };
    let around = span(&around)?;
    remove(db, pool, &[around.first]).await?;
    insert(db, pool, &Span::without(&[around], &[number])).await
}

/// Gives addresses whose rest is over back to the free ones, if the pool still may give them. Each address passes here
/// once for each time it was given back.
pub(crate) async fn reclaim<E>(db: &Db<'_>, pool: &PoolName) -> Result<(), Failure<E>> {
    let text = "DELETE FROM $schema.address WHERE pool = $1 AND until <= coalesce($2, now())
         RETURNING address, EXISTS (
             SELECT 1 FROM $schema.usable_range AS usable
             WHERE usable.pool = $1 AND usable.first <= address.address AND usable.last >= address.address
         )";
    let rows = db.query(text, &[(&pool.as_str(), Type::TEXT), db.clock()]).await?;
    if rows.len() > ONE_BY_ONE {
        return rebuild(db, pool).await;
    }
    for row in &rows {
        let usable: bool = row.try_get(1)?;
        if usable {
            put_back(db, pool, Span::number(row.try_get(0)?)).await?;
        }
    }
    Ok(())
}

/// Makes the free intervals anew from what the pool may give and what is held or rests: as many statements however many addresses
/// come back at once, where machines by the thousand were removed at the same time.
async fn rebuild<E>(db: &Db<'_>, pool: &PoolName) -> Result<(), Failure<E>> {
    let text = "SELECT first, last FROM $schema.usable_range WHERE pool = $1 ORDER BY first";
    let rows = db.query(text, &[(&pool.as_str(), Type::TEXT)]).await?;
    let usable = rows.iter().map(span).collect::<Result<Vec<_>, _>>()?;
    replace(db, pool, &Span::without(&usable, &taken(db, pool).await?)).await
}

/// What machines hold of a pool and what rests, ascending.
pub(crate) async fn taken<E>(db: &Db<'_>, pool: &PoolName) -> Result<Vec<u128>, Failure<E>> {
    let text = "SELECT address FROM $schema.address WHERE pool = $1 ORDER BY address";
    let rows = db.query(text, &[(&pool.as_str(), Type::TEXT)]).await?;
    Ok(rows.iter().map(|row| row.try_get(0).map(Span::number)).collect::<Result<_, _>>()?)
}

/// Forgets addresses of other pools of the cluster whose rest is over and that their pool may not give any more: from now on
/// this pool may be the one that gives them.
pub(crate) async fn forget_rested<E>(db: &Db<'_>, pool: &Pool) -> Result<(), Failure<E>> {
    let text =
        "DELETE FROM $schema.address WHERE cluster = $1 AND pool <> $2 AND until <= coalesce($3, now())
         AND NOT EXISTS (
             SELECT 1 FROM $schema.usable_range AS usable WHERE usable.pool = address.pool
                 AND usable.first <= address.address AND usable.last >= address.address
         )";
    let params =
        [(&pool.cluster.as_str() as _, Type::TEXT), (&pool.name.as_str() as _, Type::TEXT), db.clock()];
    db.execute(text, &params).await?;
    Ok(())
}

/// Puts one address among the free ones, joining the intervals it touches, so that their number does not grow with time.
async fn put_back<E>(db: &Db<'_>, pool: &PoolName, number: u128) -> Result<(), Failure<E>> {
    let text = "(SELECT first, last FROM $schema.free_range WHERE pool = $1 AND first <= $2 ORDER BY first DESC LIMIT 1)
         UNION ALL
         (SELECT first, last FROM $schema.free_range WHERE pool = $1 AND first > $2 ORDER BY first LIMIT 1)";
    let params = [(&pool.as_str() as _, Type::TEXT), (&Span::address(number) as _, Type::INET)];
    let mut joined = Span { first: number, last: number };
    let mut touched = Vec::new();
    for row in &db.query(text, &params).await? {
        let span = span(row)?;
        if span.first <= number && number <= span.last {
            return Ok(()); // it is free already
        }
        if span.last.checked_add(1) == Some(number) || number.checked_add(1) == Some(span.first) {
            touched.push(span.first);
            joined = Span { first: joined.first.min(span.first), last: joined.last.max(span.last) };
        }
    }
    remove(db, pool, &touched).await?;
    insert(db, pool, &[joined]).await
}

/// Replaces all free intervals of a pool.
pub(crate) async fn replace<E>(db: &Db<'_>, pool: &PoolName, spans: &[Span]) -> Result<(), Failure<E>> {
    db.execute("DELETE FROM $schema.free_range WHERE pool = $1", &[(&pool.as_str(), Type::TEXT)]).await?;
    insert(db, pool, spans).await
}

async fn insert<E>(db: &Db<'_>, pool: &PoolName, spans: &[Span]) -> Result<(), Failure<E>> {
    if spans.is_empty() {
        return Ok(());
    }
    let text =
        "INSERT INTO $schema.free_range (pool, first, last) SELECT $1, * FROM unnest($2::inet[], $3::inet[])";
    let (firsts, lasts) = ends(spans);
    let params = [
        (&pool.as_str() as _, Type::TEXT),
        (&firsts as _, Type::INET_ARRAY),
        (&lasts as _, Type::INET_ARRAY),
    ];
    db.execute(text, &params).await?;
    Ok(())
}

async fn remove<E>(db: &Db<'_>, pool: &PoolName, firsts: &[u128]) -> Result<(), Failure<E>> {
    if firsts.is_empty() {
        return Ok(());
    }
    let firsts: Vec<IpAddr> = firsts.iter().map(|first| Span::address(*first)).collect();
    let text = "DELETE FROM $schema.free_range WHERE pool = $1 AND first = ANY ($2)";
    db.execute(text, &[(&pool.as_str(), Type::TEXT), (&firsts, Type::INET_ARRAY)]).await?;
    Ok(())
}

/// The first and the last addresses of spans, as two columns.
pub(crate) fn ends(spans: &[Span]) -> (Vec<IpAddr>, Vec<IpAddr>) {
    spans.iter().map(|span| (Span::address(span.first), Span::address(span.last))).unzip()
}

/// The columns `first` and `last`.
pub(crate) fn span(row: &Row) -> Result<Span, Unreadable> {
    let columns = Columns::new(row, "a range of addresses");
    let number = |column| columns.raw(column).map(Span::number);
    Ok(Span { first: number("first")?, last: number("last")? })
}
