//! Creating, changing and deleting pools.

use super::free;
use crate::{
    column::{Columns, JsonText},
    db::Db,
    failure::{Failure, Unreadable},
};
use deploy_core::{AddressRange, Invalid, Pool, PoolError, PoolName, Span};
use tokio_postgres::{Row, types::Type};

/// Creates a pool or changes it; see [`AddressStore::put_pool`](deploy_core::AddressStore::put_pool).
pub(crate) async fn put(db: &Db<'_>, pool: &Pool, usable: &[AddressRange]) -> Result<(), Failure<PoolError>> {
    let spans = Span::of_ranges(pool.family, usable).map_err(|e| Failure::Refused(PoolError::Invalid(e)))?;
    // Pools are compared with one another: their definitions change one after the other. Taking addresses, which only locks
    // a pool's row, goes on.
    db.execute("LOCK TABLE $schema.pool IN SHARE ROW EXCLUSIVE MODE", &[]).await?;
    if let Some(before) = locked(db, &pool.name).await? {
        free::reclaim(db, &pool.name).await?;
        must_not_move(db, &before, pool).await?;
    }
    must_not_overlap(db, pool, &spans).await?;
    free::forget_rested(db, pool).await?;
    let text = "INSERT INTO $schema.pool (name, cluster, definition) VALUES ($1, $2, $3)
         ON CONFLICT (name) DO UPDATE SET cluster = $2, definition = $3";
    let definition = JsonText::of(pool)?;
    let params = [
        (&pool.name.as_str() as _, Type::TEXT),
        (&pool.cluster.as_str() as _, Type::TEXT),
        (&definition as _, Type::JSONB),
    ];
    db.execute(text, &params).await?;
    set_usable(db, &pool.name, &spans).await?;
    free::replace(db, &pool.name, &Span::without(&spans, &free::taken(db, &pool.name).await?)).await
}

/// The pool of this name, whose addresses nobody else takes until the end of the transaction.
pub(crate) async fn locked<E>(db: &Db<'_>, name: &PoolName) -> Result<Option<Pool>, Failure<E>> {
    let text = "SELECT name, definition FROM $schema.pool WHERE name = $1 FOR UPDATE";
    let row = db.optional(text, &[(&name.as_str(), Type::TEXT)]).await?;
    Ok(row.as_ref().map(decode).transpose()?)
}

/// A definition read back.
pub(crate) fn decode(row: &Row) -> Result<Pool, Unreadable> {
    let name: &str = Columns::new(row, "a pool").raw("name")?;
    Columns::new(row, &format!("pool {name}")).json("definition")
}

/// Addresses that machines hold do not change cluster or family with their pool.
async fn must_not_move(db: &Db<'_>, before: &Pool, pool: &Pool) -> Result<(), Failure<PoolError>> {
    let text = "SELECT EXISTS (SELECT 1 FROM $schema.address WHERE pool = $1)";
    let in_use: bool = db.one(text, &[(&pool.name.as_str(), Type::TEXT)]).await?.try_get(0)?;
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
async fn must_not_overlap(db: &Db<'_>, pool: &Pool, spans: &[Span]) -> Result<(), Failure<PoolError>> {
    let text = "SELECT first, last, pool FROM $schema.usable_range JOIN $schema.pool ON pool.name = usable_range.pool
         WHERE pool.cluster = $1 AND pool.name <> $2
         UNION ALL
         SELECT address, address, pool FROM $schema.address
         WHERE cluster = $1 AND pool <> $2 AND (until IS NULL OR until > coalesce($3, now()))
         ORDER BY 1";
    let params =
        [(&pool.cluster.as_str() as _, Type::TEXT), (&pool.name.as_str() as _, Type::TEXT), db.clock()];
    let mut lowest: Option<(u128, PoolName)> = None;
    for row in &db.query(text, &params).await? {
        let other = free::span(row)?;
        let met = spans.iter().find_map(|span| span.meets(other));
        if let Some(number) = met.filter(|number| lowest.as_ref().is_none_or(|(low, _)| number < low)) {
            lowest = Some((number, Columns::new(row, "a range of addresses").parsed("pool")?));
        }
    }
    let Some((number, other)) = lowest else { return Ok(()) };
    let address = Span::address(number);
    Err(Failure::Refused(PoolError::Overlap { pool: pool.name.clone(), other, address }))
}

async fn set_usable(db: &Db<'_>, pool: &PoolName, spans: &[Span]) -> Result<(), Failure<PoolError>> {
    db.execute("DELETE FROM $schema.usable_range WHERE pool = $1", &[(&pool.as_str(), Type::TEXT)]).await?;
    let text = "INSERT INTO $schema.usable_range (pool, first, last) SELECT $1, * FROM unnest($2::inet[], $3::inet[])";
    let (firsts, lasts) = free::ends(spans);
    let params = [
        (&pool.as_str() as _, Type::TEXT),
        (&firsts as _, Type::INET_ARRAY),
        (&lasts as _, Type::INET_ARRAY),
    ];
    db.execute(text, &params).await?;
    Ok(())
}

/// Deletes a pool of which machines hold nothing; what rests is forgotten.
pub(crate) async fn delete(db: &Db<'_>, name: &PoolName) -> Result<(), Failure<PoolError>> {
    if locked::<PoolError>(db, name).await?.is_none() {
        return Err(Failure::Refused(PoolError::NotFound(name.clone())));
    }
    let of_the_pool = [(&name.as_str() as _, Type::TEXT)];
    let text = "SELECT count(*) FROM $schema.address WHERE pool = $1 AND until IS NULL";
    let held: i64 = db.one(text, &of_the_pool).await?.try_get(0)?;
    if held > 0 {
        return Err(Failure::Refused(PoolError::InUse { pool: name.clone(), held: held.unsigned_abs() }));
    }
    for text in [
        "DELETE FROM $schema.address WHERE pool = $1",
        "DELETE FROM $schema.free_range WHERE pool = $1",
        "DELETE FROM $schema.usable_range WHERE pool = $1",
        "DELETE FROM $schema.pool WHERE name = $1",
    ] {
        db.execute(text, &of_the_pool).await?;
    }
    Ok(())
}
