//! Numbers of machines: given in turn, reserved, and in quarantine after their machine is gone.

use super::{create::cluster, row};
use crate::{
    column::Columns,
    db::Db,
    failure::{Failure, Unreadable},
};
use deploy_core::{ClusterSettings, CommitError, Lease, RenumberError, StoreError, VmKey, Vmid};
use tokio_postgres::types::Type;

/// Reserves another number instead of `taken`, or answers the one that was reserved for it before.
pub(crate) async fn renumber(
    db: &Db<'_>,
    lease: &Lease,
    taken: Vmid,
) -> Result<Vmid, Failure<RenumberError>> {
    super::fence(db, lease, RenumberError::Fenced).await?;
    let (key, taken) = (lease.key.0, row::number(taken));
    let text = "SELECT vmid FROM $schema.vmid_reservation WHERE vm = $1 AND instead_of = $2";
    if let Some(reserved) = db.optional(text, &[(&key, Type::UUID), (&taken, Type::INT4)]).await? {
        return Ok(row::vmid(&Columns::new(&reserved, "a reservation"))?);
    }
    let settings = cluster_of(db, lease.key).await?;
    let text = "WITH drawn AS MATERIALIZED (SELECT $schema.take_vmid($1, coalesce($4, now())) AS vmid)
         INSERT INTO $schema.vmid_reservation (cluster, vmid, vm, instead_of)
         SELECT $1, vmid, $2, $3 FROM drawn WHERE vmid IS NOT NULL RETURNING vmid";
    let name = settings.name.as_str();
    let params = [(&name as _, Type::TEXT), (&key as _, Type::UUID), (&taken as _, Type::INT4), db.clock()];
    match db.optional(text, &params).await? {
        Some(drawn) => Ok(row::vmid(&Columns::new(&drawn, "a reservation"))?),
        None => {
            Err(Failure::Refused(RenumberError::Exhausted { cluster: settings.name, range: settings.vmids }))
        }
    }
}

async fn cluster_of<E: From<StoreError>>(db: &Db<'_>, key: VmKey) -> Result<ClusterSettings, Failure<E>> {
    let row = db.one("SELECT cluster FROM $schema.vm WHERE key = $1", &[(&key.0, Type::UUID)]).await?;
    let name: &str = Columns::new(&row, "a machine").raw("cluster")?;
    let missing = || Unreadable(format!("machine {key}: cluster {name} is not configured"));
    Ok(cluster(db, name).await?.ok_or_else(missing)?)
}

/// Fails where a machine is to get a number that was not reserved for it: two machines would meet at it.
pub(crate) async fn must_be_reserved(
    db: &Db<'_>,
    key: VmKey,
    vmid: Vmid,
) -> Result<(), Failure<CommitError>> {
    let text = "SELECT 1 FROM $schema.vmid_reservation WHERE vm = $1 AND vmid = $2";
    if db.optional(text, &[(&key.0, Type::UUID), (&row::number(vmid), Type::INT4)]).await?.is_some() {
        return Ok(());
    }
    let why = format!("machine {key}: the number {vmid} is not reserved for it");
    Err(Failure::Refused(CommitError::Store(StoreError::not_written(why))))
}

/// Lets all numbers of a machine that is gone rest, from now.
pub(crate) async fn quarantine(db: &Db<'_>, key: VmKey) -> Result<(), Failure<CommitError>> {
    // Beyond ten thousand days it is as good as for ever, and the sum stays within the calendar.
    let text = "UPDATE $schema.vmid_reservation AS reserved
         SET until = coalesce($2, now()) + interval '1 microsecond' * least(quarantine, 864000000000000)
         FROM $schema.cluster WHERE cluster.name = reserved.cluster AND vm = $1 AND until IS NULL";
    db.execute(text, &[(&key.0, Type::UUID), db.clock()]).await?;
    Ok(())
}
