//! The fence: what a worker writes is written only while the lease is its own.

use super::row::{self, columns};
use crate::{db::Db, failure::Failure};
use deploy_core::{CommitError, Lease, VmRecord};
use tokio_postgres::types::Type;

/// Fails where the lease is not the record's; `fenced` is the caller's word for it. Until the end of the transaction nobody
/// can end the lease.
pub(crate) async fn fence<E>(db: &Db<'_>, lease: &Lease, fenced: E) -> Result<(), Failure<E>> {
    let text = "SELECT 1 FROM $schema.vm_state WHERE key = $1 AND owner = $2 AND epoch = $3 FOR UPDATE";
    match db.optional(text, &params(lease)).await? {
        Some(_) => Ok(()),
        None => Err(Failure::Refused(fenced)),
    }
}

/// Reads a leased record; one statement, so that lease and record are of one moment.
pub(crate) async fn reload(db: &Db<'_>, lease: &Lease) -> Result<VmRecord, Failure<CommitError>> {
    let text = concat!(
        "SELECT ",
        columns!(),
        " FROM $schema.vm JOIN $schema.vm_state AS state USING (key)
         WHERE state.key = $1 AND state.owner = $2 AND state.epoch = $3"
    );
    match db.optional(text, &params(lease)).await? {
        Some(row) => Ok(row::decode(&row)?),
        None => Err(Failure::Refused(CommitError::Fenced)),
    }
}

fn params(lease: &Lease) -> [crate::db::Param<'_>; 3] {
    [(&lease.key.0, Type::UUID), (&lease.worker.0, Type::UUID), (&lease.epoch, Type::INT8)]
}
