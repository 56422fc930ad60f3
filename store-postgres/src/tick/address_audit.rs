//! Addresses that are held for machines of which nothing is left.

use crate::{
    PostgresStore,
    column::{Columns, limit},
    failure::{Failure, Unreadable},
};
use async_trait::async_trait;
use deploy_core::{AddressAudit, HeldAddress, OrphanedAddress, StoreError, VmKey};
use tokio_postgres::{Row, types::Type};
use uuid::Uuid;

#[async_trait]
impl AddressAudit for PostgresStore {
    async fn orphaned_addresses(&self, at_most: usize) -> Result<Vec<OrphanedAddress>, StoreError> {
        self.read(at_most, |db, at_most| {
            Box::pin(async {
                let text = "SELECT cluster, vm, nic, address, pool FROM $schema.address AS held
                     WHERE until IS NULL
                         AND NOT EXISTS (SELECT 1 FROM $schema.vm WHERE key = held.vm AND NOT terminated)
                     ORDER BY cluster COLLATE \"C\", address LIMIT $1";
                let rows = db.query(text, &[(&limit(*at_most), Type::INT8)]).await?;
                Ok::<_, Failure<StoreError>>(rows.iter().map(decode).collect::<Result<_, _>>()?)
            })
        })
        .await
    }
}

fn decode(row: &Row) -> Result<OrphanedAddress, Unreadable> {
    let columns = Columns::new(row, "a held address");
    let nic: u8 = columns.number::<i16, u8>("nic")?;
    Ok(OrphanedAddress {
        cluster: columns.parsed("cluster")?,
        key: VmKey(columns.raw::<Uuid>("vm")?),
        held: HeldAddress {
            nic: nic.try_into().map_err(|error| Unreadable(format!("a held address: {error}")))?,
            address: columns.raw("address")?,
            pool: columns.parsed("pool")?,
        },
    })
}
