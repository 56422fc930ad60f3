//! Taking addresses and giving them back.

use super::{define::find, free};
use crate::{
    column::{Columns, address_key, address_of, micros_after},
    failure::{Failure, Unreadable},
    vm::fence,
    writer::Tx,
};
use deploy_core::{CommitError, HeldAddress, Lease, Pool, Span, StoreError, TakeError, VmKey, Want};
use rusqlite::{Connection, Row, params};
use std::net::IpAddr;

/// Takes what is wanted and not held yet; see [`AddressStore::take`](deploy_core::AddressStore::take).
pub(crate) fn take(
    tx: &Tx<'_>,
    lease: &Lease,
    wants: &[Want],
) -> Result<Vec<HeldAddress>, Failure<TakeError>> {
    fence(tx.conn, lease, TakeError::Fenced)?;
    for want in wants {
        if !want.exactly.is_empty() {
            take_exactly(tx, lease, want)?;
            continue;
        }
        let has = held(tx.conn, lease.key)?.iter().filter(|held| want.is_met_by(held)).count();
        let missing = usize::from(want.count).saturating_sub(has);
        take_missing(tx, lease, want, missing)?;
    }
    let held = held(tx.conn, lease.key)?;
    Ok(wants.iter().flat_map(|want| held.iter().filter(|held| want.is_met_by(held)).cloned()).collect())
}

fn take_missing(
    tx: &Tx<'_>,
    lease: &Lease,
    want: &Want,
    mut missing: usize,
) -> Result<(), Failure<TakeError>> {
    for name in &want.pools {
        if missing == 0 {
            break;
        }
        let Some(pool) = find(tx.conn, name)?.filter(|pool: &Pool| pool.family == want.family) else {
            continue;
        };
        free::reclaim(tx, name)?;
        while missing > 0
            && let Some(number) = free::take_lowest(tx, name)?
        {
            hold(tx, lease, want, &pool, number)?;
            missing -= 1;
        }
    }
    if missing == 0 {
        return Ok(());
    }
    let missing = u8::try_from(missing).unwrap_or(u8::MAX);
    Err(Failure::Refused(TakeError::Exhausted { want: want.clone(), missing }))
}

/// Takes those that are named and not held yet, also out of their rest.
fn take_exactly(tx: &Tx<'_>, lease: &Lease, want: &Want) -> Result<(), Failure<TakeError>> {
    let mut pools: Vec<Pool> = Vec::new();
    for name in &want.pools {
        pools.extend(find(tx.conn, name)?);
    }
    for address in want.exactly.iter().copied() {
        let has = held(tx.conn, lease.key)?;
        if has.iter().any(|held| want.is_met_by(held) && held.address == address) {
            continue;
        }
        for pool in &pools {
            must_not_be_held(tx, pool, address)?;
        }
        let number = Span::number(address);
        let mut of = None;
        for pool in &pools {
            if free::is_usable(tx, &pool.name, number)? {
                of = Some(pool);
                break;
            }
        }
        let foreign = || Failure::Refused(TakeError::Foreign { want: want.clone(), address });
        let pool = of.ok_or_else(foreign)?;
        free::reclaim(tx, &pool.name)?;
        let rested = tx
            .conn
            .prepare_cached("DELETE FROM address WHERE cluster = ? AND address = ?")?
            .execute(params![pool.cluster.as_str(), address_key(address)])?;
        if rested == 0 {
            free::take_out(tx, &pool.name, number)?;
        }
        hold(tx, lease, want, pool, number)?;
    }
    Ok(())
}

fn must_not_be_held(tx: &Tx<'_>, pool: &Pool, address: IpAddr) -> Result<(), Failure<TakeError>> {
    let mut statement = tx
        .conn
        .prepare_cached("SELECT vm, nic FROM address WHERE cluster = ? AND address = ? AND until IS NULL")?;
    let mut rows = statement.query(params![pool.cluster.as_str(), address_key(address)])?;
    let Some(row) = rows.next()? else { return Ok(()) };
    let what = format!("address {address}");
    let columns = Columns::new(row, &what);
    let nic: u8 = columns.number("nic")?;
    let nic = nic.try_into().map_err(|error| Unreadable(format!("{what}: {error}")))?;
    Err(Failure::Refused(TakeError::Held { address, holder: columns.parsed("vm")?, nic }))
}

fn hold(
    tx: &Tx<'_>,
    lease: &Lease,
    want: &Want,
    pool: &Pool,
    number: u128,
) -> Result<(), Failure<TakeError>> {
    tx.conn
        .prepare_cached("INSERT INTO address (cluster, address, pool, vm, nic) VALUES (?, ?, ?, ?, ?)")?
        .execute(params![
        pool.cluster.as_str(),
        number.to_be_bytes(),
        pool.name.as_str(),
        lease.key.to_string(),
        want.nic.get()
    ])?;
    Ok(())
}

/// Lets what the lease's machine holds rest, as long as each pool says: all of it, or only these.
pub(crate) fn give_back(
    tx: &Tx<'_>,
    lease: &Lease,
    only: Option<&[IpAddr]>,
) -> Result<Vec<HeldAddress>, Failure<CommitError>> {
    fence(tx.conn, lease, CommitError::Fenced)?;
    let mut given = held(tx.conn, lease.key)?;
    given.retain(|held| only.is_none_or(|only| only.contains(&held.address)));
    for address in &given {
        let missing = || Unreadable(format!("pool {} is gone and {} is held", address.pool, address.address));
        let pool: Pool = find(tx.conn, &address.pool)?.ok_or_else(missing)?;
        tx.conn.prepare_cached("UPDATE address SET until = ? WHERE cluster = ? AND address = ?")?.execute(
            params![micros_after(tx.now, pool.rest), pool.cluster.as_str(), address_key(address.address)],
        )?;
    }
    Ok(given)
}

/// What a machine holds, in the order in which it was taken.
pub(crate) fn held<E: From<StoreError>>(
    conn: &Connection,
    key: VmKey,
) -> Result<Vec<HeldAddress>, Failure<E>> {
    let mut statement = conn.prepare_cached(
        "SELECT nic, address, pool FROM address WHERE vm = ? AND until IS NULL ORDER BY id",
    )?;
    let what = format!("machine {key}");
    let mut rows = statement.query([key.to_string()])?;
    let mut held = Vec::new();
    while let Some(row) = rows.next()? {
        held.push(decode(row, &what)?);
    }
    Ok(held)
}

fn decode(row: &Row<'_>, what: &str) -> Result<HeldAddress, Unreadable> {
    let columns = Columns::new(row, what);
    let nic: u8 = columns.number("nic")?;
    Ok(HeldAddress {
        nic: nic.try_into().map_err(|error| Unreadable(format!("{what}: {error}")))?,
        address: address_of(columns.raw("address")?),
        pool: columns.parsed("pool")?,
    })
}
