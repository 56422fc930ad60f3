//! Machines that are ready and of which nothing is due.

use crate::{
    column::{Columns, limit},
    db::Db,
    failure::{Failure, Unreadable},
};
use deploy_core::{Resting, StoreError, VmKey};
use tokio_postgres::{Row, types::Type};
use uuid::Uuid;

/// A page of them; one that cannot be understood is left out with a warning.
pub(crate) async fn resting(
    db: &Db<'_>,
    after: Option<VmKey>,
    at_most: usize,
) -> Result<Vec<Resting>, Failure<StoreError>> {
    let text = "SELECT vm.key, vm.cluster, vm.vmid, vm.pve_name, state.node
         FROM $schema.vm_state AS state JOIN $schema.vm USING (key)
         WHERE state.step IN ('ready', 'suspended') AND state.due_at IS NULL AND ($1::uuid IS NULL OR state.key > $1)
         ORDER BY state.key LIMIT $2";
    let after = after.map(|key| key.0);
    let rows = db.query(text, &[(&after, Type::UUID), (&limit(at_most), Type::INT8)]).await?;
    let mut machines = Vec::with_capacity(rows.len());
    for row in &rows {
        match decode(row) {
            Ok(machine) => machines.push(machine),
            Err(Unreadable(why)) => tracing::warn!("left out of the machines at rest: {why}"),
        }
    }
    Ok(machines)
}

fn decode(row: &Row) -> Result<Resting, Unreadable> {
    let columns = Columns::new(row, "a machine at rest");
    Ok(Resting {
        key: VmKey(columns.raw::<Uuid>("key")?),
        cluster: columns.parsed("cluster")?,
        vmid: super::row::vmid(&columns)?,
        name: columns.parsed("pve_name")?,
        node: columns.parsed("node")?,
    })
}

/// Makes one due.
pub(crate) async fn check(db: &Db<'_>, key: VmKey) -> Result<(), Failure<StoreError>> {
    let text = "UPDATE $schema.vm_state SET due_at = coalesce($2, now())
         WHERE key = $1 AND step IN ('ready', 'suspended') AND due_at IS NULL";
    db.execute(text, &[(&key.0, Type::UUID), db.clock()]).await?;
    Ok(())
}
