//! Taking addresses and giving them back.

use super::{define, free};
use crate::{
    column::{Columns, after},
    db::Db,
    failure::{Failure, Unreadable},
    vm::fence,
};
use deploy_core::{
    CommitError, Family, HeldAddress, Lease, Pool, PoolName, Span, StoreError, TakeError, VmKey, Want,
};
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};
use tokio_postgres::{
    Row,
    types::{ToSql, Type},
};

/// Takes what is wanted and not held yet; see [`AddressStore::take`](deploy_core::AddressStore::take).
pub(crate) async fn take(
    db: &Db<'_>,
    lease: &Lease,
    wants: &[Want],
) -> Result<Vec<HeldAddress>, Failure<TakeError>> {
    fence(db, lease, TakeError::Fenced).await?;
    let has = held(db, lease.key).await?;
    let missing: Vec<usize> = wants
        .iter()
        .map(|want| {
            let wanted = if want.exactly.is_empty() { usize::from(want.count) } else { want.exactly.len() };
            wanted.saturating_sub(has.iter().filter(|held| want.is_met_by(held)).count())
        })
        .collect();
    if missing.iter().any(|missing| *missing > 0) {
        take_missing(db, lease, wants, &missing).await?;
    }
    let held = held(db, lease.key).await?;
    Ok(wants.iter().flat_map(|want| held.iter().filter(|held| want.is_met_by(held)).cloned()).collect())
}

async fn take_missing(
    db: &Db<'_>,
    lease: &Lease,
    wants: &[Want],
    missing: &[usize],
) -> Result<(), Failure<TakeError>> {
    let pools = lock_all(db, wants.iter().zip(missing).filter(|(_, missing)| **missing > 0)).await?;
    // Two wants of one NIC and family: what the first takes counts for the second.
    let mut taken_before: BTreeMap<(u8, bool), usize> = BTreeMap::new();
    for (want, missing) in wants.iter().zip(missing) {
        if !want.exactly.is_empty() {
            take_exactly(db, lease, want, &pools).await?;
            continue;
        }
        let before = taken_before.entry((want.nic.get(), want.family == Family::V6)).or_default();
        let mut left = missing.saturating_sub(*before);
        for pool in
            want.pools.iter().filter_map(|name| pools.get(name)).filter(|pool| pool.family == want.family)
        {
            if left == 0 {
                break;
            }
            let taken = free::take_lowest(db, &pool.name, left).await?;
            hold(db, lease, want, pool, &taken).await?;
            left -= taken.len();
            *before += taken.len();
        }
        if left > 0 {
            let missing = u8::try_from(left).unwrap_or(u8::MAX);
            return Err(Failure::Refused(TakeError::Exhausted { want: want.clone(), missing }));
        }
    }
    Ok(())
}

/// Takes those that are named and not held yet, also out of their rest. A few statements for each: it is done once in the life of
/// a machine.
async fn take_exactly(
    db: &Db<'_>,
    lease: &Lease,
    want: &Want,
    pools: &BTreeMap<PoolName, Pool>,
) -> Result<(), Failure<TakeError>> {
    let pools: Vec<&Pool> = want.pools.iter().filter_map(|name| pools.get(name)).collect();
    for address in want.exactly.iter().copied() {
        let has = held(db, lease.key).await?;
        if has.iter().any(|held| want.is_met_by(held) && held.address == address) {
            continue;
        }
        for pool in &pools {
            must_not_be_held(db, pool, address).await?;
        }
        let mut of = None;
        for pool in &pools {
            if free::is_usable(db, &pool.name, address).await? {
                of = Some(*pool);
                break;
            }
        }
        let foreign = || Failure::Refused(TakeError::Foreign { want: want.clone(), address });
        let pool = of.ok_or_else(foreign)?;
        let text = "DELETE FROM $schema.address WHERE cluster = $1 AND address = $2 RETURNING address";
        let rested = db.optional(text, &of_cluster(&pool.cluster.as_str(), &address)).await?;
        let number = Span::number(address);
        if rested.is_none() {
            free::take_out(db, &pool.name, number).await?;
        }
        hold(db, lease, want, pool, &[number]).await?;
    }
    Ok(())
}

fn of_cluster<'a>(cluster: &'a &'a str, address: &'a IpAddr) -> [(&'a (dyn ToSql + Sync), Type); 2] {
    [(cluster, Type::TEXT), (address, Type::INET)]
}

async fn must_not_be_held(db: &Db<'_>, pool: &Pool, address: IpAddr) -> Result<(), Failure<TakeError>> {
    let text = "SELECT vm, nic FROM $schema.address WHERE cluster = $1 AND address = $2 AND until IS NULL";
    let row = db.optional(text, &of_cluster(&pool.cluster.as_str(), &address)).await?;
    let Some(row) = row else { return Ok(()) };
    let what = format!("address {address}");
    let columns = Columns::new(&row, &what);
    let nic: u8 = columns.number::<i16, u8>("nic")?;
    let nic = nic.try_into().map_err(|error| Unreadable(format!("{what}: {error}")))?;
    Err(Failure::Refused(TakeError::Held { address, holder: VmKey(columns.raw("vm")?), nic }))
}

/// Locks the pools that may be taken from, always in the same order, so that two machines never wait for one another; and
/// has what rested long enough among the free ones.
async fn lock_all<'a>(
    db: &Db<'_>,
    wants: impl Iterator<Item = (&'a Want, &'a usize)>,
) -> Result<BTreeMap<PoolName, Pool>, Failure<TakeError>> {
    let names: BTreeSet<PoolName> = wants.flat_map(|(want, _)| want.pools.iter().cloned()).collect();
    let mut pools = BTreeMap::new();
    for name in names {
        if let Some(pool) = define::locked(db, &name).await? {
            free::reclaim(db, &name).await?;
            pools.insert(name, pool);
        }
    }
    Ok(pools)
}

async fn hold(
    db: &Db<'_>,
    lease: &Lease,
    want: &Want,
    pool: &Pool,
    numbers: &[u128],
) -> Result<(), Failure<TakeError>> {
    let addresses: Vec<IpAddr> = numbers.iter().map(|number| Span::address(*number)).collect();
    let text = "INSERT INTO $schema.address (cluster, address, pool, vm, nic)
         SELECT $1, address, $2, $3, $4 FROM unnest($5::inet[]) WITH ORDINALITY AS taken (address, n) ORDER BY n";
    let params = [
        (&pool.cluster.as_str() as _, Type::TEXT),
        (&pool.name.as_str() as _, Type::TEXT),
        (&lease.key.0 as _, Type::UUID),
        (&i16::from(want.nic.get()) as _, Type::INT2),
        (&addresses as _, Type::INET_ARRAY),
    ];
    db.execute(text, &params).await?;
    Ok(())
}

/// Lets what the lease's machine holds rest, as long as each pool says: all of it, or only these.
pub(crate) async fn give_back(
    db: &Db<'_>,
    lease: &Lease,
    only: Option<&[IpAddr]>,
) -> Result<Vec<HeldAddress>, Failure<CommitError>> {
    fence(db, lease, CommitError::Fenced).await?;
    let mut given = held(db, lease.key).await?;
    given.retain(|held| only.is_none_or(|only| only.contains(&held.address)));
    if given.is_empty() {
        return Ok(given);
    }
    let now: Timestamp = db.one("SELECT coalesce($1, now())", &[db.clock()]).await?.try_get(0)?;
    let names: BTreeSet<&PoolName> = given.iter().map(|held| &held.pool).collect();
    let addresses: Vec<IpAddr> = given.iter().map(|held| held.address).collect();
    for name in names {
        let missing = || Unreadable(format!("pool {name} is gone and addresses of it are held"));
        let pool: Pool = define::locked(db, name).await?.ok_or_else(missing)?;
        let until = after(now, pool.rest);
        let text = "UPDATE $schema.address SET until = $3 WHERE vm = $1 AND pool = $2 AND until IS NULL AND address = ANY ($4)";
        let params = [
            (&lease.key.0 as _, Type::UUID),
            (&name.as_str() as _, Type::TEXT),
            (&until as _, Type::TIMESTAMPTZ),
            (&addresses as _, Type::INET_ARRAY),
        ];
        db.execute(text, &params).await?;
    }
    Ok(given)
}

/// What a machine holds, in the order in which it was taken.
pub(crate) async fn held<E: From<StoreError>>(
    db: &Db<'_>,
    key: VmKey,
) -> Result<Vec<HeldAddress>, Failure<E>> {
    let text = "SELECT nic, address, pool FROM $schema.address WHERE vm = $1 AND until IS NULL ORDER BY id";
    let what = format!("machine {key}");
    let rows = db.query(text, &[(&key.0, Type::UUID)]).await?;
    Ok(rows.iter().map(|row| decode(row, &what)).collect::<Result<_, _>>()?)
}

fn decode(row: &Row, what: &str) -> Result<HeldAddress, Unreadable> {
    let columns = Columns::new(row, what);
    let nic: u8 = columns.number::<i16, u8>("nic")?;
    Ok(HeldAddress {
        nic: nic.try_into().map_err(|error| Unreadable(format!("{what}: {error}")))?,
        address: columns.raw("address")?,
        pool: columns.parsed("pool")?,
    })
}
