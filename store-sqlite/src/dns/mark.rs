//! Marks, names of addresses, and what is shown of a machine.

use super::entry;
use crate::{
    column::{Columns, address_key, address_of, timestamp},
    failure::Failure,
    vm,
    writer::Tx,
};
use deploy_core::{DnsName, DnsStatus, PtrError, StoreError, VmKey};
use rusqlite::{Connection, OptionalExtension, params};
use std::net::IpAddr;

/// Says which zones there are.
pub(super) fn plan(tx: &Tx<'_>, fingerprint: u64) -> Result<(), Failure<StoreError>> {
    tx.conn
        .prepare_cached(
            "UPDATE dns_plan SET fingerprint = ?1, number = number + 1 WHERE fingerprint IS NOT ?1",
        )?
        .execute([fingerprint.cast_signed()])?;
    Ok(())
}

/// Marks a machine, and says the mark.
fn mark(conn: &Connection, key: VmKey) -> rusqlite::Result<i64> {
    let mut statement = conn.prepare_cached(
        "INSERT INTO dns_machine (vm, mark, due_at) VALUES (?, 1, 0)
         ON CONFLICT (vm) DO UPDATE SET mark = mark + 1, due_at = 0 RETURNING mark",
    )?;
    statement.query_row([key.to_string()], |row| row.get(0))
}

/// Keeps a name for an address, or forgets it.
pub(super) fn set_ptr(
    tx: &Tx<'_>,
    key: VmKey,
    address: IpAddr,
    name: Option<&DnsName>,
) -> Result<i64, Failure<PtrError>> {
    let record = vm::by_key(tx.conn, key)?.ok_or(Failure::Refused(PtrError::NotFound(key)))?;
    let of_machine = params![key.to_string(), address_key(address)];
    if let Some(name) = name {
        if record.addresses.iter().all(|held| held.address != address) {
            return Err(Failure::Refused(PtrError::NotHeld { key, address }));
        }
        tx.conn
            .prepare_cached(
                "INSERT INTO dns_name (vm, address, name) VALUES (?, ?, ?)
                 ON CONFLICT DO UPDATE SET name = excluded.name",
            )?
            .execute(params![key.to_string(), address_key(address), name.as_str()])?;
    } else {
        tx.conn.prepare_cached("DELETE FROM dns_name WHERE vm = ? AND address = ?")?.execute(of_machine)?;
    }
    Ok(mark(tx.conn, key)?)
}

/// Marks a machine for a thorough turn.
pub(super) fn refresh(tx: &Tx<'_>, key: VmKey) -> Result<Option<i64>, Failure<StoreError>> {
    if !is_there(tx.conn, key)? {
        return Ok(None);
    }
    let mark = mark(tx.conn, key)?;
    tx.conn.prepare_cached("UPDATE dns_machine SET asked = mark WHERE vm = ?")?.execute([key.to_string()])?;
    Ok(Some(mark))
}

fn is_there(conn: &Connection, key: VmKey) -> rusqlite::Result<bool> {
    let mut statement = conn.prepare_cached("SELECT EXISTS (SELECT 1 FROM vm WHERE key = ?)")?;
    statement.query_row([key.to_string()], |row| row.get(0))
}

/// The names that a machine's addresses have instead of its own.
pub(super) fn names<E>(conn: &Connection, key: VmKey) -> Result<Vec<(IpAddr, DnsName)>, Failure<E>> {
    let mut statement = conn.prepare_cached("SELECT address, name FROM dns_name WHERE vm = ?")?;
    let mut rows = statement.query([key.to_string()])?;
    let mut names = Vec::new();
    while let Some(row) = rows.next()? {
        let name = Columns::new(row, &format!("a name of machine {key}")).parsed("name")?;
        names.push((address_of(row.get(0)?), name));
    }
    names.sort_unstable();
    Ok(names)
}

/// How a machine's records are. `conn` is in a transaction, so that it all fits together.
pub(super) fn status(conn: &Connection, key: VmKey) -> Result<Option<DnsStatus>, Failure<StoreError>> {
    if !is_there(conn, key)? {
        return Ok(None);
    }
    let mut statement = conn.prepare_cached(
        "SELECT mark, done, CASE WHEN due_at IS NOT NULL THEN max(due_at, coalesce(claimed_until, due_at))
                 WHEN plan < (SELECT number FROM dns_plan) THEN coalesce(claimed_until, 0) END
         FROM dns_machine WHERE vm = ?",
    )?;
    let queued: Option<(i64, i64, Option<i64>)> = statement
        .query_row([key.to_string()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let (mark, done, due) = queued.unwrap_or_default();
    let (entries, names) = (entry::entries(conn, key)?, names(conn, key)?);
    Ok(Some(DnsStatus { entries, names, mark, done, due: due.map(timestamp) }))
}
