//! Addresses that are held for machines of which nothing is left.

use crate::{
    SqliteStore,
    column::{Columns, address_of, limit},
    failure::{Failure, Unreadable},
};
use async_trait::async_trait;
use deploy_core::{AddressAudit, HeldAddress, OrphanedAddress, StoreError};
use rusqlite::{Connection, Row};

#[async_trait]
impl AddressAudit for SqliteStore {
    async fn orphaned_addresses(&self, at_most: usize) -> Result<Vec<OrphanedAddress>, StoreError> {
        self.read(move |conn| orphaned(conn, at_most)).await
    }
}

fn orphaned(conn: &Connection, at_most: usize) -> Result<Vec<OrphanedAddress>, Failure<StoreError>> {
    let mut statement = conn.prepare_cached(
        "SELECT cluster, vm, nic, address, pool FROM address
         WHERE until IS NULL AND NOT EXISTS (SELECT 1 FROM vm WHERE key = address.vm AND terminated = 0)
         ORDER BY cluster, address LIMIT ?",
    )?;
    let mut rows = statement.query([limit(at_most)])?;
    let mut orphaned = Vec::new();
    while let Some(row) = rows.next()? {
        orphaned.push(decode(row)?);
    }
    Ok(orphaned)
}

fn decode(row: &Row<'_>) -> Result<OrphanedAddress, Unreadable> {
    let columns = Columns::new(row, "a held address");
    let nic: u8 = columns.number("nic")?;
    Ok(OrphanedAddress {
        cluster: columns.parsed("cluster")?,
        key: columns.parsed("vm")?,
        held: HeldAddress {
            nic: nic.try_into().map_err(|error| Unreadable(format!("a held address: {error}")))?,
            address: address_of(columns.raw("address")?),
            pool: columns.parsed("pool")?,
        },
    })
}
