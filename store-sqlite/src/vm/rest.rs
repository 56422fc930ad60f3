//! Machines that are ready and of which nothing is due.

use crate::{
    column::{Columns, limit, micros},
    failure::{Failure, Unreadable},
    writer::Tx,
};
use deploy_core::{Resting, StoreError, VmKey};
use rusqlite::{Connection, Row, params};

/// A page of them; one that cannot be understood is left out with a warning.
pub(crate) fn resting(
    conn: &Connection,
    after: Option<VmKey>,
    at_most: usize,
) -> Result<Vec<Resting>, Failure<StoreError>> {
    let mut statement = conn.prepare_cached(
        "SELECT key, cluster, vmid, pve_name, node FROM vm
         WHERE step IN ('ready', 'suspended') AND due_at IS NULL AND key > ? ORDER BY key LIMIT ?",
    )?;
    let after = after.map(|key| key.to_string()).unwrap_or_default();
    let mut rows = statement.query(params![after, limit(at_most)])?;
    let mut machines = Vec::new();
    while let Some(row) = rows.next()? {
        match decode(row) {
            Ok(machine) => machines.push(machine),
            Err(Unreadable(why)) => tracing::warn!("left out of the machines at rest: {why}"),
        }
    }
    Ok(machines)
}

fn decode(row: &Row<'_>) -> Result<Resting, Unreadable> {
    let columns = Columns::new(row, "a machine at rest");
    Ok(Resting {
        key: columns.parsed("key")?,
        cluster: columns.parsed("cluster")?,
        vmid: super::row::vmid(&columns)?,
        name: columns.parsed("pve_name")?,
        node: columns.parsed("node")?,
    })
}

/// Makes one due.
pub(crate) fn check(tx: &Tx<'_>, key: VmKey) -> Result<(), Failure<StoreError>> {
    tx.conn
        .prepare_cached(
            "UPDATE vm SET due_at = ? WHERE key = ? AND step IN ('ready', 'suspended') AND due_at IS NULL",
        )?
        .execute(params![micros(tx.now), key.to_string()])?;
    Ok(())
}
