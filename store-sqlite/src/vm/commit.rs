//! Writing down a commit.

use super::{log, number, outbox, row::due_at};
use crate::{
    column::{json, micros},
    failure::Failure,
    writer::Tx,
};
use deploy_core::{Commit, CommitError, Lease, Numbered, Order, SPEC_VERSION, Step};
use rusqlite::{CachedStatement, named_params, params};

/// Writes a commit: the fields it names and no others, its log line and its notice.
pub(crate) fn commit(tx: &Tx<'_>, lease: &Lease, commit: &Commit) -> Result<(), Failure<CommitError>> {
    let key = lease.key.to_string();
    if let Some(numbered) = &commit.numbered {
        super::fence(tx.conn, lease, CommitError::Fenced)?;
        number::must_be_reserved(tx, lease.key, numbered.vmid)?;
        renumbered(tx, &key, numbered)?;
    }
    if update(tx, lease, &key, commit)? == 0 {
        return Err(Failure::Refused(CommitError::Fenced));
    }
    if let Some(life) = &commit.life {
        tx.conn.prepare_cached("UPDATE vm SET life = ? WHERE key = ?")?.execute(params![json(life)?, key])?;
    }
    if let Some(Order { spec, macs }) = commit.order.as_deref() {
        tx.conn
            .prepare_cached("UPDATE vm SET spec_version = ?, spec = ?, macs = ? WHERE key = ?")?
            .execute(params![SPEC_VERSION, json(spec)?, json(macs)?, key])?;
    }
    if let Some(command) = commit.consume {
        tx.conn
            .prepare_cached("DELETE FROM command WHERE vm = ? AND id = ?")?
            .execute(params![key, command.to_string()])?;
    }
    if let Some(line) = &commit.log {
        log::append(tx.conn, &key, line)?;
    }
    if let Some(notice) = &commit.notice {
        outbox::queue(tx, lease.key, notice)?;
    }
    if commit.step == Some(Step::Terminated) {
        tx.conn.prepare_cached("UPDATE vm SET terminated = 1 WHERE key = ?")?.execute([&key])?;
        number::quarantine(tx, lease.key)?;
    }
    Ok(())
}

/// What most commits change. `coalesce` leaves what the commit does not name; what may be set to null has a flag of its own.
/// Columns that unique indexes are made of are not here: SQLite writes every index whose columns a statement names, also where
/// their values stay.
///
/// The commit may say "on command" while a command waits that arrived after the worker had read the record.
fn update(tx: &Tx<'_>, lease: &Lease, key: &str, commit: &Commit) -> Result<usize, Failure<CommitError>> {
    let mut statement: CachedStatement<'_> = tx.conn.prepare_cached(
        "UPDATE vm SET
             operation  = coalesce(:operation, operation),
             step       = coalesce(:step, step),
             progress   = coalesce(:progress, progress),
             failures   = coalesce(:failures, failures),
             due_at     = CASE
                 WHEN NOT :due THEN due_at
                 WHEN EXISTS (SELECT 1 FROM command WHERE vm = :key AND id IS NOT :consumed)
                     THEN min(coalesce(:due_at, :now), :now)
                 ELSE :due_at
             END,
             attention  = iif(:attend, :attention, attention),
             waiting    = iif(:waits, :waiting, waiting),
             node       = coalesce(:node, node),
             smbios     = iif(:known, :smbios, smbios),
             slots      = coalesce(:slots, slots),
             addresses  = coalesce(:addresses, addresses),
             remembered = coalesce(:remembered, remembered)
         WHERE key = :key AND owner = :owner AND epoch = :epoch",
    )?;
    let changed = statement.execute(named_params! {
        ":operation": commit.operation.map(deploy_core::Operation::as_str),
        ":step": commit.step.map(Step::as_str),
        ":progress": commit.progress.as_ref().map(json).transpose()?,
        ":failures": commit.failures,
        ":due": commit.due.is_some(),
        ":due_at": commit.due.and_then(due_at),
        ":consumed": commit.consume.map(|command| command.to_string()),
        ":now": micros(tx.now),
        ":attend": commit.attention.is_some(),
        ":attention": commit.attention.as_ref().and_then(Option::as_ref).map(json).transpose()?,
        ":waits": commit.waiting.is_some(),
        ":waiting": commit.waiting.as_ref().and_then(Option::as_ref).map(json).transpose()?,
        ":node": commit.node.as_ref().map(deploy_core::NodeName::as_str),
        ":known": commit.smbios.is_some(),
        ":smbios": commit.smbios.flatten().map(|uuid| uuid.to_string()),
        ":slots": commit.slots.as_ref().map(json).transpose()?,
        ":addresses": commit.addresses.as_ref().map(json).transpose()?,
        ":remembered": commit.remembered.as_ref().map(json).transpose()?,
        ":key": key,
        ":owner": lease.worker.to_string(),
        ":epoch": lease.epoch,
    })?;
    Ok(changed)
}

/// Another number, and the names made of it.
fn renumbered(tx: &Tx<'_>, key: &str, numbered: &Numbered) -> Result<(), rusqlite::Error> {
    tx.conn
        .prepare_cached("UPDATE vm SET vmid = ?, fqdn = ?, pve_name = ? WHERE key = ?")?
        .execute(params![numbered.vmid.get(), numbered.fqdn.as_str(), numbered.pve_name.as_str(), key])?;
    Ok(())
}
