//! The row of a machine and the record it stands for.

use crate::{
    column::{Columns, json, limit, micros},
    failure::{Failure, Unreadable},
};
use deploy_core::{Due, ExternalRef, ListQuery, Numbered, SPEC_VERSION, StoreError, VmKey, VmRecord, Vmid};
use rusqlite::{Connection, Row, params};

/// Every column of a record, and its waiting commands, so that one statement reads one consistent record.
pub(crate) const COLUMNS: &str = "key, external_ref, cluster, vmid, fqdn, pve_name, spec_version, spec, macs, metadata,
    created_at, operation, step, progress, failures, due_at, attention, waiting, node, smbios, slots, addresses,
    remembered, life, owner, epoch,
    (SELECT coalesce(json_group_array(json_object('id', id, 'command', json(command)) ORDER BY seq), '[]')
     FROM command WHERE command.vm = vm.key) AS pending";

/// Reads a record.
///
/// # Errors
/// [`Unreadable`] for an order in a form that is newer than this program, and for anything else it does not understand:
/// half of what was bought must not be deployed.
pub(crate) fn decode(row: &Row<'_>) -> Result<VmRecord, Unreadable> {
    let key: String = Columns::new(row, "a machine").raw("key")?;
    let what = format!("machine {key}");
    let columns = Columns::new(row, &what);
    let version: i64 = columns.raw("spec_version")?;
    if version > i64::from(SPEC_VERSION) {
        let reference: String = columns.raw("external_ref")?;
        return Err(Unreadable(format!(
            "machine {key} (reference {reference:?}) was ordered in form version {version}, this program knows up to \
             version {SPEC_VERSION}: update the program; the machine is left as it is"
        )));
    }
    let due: Option<i64> = columns.raw("due_at")?;
    Ok(VmRecord {
        key: columns.parsed("key")?,
        external_ref: columns.parsed("external_ref")?,
        numbered: Numbered {
            vmid: vmid(&columns)?,
            fqdn: columns.parsed("fqdn")?,
            pve_name: columns.parsed("pve_name")?,
        },
        spec: columns.json("spec")?,
        macs: columns.json("macs")?,
        metadata: columns.json("metadata")?,
        created_at: columns.time("created_at")?,
        operation: columns.parsed("operation")?,
        step: columns.parsed("step")?,
        progress: columns.json("progress")?,
        failures: columns.number("failures")?,
        due: due.map_or(Due::OnCommand, |at| Due::At(crate::column::timestamp(at))),
        attention: columns.json_if_any("attention")?,
        waiting: columns.json_if_any("waiting")?,
        node: columns.parsed("node")?,
        smbios: columns.parsed_if_any("smbios")?,
        slots: columns.json("slots")?,
        addresses: columns.json("addresses")?,
        remembered: columns.json("remembered")?,
        life: columns.json("life")?,
        pending: columns.json("pending")?,
    })
}

pub(crate) fn vmid(columns: &Columns<'_, '_>) -> Result<Vmid, Unreadable> {
    let number: u32 = columns.number("vmid")?;
    Vmid::try_from(number).map_err(|error| Unreadable(error.to_string()))
}

/// When a record is due, as it is kept.
pub(crate) fn due_at(due: Due) -> Option<i64> {
    match due {
        Due::At(at) => Some(micros(at)),
        Due::OnCommand => None,
    }
}

/// Writes a new record.
pub(crate) fn insert<E>(conn: &Connection, record: &VmRecord) -> Result<(), Failure<E>> {
    let mut statement = conn.prepare_cached(
        "INSERT INTO vm (key, external_ref, cluster, vmid, fqdn, pve_name, spec_version, spec, macs, metadata,
             created_at, operation, step, progress, failures, due_at, attention, waiting, node, smbios, slots, addresses,
             remembered, life)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?;
    statement.execute(params![
        record.key.to_string(),
        record.external_ref.as_str(),
        record.spec.cluster.as_str(),
        record.numbered.vmid.get(),
        record.numbered.fqdn.as_str(),
        record.numbered.pve_name.as_str(),
        SPEC_VERSION,
        json(&record.spec)?,
        json(&record.macs)?,
        json(&record.metadata)?,
        micros(record.created_at),
        record.operation.as_str(),
        record.step.as_str(),
        json(&record.progress)?,
        record.failures,
        due_at(record.due),
        record.attention.as_ref().map(json).transpose()?,
        record.waiting.as_ref().map(json).transpose()?,
        record.node.as_str(),
        record.smbios.map(|uuid| uuid.to_string()),
        json(&record.slots)?,
        json(&record.addresses)?,
        json(&record.remembered)?,
        json(&record.life)?,
    ])?;
    Ok(())
}

/// The record of a machine.
pub(crate) fn by_key<E>(conn: &Connection, key: VmKey) -> Result<Option<VmRecord>, Failure<E>> {
    let sql = format!("SELECT {COLUMNS} FROM vm WHERE key = ?");
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query([key.to_string()])?;
    Ok(rows.next()?.map(decode).transpose()?)
}

/// The living record with this reference, else the one ordered last.
pub(crate) fn by_reference<E>(
    conn: &Connection,
    reference: &ExternalRef,
) -> Result<Option<VmRecord>, Failure<E>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM vm WHERE external_ref = ? ORDER BY terminated, created_at DESC, vm.id DESC LIMIT 1"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query([reference.as_str()])?;
    Ok(rows.next()?.map(decode).transpose()?)
}

/// The living record with this reference.
pub(crate) fn living<E>(conn: &Connection, reference: &ExternalRef) -> Result<Option<VmRecord>, Failure<E>> {
    let sql = format!("SELECT {COLUMNS} FROM vm WHERE external_ref = ? AND terminated = 0");
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query([reference.as_str()])?;
    Ok(rows.next()?.map(decode).transpose()?)
}

/// Records in the order of their keys. One that cannot be understood is left out with a warning, so that it does not hide
/// the others.
pub(crate) fn list(conn: &Connection, query: &ListQuery) -> Result<Vec<VmRecord>, Failure<StoreError>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM vm WHERE (?1 IS NULL OR cluster = ?1) AND (?2 OR terminated = 0) AND key > ?3
         ORDER BY key LIMIT ?4"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query(params![
        query.cluster.as_ref().map(deploy_core::ClusterName::as_str),
        query.terminated,
        query.after.map(|key| key.to_string()).unwrap_or_default(),
        limit(query.limit),
    ])?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        match decode(row) {
            Ok(record) => records.push(record),
            Err(Unreadable(why)) => tracing::warn!("left out of a list: {why}"),
        }
    }
    Ok(records)
}
