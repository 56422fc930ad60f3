//! Claiming machines whose records are due.

use super::{entry, mark};
use crate::{
    column::{self, kept, limit},
    db::Db,
    failure::{Failure, Unreadable},
    vm,
};
use deploy_core::{CommitError, DnsClaim, DnsClaimed, StoreError, VmKey};
use jiff::{SignedDuration, Timestamp};
use tokio_postgres::{Row, types::Type};
use uuid::Uuid;

/// So long a machine is left alone whose record a newer program wrote.
const LEFT_ALONE: SignedDuration = SignedDuration::from_mins(10);

/// Claims due machines: those that were marked or have a time of their own, then those that other zones were judged by. What
/// another worker is just claiming is skipped, not waited for.
pub(super) async fn claim(
    db: &Db<'_>,
    at_most: usize,
    lasting: SignedDuration,
) -> Result<Vec<DnsClaimed>, Failure<StoreError>> {
    let lasting = column::micros(lasting);
    let mut claimed = Vec::new();
    for text in [DUE, OTHERWISE_PLANNED] {
        let free = limit(at_most.saturating_sub(claimed.len()));
        let params = [db.clock(), (&free as _, Type::INT8), (&lasting as _, Type::INT8)];
        for row in db.query(text, &params).await? {
            claimed.extend(read(db, &row).await?);
        }
    }
    Ok(claimed)
}

const DUE: &str = "WITH due AS MATERIALIZED (
         SELECT vm FROM $schema.dns_machine
         WHERE due_at IS NOT NULL AND due_at <= coalesce($1, now())
             AND (claimed_until IS NULL OR claimed_until <= coalesce($1, now()))
         ORDER BY due_at, vm LIMIT $2 FOR UPDATE SKIP LOCKED
     ), claimed AS (
         UPDATE $schema.dns_machine AS machine SET token = token + 1, claimed_mark = mark,
             claimed_until = coalesce($1, now()) + $3 * interval '1 microsecond',
             claimed_plan = (SELECT number FROM $schema.dns_plan)
         FROM due WHERE machine.vm = due.vm
         RETURNING machine.vm, token, asked > done AS thorough, due_at
     )
     SELECT vm, token, thorough FROM claimed ORDER BY due_at, vm";

const OTHERWISE_PLANNED: &str = "WITH due AS MATERIALIZED (
         SELECT vm FROM $schema.dns_machine
         WHERE plan < (SELECT number FROM $schema.dns_plan)
             AND (claimed_until IS NULL OR claimed_until <= coalesce($1, now()))
         ORDER BY plan, vm LIMIT $2 FOR UPDATE SKIP LOCKED
     ), claimed AS (
         UPDATE $schema.dns_machine AS machine SET token = token + 1, claimed_mark = mark,
             claimed_until = coalesce($1, now()) + $3 * interval '1 microsecond',
             claimed_plan = (SELECT number FROM $schema.dns_plan)
         FROM due WHERE machine.vm = due.vm
         RETURNING machine.vm, token, asked > done AS thorough
     )
     SELECT vm, token, thorough FROM claimed ORDER BY vm";

/// All of a claimed machine. One that cannot be understood is left to a newer program.
async fn read(db: &Db<'_>, row: &Row) -> Result<Option<DnsClaimed>, Failure<StoreError>> {
    let key = VmKey(row.try_get::<_, Uuid>("vm")?);
    match parts(db, key).await {
        Ok((record, names, entries)) => Ok(Some(DnsClaimed {
            claim: DnsClaim { key, token: row.try_get("token")? },
            record,
            names,
            entries,
            thorough: row.try_get("thorough")?,
        })),
        Err(Failure::Unreadable(Unreadable(why))) => {
            tracing::error!("its DNS records are passed over: {why}");
            let text = "UPDATE $schema.dns_machine
                 SET claimed_until = coalesce($2, now()) + $3 * interval '1 microsecond' WHERE vm = $1";
            let left_alone = column::micros(LEFT_ALONE);
            let params = [(&key.0 as _, Type::UUID), db.clock(), (&left_alone as _, Type::INT8)];
            db.execute(text, &params).await?;
            Ok(None)
        }
        Err(failure) => Err(failure),
    }
}

type Parts =
    (deploy_core::VmRecord, Vec<(std::net::IpAddr, deploy_core::DnsName)>, Vec<deploy_core::DnsEntry>);

async fn parts(db: &Db<'_>, key: VmKey) -> Result<Parts, Failure<StoreError>> {
    let record = vm::by_key(db, key).await?.ok_or_else(|| Unreadable(format!("machine {key} is gone")))?;
    Ok((record, mark::names(db, key).await?, entry::entries(db, key).await?))
}

/// When the next machine can be claimed.
pub(super) async fn next_due(db: &Db<'_>) -> Result<Option<Timestamp>, Failure<StoreError>> {
    let text = "SELECT least(
         (SELECT min(greatest(due_at, claimed_until)) FROM $schema.dns_machine WHERE due_at IS NOT NULL),
         (SELECT min(coalesce(claimed_until, 'epoch')) FROM $schema.dns_machine
          WHERE plan < (SELECT number FROM $schema.dns_plan))
     )";
    Ok(db.one(text, &[]).await?.try_get(0)?)
}

/// Ends a claim.
pub(super) async fn finish(
    db: &Db<'_>,
    claim: &DnsClaim,
    due: Option<Timestamp>,
) -> Result<(), Failure<CommitError>> {
    let text =
        "UPDATE $schema.dns_machine SET done = claimed_mark, plan = claimed_plan, claimed_until = NULL,
             due_at = CASE WHEN mark > claimed_mark THEN due_at ELSE $3 END
         WHERE vm = $1 AND token = $2 AND claimed_until IS NOT NULL";
    let due = due.map(kept);
    let params =
        [(&claim.key.0 as _, Type::UUID), (&claim.token as _, Type::INT8), (&due as _, Type::TIMESTAMPTZ)];
    match db.execute(text, &params).await? {
        0 => Err(Failure::Refused(CommitError::Fenced)),
        _ => Ok(()),
    }
}

/// Fails where the claim is over; `fenced` is the caller's word for it. Until the end of the transaction nobody can end it.
pub(super) async fn fence<E>(db: &Db<'_>, claim: &DnsClaim, fenced: E) -> Result<(), Failure<E>> {
    let text = "SELECT 1 FROM $schema.dns_machine
         WHERE vm = $1 AND token = $2 AND claimed_until IS NOT NULL FOR UPDATE";
    let params = [(&claim.key.0 as _, Type::UUID), (&claim.token as _, Type::INT8)];
    match db.optional(text, &params).await? {
        Some(_) => Ok(()),
        None => Err(Failure::Refused(fenced)),
    }
}
