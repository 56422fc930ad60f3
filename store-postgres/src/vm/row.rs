//! The rows of a machine and the record they stand for.

use crate::{
    column::{Columns, limit},
    db::Db,
    failure::{Failure, Unreadable},
};
use deploy_core::{
    ClusterName, Due, ExternalRef, ListQuery, Numbered, SPEC_VERSION, SmbiosUuid, StoreError, VmKey,
    VmRecord, Vmid,
};
use jiff::Timestamp;
use tokio_postgres::{Row, types::Type};
use uuid::Uuid;

/// Every column of a record, as a text for `concat!`: statements are whole texts, so that they can be filled in once.
macro_rules! columns {
    () => {
        "vm.key, vm.external_ref, vm.cluster, vm.vmid, vm.fqdn, vm.pve_name, vm.spec, vm.macs, vm.metadata, vm.created_at, vm.life,
         state.spec_version, state.operation, state.step, state.progress, state.failures, state.due_at, state.attention,
         state.waiting, state.node, state.smbios, state.slots, state.addresses, state.remembered, state.pending,
         state.owner, state.epoch"
    };
}
pub(super) use columns;

/// The version of the orders that this program understands.
pub(super) const FORM: i32 = SPEC_VERSION.cast_signed();

/// Reads a record.
///
/// # Errors
/// [`Unreadable`] for an order in a form that is newer than this program, and for anything else it does not understand:
/// half of what was bought must not be deployed.
pub(crate) fn decode(row: &Row) -> Result<VmRecord, Unreadable> {
    let key: Uuid = Columns::new(row, "a machine").raw("key")?;
    let what = format!("machine {key}");
    let columns = Columns::new(row, &what);
    let version: i32 = columns.raw("spec_version")?;
    if version > FORM {
        let reference: &str = columns.raw("external_ref")?;
        return Err(Unreadable(format!(
            "machine {key} (reference {reference:?}) was ordered in form version {version}, this program knows up to \
             version {SPEC_VERSION}: update the program; the machine is left as it is"
        )));
    }
    let due: Option<Timestamp> = columns.raw("due_at")?;
    Ok(VmRecord {
        key: VmKey(key),
        external_ref: columns.parsed("external_ref")?,
        numbered: Numbered {
            vmid: vmid(&columns)?,
            fqdn: columns.parsed("fqdn")?,
            pve_name: columns.parsed("pve_name")?,
        },
        spec: columns.json("spec")?,
        macs: columns.json("macs")?,
        metadata: columns.json("metadata")?,
        created_at: columns.raw("created_at")?,
        operation: columns.parsed("operation")?,
        step: columns.parsed("step")?,
        progress: columns.json("progress")?,
        failures: columns.number::<i64, u32>("failures")?,
        due: due.map_or(Due::OnCommand, Due::At),
        attention: columns.json_if_any("attention")?,
        waiting: columns.json_if_any("waiting")?,
        node: columns.parsed("node")?,
        smbios: columns.raw::<Option<Uuid>>("smbios")?.map(SmbiosUuid),
        slots: columns.json("slots")?,
        addresses: columns.json("addresses")?,
        remembered: columns.json("remembered")?,
        life: columns.json("life")?,
        pending: columns.json("pending")?,
    })
}

pub(crate) fn vmid(columns: &Columns<'_>) -> Result<Vmid, Unreadable> {
    let number: u32 = columns.number::<i32, u32>("vmid")?;
    Vmid::try_from(number).map_err(|error| Unreadable(error.to_string()))
}

/// A number as it is kept: PVE's end at 999,999,999.
pub(crate) fn number(vmid: Vmid) -> i32 {
    i32::try_from(vmid.get()).unwrap_or(i32::MAX)
}

/// The record of a machine.
pub(crate) async fn by_key<E>(db: &Db<'_>, key: VmKey) -> Result<Option<VmRecord>, Failure<E>> {
    let text = concat!(
        "SELECT ",
        columns!(),
        " FROM $schema.vm JOIN $schema.vm_state AS state USING (key) WHERE vm.key = $1"
    );
    let row = db.optional(text, &[(&key.0, Type::UUID)]).await?;
    Ok(row.as_ref().map(decode).transpose()?)
}

/// The record of a machine, for as long as the transaction lasts.
pub(crate) async fn locked<E>(db: &Db<'_>, key: VmKey) -> Result<Option<VmRecord>, Failure<E>> {
    // Whoever waits for a lock sees the row that was locked as it is by then, but the others of its statement as they were: so
    // the record is read by a statement of its own.
    let text = "SELECT 1 FROM $schema.vm_state WHERE key = $1 FOR UPDATE";
    db.optional(text, &[(&key.0, Type::UUID)]).await?;
    by_key(db, key).await
}

/// The living record with this reference, else the one ordered last.
pub(crate) async fn by_reference<E>(
    db: &Db<'_>,
    reference: &ExternalRef,
) -> Result<Option<VmRecord>, Failure<E>> {
    let text = concat!(
        "SELECT ",
        columns!(),
        " FROM $schema.vm JOIN $schema.vm_state AS state USING (key) WHERE vm.external_ref = $1
         ORDER BY vm.terminated, vm.created_at DESC, vm.id DESC LIMIT 1"
    );
    let row = db.optional(text, &[(&reference.as_str(), Type::TEXT)]).await?;
    Ok(row.as_ref().map(decode).transpose()?)
}

/// Records in the order of their keys. One that cannot be understood is left out with a warning, so that it does not hide
/// the others.
pub(crate) async fn list(db: &Db<'_>, query: &ListQuery) -> Result<Vec<VmRecord>, Failure<StoreError>> {
    let text = concat!(
        "SELECT ", columns!(), " FROM $schema.vm JOIN $schema.vm_state AS state USING (key)
         WHERE ($1::text IS NULL OR vm.cluster = $1) AND ($2 OR NOT vm.terminated) AND ($3::uuid IS NULL OR vm.key > $3)
         ORDER BY vm.key LIMIT $4"
    );
    let cluster = query.cluster.as_ref().map(ClusterName::as_str);
    let after = query.after.map(|key| key.0);
    let rows = db
        .query(
            text,
            &[
                (&cluster, Type::TEXT),
                (&query.terminated, Type::BOOL),
                (&after, Type::UUID),
                (&limit(query.limit), Type::INT8),
            ],
        )
        .await?;
    let mut records = Vec::with_capacity(rows.len());
    for row in &rows {
        match decode(row) {
            Ok(record) => records.push(record),
            Err(Unreadable(why)) => tracing::warn!("left out of a list: {why}"),
        }
    }
    Ok(records)
}

/// How many machines were ordered in a form newer than this program.
pub(crate) async fn count_newer(db: &Db<'_>) -> Result<i64, tokio_postgres::Error> {
    let text = "SELECT count(*) FROM $schema.vm WHERE spec_version > $1";
    Ok(db.one(text, &[(&FORM, Type::INT4)]).await?.get(0))
}
