//! Marks, names of addresses, and what is shown of a machine.

use super::entry;
use crate::{
    column::Columns,
    db::Db,
    failure::{Failure, Unreadable},
    vm,
};
use deploy_core::{DnsName, DnsStatus, PtrError, StoreError, VmKey};
use std::net::IpAddr;
use tokio_postgres::{Error, types::Type};

/// Says which zones there are.
pub(super) async fn plan(db: &Db<'_>, fingerprint: u64) -> Result<(), Failure<StoreError>> {
    let text = "UPDATE $schema.dns_plan SET fingerprint = $1, number = number + 1
         WHERE fingerprint IS DISTINCT FROM $1";
    db.execute(text, &[(&fingerprint.cast_signed(), Type::INT8)]).await?;
    Ok(())
}

/// Marks a machine, and says the mark; `thorough` is whether a thorough turn is asked for.
async fn mark(db: &Db<'_>, key: VmKey, thorough: bool) -> Result<i64, Error> {
    let text = "INSERT INTO $schema.dns_machine AS machine (vm, mark, asked, due_at)
         VALUES ($1, 1, CASE WHEN $2 THEN 1 ELSE 0 END, 'epoch')
         ON CONFLICT (vm) DO UPDATE SET mark = machine.mark + 1, due_at = 'epoch',
             asked = CASE WHEN $2 THEN machine.mark + 1 ELSE machine.asked END
         RETURNING mark";
    db.one(text, &[(&key.0, Type::UUID), (&thorough, Type::BOOL)]).await?.try_get(0)
}

/// Keeps a name for an address, or forgets it.
pub(super) async fn set_ptr(
    db: &Db<'_>,
    key: VmKey,
    address: IpAddr,
    name: Option<&DnsName>,
) -> Result<i64, Failure<PtrError>> {
    let record = vm::by_key(db, key).await?.ok_or(Failure::Refused(PtrError::NotFound(key)))?;
    let of_machine = [(&key.0 as _, Type::UUID), (&address as _, Type::INET)];
    if let Some(name) = name {
        if record.addresses.iter().all(|held| held.address != address) {
            return Err(Failure::Refused(PtrError::NotHeld { key, address }));
        }
        let text = "INSERT INTO $schema.dns_name (vm, address, name) VALUES ($1, $2, $3)
             ON CONFLICT (vm, address) DO UPDATE SET name = excluded.name";
        let [vm, address] = of_machine;
        db.execute(text, &[vm, address, (&name.as_str(), Type::TEXT)]).await?;
    } else {
        db.execute("DELETE FROM $schema.dns_name WHERE vm = $1 AND address = $2", &of_machine).await?;
    }
    Ok(mark(db, key, false).await?)
}

/// Marks a machine for a thorough turn.
pub(super) async fn refresh(db: &Db<'_>, key: VmKey) -> Result<Option<i64>, Failure<StoreError>> {
    if is_there(db, key).await? { Ok(Some(mark(db, key, true).await?)) } else { Ok(None) }
}

async fn is_there(db: &Db<'_>, key: VmKey) -> Result<bool, Error> {
    let text = "SELECT EXISTS (SELECT 1 FROM $schema.vm WHERE key = $1)";
    db.one(text, &[(&key.0, Type::UUID)]).await?.try_get(0)
}

/// The names that a machine's addresses have instead of its own.
pub(super) async fn names<E>(db: &Db<'_>, key: VmKey) -> Result<Vec<(IpAddr, DnsName)>, Failure<E>> {
    let text = "SELECT address, name FROM $schema.dns_name WHERE vm = $1";
    let rows = db.query(text, &[(&key.0, Type::UUID)]).await?;
    let what = format!("a name of machine {key}");
    let decoded = rows.iter().map(|row| {
        let columns = Columns::new(row, &what);
        Ok((columns.raw("address")?, columns.parsed("name")?))
    });
    let mut names = decoded.collect::<Result<Vec<_>, Unreadable>>()?;
    names.sort_unstable();
    Ok(names)
}

/// How a machine's records are. The mark is read first: what came after it is then not taken for done.
pub(super) async fn status(db: &Db<'_>, key: VmKey) -> Result<Option<DnsStatus>, Failure<StoreError>> {
    if !is_there(db, key).await? {
        return Ok(None);
    }
    let text = "SELECT mark, done, CASE WHEN due_at IS NOT NULL THEN greatest(due_at, claimed_until)
             WHEN plan < (SELECT number FROM $schema.dns_plan) THEN coalesce(claimed_until, 'epoch') END
         FROM $schema.dns_machine WHERE vm = $1";
    let (mark, done, due) = match db.optional(text, &[(&key.0, Type::UUID)]).await? {
        Some(row) => (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?),
        None => (0, 0, None),
    };
    let (entries, names) = (entry::entries(db, key).await?, names(db, key).await?);
    Ok(Some(DnsStatus { entries, names, mark, done, due }))
}
