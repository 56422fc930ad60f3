//! Writing down a commit.

use super::{log, number, outbox, row::due_at};
use crate::{
    column::{json, micros},
    failure::Failure,
    writer::Tx,
};
use deploy_core::{Commit, CommitError, Lease, Step};
use rusqlite::{CachedStatement, named_params, params};

/// Writes a commit: the fields it names and no others, its log line and its notice.
pub(crate) fn commit(tx: &Tx<'_>, lease: &Lease, commit: &Commit) -> Result<(), Failure<CommitError>> {
    if let Some(numbered) = &commit.numbered {
        super::fence(tx.conn, lease, CommitError::Fenced)?;
        number::must_be_reserved(tx, lease.key, numbered.vmid)?;
    }
    if update(tx, lease, commit)? == 0 {
        return Err(Failure::Refused(CommitError::Fenced));
    }
    let key = lease.key.to_string();
    if let Some(command) = commit.consume {
        tx.conn
            .prepare_cached("DELETE FROM command WHERE vm = ? AND id = ?")?
            .execute(params![key, command.to_string()])?;
    }
    if commit.due.is_some() {
        keep_due_while_commands_wait(tx, &key)?;
    }
    if let Some(line) = &commit.log {
        log::append(tx.conn, lease.key, line)?;
    }
    if let Some(notice) = &commit.notice {
        outbox::queue(tx, lease.key, notice)?;
    }
    if commit.step == Some(Step::Terminated) {
        number::quarantine(tx, lease.key)?;
    }
    Ok(())
}

/// `coalesce` leaves what the commit does not name; what may be set to null has a flag of its own.
fn update(tx: &Tx<'_>, lease: &Lease, commit: &Commit) -> Result<usize, Failure<CommitError>> {
    let mut statement: CachedStatement<'_> = tx.conn.prepare_cached(
        "UPDATE vm SET
             operation  = coalesce(:operation, operation),
             step       = coalesce(:step, step),
             progress   = coalesce(:progress, progress),
             failures   = coalesce(:failures, failures),
             due_at     = iif(:due, :due_at, due_at),
             attention  = iif(:attend, :attention, attention),
             waiting    = iif(:waits, :waiting, waiting),
             vmid       = coalesce(:vmid, vmid),
             fqdn       = coalesce(:fqdn, fqdn),
             pve_name   = coalesce(:pve_name, pve_name),
             node       = coalesce(:node, node),
             smbios     = iif(:known, :smbios, smbios),
             slots      = coalesce(:slots, slots),
             addresses  = coalesce(:addresses, addresses),
             remembered = coalesce(:remembered, remembered),
             terminated = iif(:step = 'terminated', 1, terminated)
         WHERE key = :key AND owner = :owner AND epoch = :epoch",
    )?;
    let changed = statement.execute(named_params! {
        ":operation": commit.operation.map(deploy_core::Operation::as_str),
        ":step": commit.step.map(Step::as_str),
        ":progress": commit.progress.as_ref().map(json).transpose()?,
        ":failures": commit.failures,
        ":due": commit.due.is_some(),
        ":due_at": commit.due.and_then(due_at),
        ":attend": commit.attention.is_some(),
        ":attention": commit.attention.as_ref().and_then(Option::as_ref).map(json).transpose()?,
        ":waits": commit.waiting.is_some(),
        ":waiting": commit.waiting.as_ref().and_then(Option::as_ref).map(json).transpose()?,
        ":vmid": commit.numbered.as_ref().map(|numbered| numbered.vmid.get()),
        ":fqdn": commit.numbered.as_ref().map(|numbered| numbered.fqdn.as_str()),
        ":pve_name": commit.numbered.as_ref().map(|numbered| numbered.pve_name.as_str()),
        ":node": commit.node.as_ref().map(deploy_core::NodeName::as_str),
        ":known": commit.smbios.is_some(),
        ":smbios": commit.smbios.flatten().map(|uuid| uuid.to_string()),
        ":slots": commit.slots.as_ref().map(json).transpose()?,
        ":addresses": commit.addresses.as_ref().map(json).transpose()?,
        ":remembered": commit.remembered.as_ref().map(json).transpose()?,
        ":key": lease.key.to_string(),
        ":owner": lease.worker.to_string(),
        ":epoch": lease.epoch,
    })?;
    Ok(changed)
}

/// A command that arrived after the worker had read the record: the commit may say "on command", and it is here already.
fn keep_due_while_commands_wait(tx: &Tx<'_>, key: &str) -> Result<(), rusqlite::Error> {
    tx.conn
        .prepare_cached(
            "UPDATE vm SET due_at = min(coalesce(due_at, ?2), ?2)
             WHERE key = ?1 AND EXISTS (SELECT 1 FROM command WHERE vm = ?1)",
        )?
        .execute(params![key, micros(tx.now)])?;
    Ok(())
}
