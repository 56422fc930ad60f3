//! Numbers of machines: given in turn, reserved, and in quarantine after their machine is gone.

use super::create::{Cluster, cluster};
use crate::{
    column::{duration_micros, micros, timestamp},
    failure::{Failure, Unreadable},
    writer::Tx,
};
use deploy_core::{ClusterName, CommitError, CreateError, Lease, RenumberError, StoreError, VmKey, Vmid};
use rusqlite::{OptionalExtension, params};

/// The next number that nobody has, from where the last search ended, around the range once.
pub(crate) fn next<E>(tx: &Tx<'_>, cluster: &Cluster) -> Result<Option<Vmid>, Failure<E>> {
    let name = &cluster.settings.name;
    tx.conn
        .prepare_cached("DELETE FROM vmid_reservation WHERE cluster = ? AND until <= ?")?
        .execute(params![name.as_str(), micros(tx.now)])?;
    let (first, last) = (cluster.settings.vmids.first().get(), cluster.settings.vmids.last().get());
    let start = if (first..=last).contains(&cluster.next) { cluster.next } else { first };
    let free = match first_gap(tx, name, start, last)? {
        Some(number) => Some(number),
        None => first_gap(tx, name, first, start - 1)?,
    };
    let Some(number) = free else { return Ok(None) };
    tx.conn
        .prepare_cached("UPDATE cluster SET next_vmid = ? WHERE name = ?")?
        .execute(params![number + 1, name.as_str()])?;
    Ok(Vmid::try_from(number).ok())
}

/// The lowest number from `first` to `last` that is not reserved. Because numbers are given in turn, what it walks over it
/// walks over once a round.
fn first_gap<E>(
    tx: &Tx<'_>,
    cluster: &ClusterName,
    first: u32,
    last: u32,
) -> Result<Option<u32>, Failure<E>> {
    let mut statement = tx.conn.prepare_cached(
        "SELECT vmid FROM vmid_reservation WHERE cluster = ? AND vmid BETWEEN ? AND ? ORDER BY vmid",
    )?;
    let mut taken = statement.query(params![cluster.as_str(), first, last])?;
    let mut candidate = first;
    while candidate <= last {
        match taken.next()? {
            Some(row) if row.get::<_, u32>(0)? == candidate => candidate += 1,
            _ => return Ok(Some(candidate)),
        }
    }
    Ok(None)
}

/// Fails where the number of a machine that is to be adopted is reserved for another, or rests. It does not rest for an adoption
/// after one that was let go of.
pub(crate) fn free_for_adoption(
    tx: &Tx<'_>,
    cluster: &ClusterName,
    vmid: Vmid,
) -> Result<(), Failure<CreateError>> {
    tx.conn
        .prepare_cached(
            "DELETE FROM vmid_reservation WHERE cluster = ?1 AND vmid = ?2 AND until IS NOT NULL AND (until <= ?3 OR EXISTS (
                 SELECT 1 FROM vm WHERE vm.key = vmid_reservation.vm AND json_extract(vm.life, '$.adopts') IS NOT NULL
             ))",
        )?
        .execute(params![cluster.as_str(), vmid.get(), micros(tx.now)])?;
    let reserved: Option<(String, Option<i64>)> = tx
        .conn
        .prepare_cached(
            "SELECT external_ref, until FROM vmid_reservation AS reserved JOIN vm ON vm.key = reserved.vm
             WHERE reserved.cluster = ? AND reserved.vmid = ?",
        )?
        .query_row(params![cluster.as_str(), vmid.get()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((reference, until)) = reserved else { return Ok(()) };
    let reference = reference.parse().map_err(|error| Unreadable(format!("number {vmid}: {error}")))?;
    Err(Failure::Refused(CreateError::Reserved {
        cluster: cluster.clone(),
        vmid,
        reference,
        until: until.map(timestamp),
    }))
}

/// Reserves a number for a machine.
pub(crate) fn reserve<E>(
    tx: &Tx<'_>,
    cluster: &ClusterName,
    vmid: Vmid,
    key: VmKey,
    instead_of: Option<Vmid>,
) -> Result<(), Failure<E>> {
    tx.conn
        .prepare_cached("INSERT INTO vmid_reservation (cluster, vmid, vm, instead_of) VALUES (?, ?, ?, ?)")?
        .execute(params![cluster.as_str(), vmid.get(), key.to_string(), instead_of.map(Vmid::get)])?;
    Ok(())
}

/// Reserves another number instead of `taken`, or answers the one that was reserved for it before.
pub(crate) fn renumber(tx: &Tx<'_>, lease: &Lease, taken: Vmid) -> Result<Vmid, Failure<RenumberError>> {
    super::fence(tx.conn, lease, RenumberError::Fenced)?;
    let key = lease.key.to_string();
    let reserved: Option<u32> = tx
        .conn
        .prepare_cached("SELECT vmid FROM vmid_reservation WHERE vm = ? AND instead_of = ?")?
        .query_row(params![key, taken.get()], |row| row.get(0))
        .optional()?;
    if let Some(vmid) = reserved.and_then(|number| Vmid::try_from(number).ok()) {
        return Ok(vmid);
    }
    let cluster = cluster_of(tx, &key)?;
    let vmid = next(tx, &cluster)?.ok_or_else(|| {
        let settings = cluster.settings.clone();
        Failure::Refused(RenumberError::Exhausted { cluster: settings.name, range: settings.vmids })
    })?;
    reserve(tx, &cluster.settings.name, vmid, lease.key, Some(taken))?;
    Ok(vmid)
}

fn cluster_of<E: From<StoreError>>(tx: &Tx<'_>, key: &str) -> Result<Cluster, Failure<E>> {
    let name: String =
        tx.conn.prepare_cached("SELECT cluster FROM vm WHERE key = ?")?.query_row([key], |row| row.get(0))?;
    let missing = |why: String| Failure::Refused(StoreError::not_written(why).into());
    let name: ClusterName = name.parse().map_err(|e| missing(format!("machine {key}: {e}")))?;
    cluster(tx.conn, &name)?.ok_or_else(|| missing(format!("cluster: {name} is not configured")))
}

/// Fails where a machine is to get a number that was not reserved for it: two machines would meet at it.
pub(crate) fn must_be_reserved(tx: &Tx<'_>, key: VmKey, vmid: Vmid) -> Result<(), Failure<CommitError>> {
    let reserved: bool = tx
        .conn
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM vmid_reservation WHERE vm = ? AND vmid = ?)")?
        .query_row(params![key.to_string(), vmid.get()], |row| row.get(0))?;
    if reserved {
        return Ok(());
    }
    let why = format!("machine {key}: the number {vmid} is not reserved for it");
    Err(Failure::Refused(CommitError::Store(StoreError::not_written(why))))
}

/// Lets all numbers of a machine that is gone rest, from now.
pub(crate) fn quarantine(tx: &Tx<'_>, key: VmKey) -> Result<(), Failure<CommitError>> {
    let key = key.to_string();
    let rest = duration_micros(cluster_of::<CommitError>(tx, &key)?.settings.quarantine);
    tx.conn
        .prepare_cached("UPDATE vmid_reservation SET until = ? WHERE vm = ? AND until IS NULL")?
        .execute(params![micros(tx.now).saturating_add(rest), key])?;
    Ok(())
}
