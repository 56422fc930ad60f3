//! Clusters and orders.

use super::{log, number, row};
use crate::{
    column::{Columns, duration_micros, micros, timestamp},
    failure::{Failure, Unreadable},
    writer::Tx,
};
use deploy_core::{
    ClusterName, ClusterSettings, CreateError, Created, LogEvent, LogLine, NewRecord, StoreError, Vmid,
    VmidRange,
};
use jiff::SignedDuration;
use rusqlite::{Connection, OptionalExtension, Row, params};

/// Writes down a cluster's settings. Where numbers are given next stays as it is.
pub(crate) fn put_cluster(tx: &Tx<'_>, settings: &ClusterSettings) -> Result<(), Failure<StoreError>> {
    let mut statement = tx.conn.prepare_cached(
        "INSERT INTO cluster (name, first_vmid, last_vmid, quarantine, next_vmid) VALUES (?1, ?2, ?3, ?4, ?2)
         ON CONFLICT (name) DO UPDATE SET first_vmid = ?2, last_vmid = ?3, quarantine = ?4",
    )?;
    statement.execute(params![
        settings.name.as_str(),
        settings.vmids.first().get(),
        settings.vmids.last().get(),
        duration_micros(settings.quarantine),
    ])?;
    Ok(())
}

/// All clusters by name.
pub(crate) fn clusters(conn: &Connection) -> Result<Vec<ClusterSettings>, Failure<StoreError>> {
    let mut statement = conn.prepare_cached("SELECT * FROM cluster ORDER BY name")?;
    let mut rows = statement.query([])?;
    let mut clusters = Vec::new();
    while let Some(row) = rows.next()? {
        clusters.push(decode(row)?.settings);
    }
    Ok(clusters)
}

/// A cluster as it is kept.
pub(crate) struct Cluster {
    pub(crate) settings: ClusterSettings,
    /// Where the search for the next number begins; may lie outside of a range that was changed.
    pub(crate) next: u32,
}

/// The cluster of this name.
pub(crate) fn cluster<E>(conn: &Connection, name: &ClusterName) -> Result<Option<Cluster>, Failure<E>> {
    let mut statement = conn.prepare_cached("SELECT * FROM cluster WHERE name = ?")?;
    let mut rows = statement.query([name.as_str()])?;
    Ok(rows.next()?.map(decode).transpose()?)
}

fn decode(row: &Row<'_>) -> Result<Cluster, Unreadable> {
    let name: String = Columns::new(row, "a cluster").raw("name")?;
    let what = format!("cluster {name}");
    let columns = Columns::new(row, &what);
    let invalid = |error: deploy_core::Invalid| Unreadable(format!("{what}: {error}"));
    let vmid = |column: &str| Vmid::try_from(columns.number::<u32>(column)?).map_err(invalid);
    let settings = ClusterSettings {
        name: columns.parsed("name")?,
        vmids: VmidRange::new(vmid("first_vmid")?, vmid("last_vmid")?).map_err(invalid)?,
        quarantine: SignedDuration::from_micros(columns.raw("quarantine")?),
    };
    Ok(Cluster { settings, next: columns.number("next_vmid")? })
}

/// Writes down an order, if its reference is not taken.
pub(crate) fn create(tx: &Tx<'_>, order: &NewRecord) -> Result<Created, Failure<CreateError>> {
    if let Some(existing) = row::living(tx.conn, &order.external_ref)? {
        return Ok(Created::Existing(existing));
    }
    let name = &order.spec.cluster;
    let cluster =
        cluster(tx.conn, name)?.ok_or_else(|| Failure::Refused(CreateError::UnknownCluster(name.clone())))?;
    let range = cluster.settings.vmids;
    let vmid = match &order.adopts {
        None => number::next(tx, &cluster)?
            .ok_or_else(|| Failure::Refused(CreateError::NoNumber { cluster: name.clone(), range }))?,
        Some(adopts) => {
            number::free_for_adoption(tx, name, adopts.vmid)?;
            adopts.vmid
        }
    };
    // As it is kept, so that the answer is what a later look at the record shows.
    let order = &NewRecord { created_at: timestamp(micros(order.created_at)), ..order.clone() };
    let record = order.numbered(vmid).map_err(|invalid| Failure::Refused(CreateError::Invalid(invalid)))?;
    must_be_new(tx, order)?;
    row::insert(tx.conn, &record)?;
    number::reserve(tx, name, vmid, order.key, None)?;
    let line = LogLine {
        at: record.created_at,
        operation: record.operation,
        step: record.step,
        event: LogEvent::Ordered,
    };
    log::append(tx.conn, &record.key.to_string(), &line)?;
    Ok(Created::New(record))
}

/// Keys are random; one that is there already means that the source of randomness repeats itself.
fn must_be_new(tx: &Tx<'_>, order: &NewRecord) -> Result<(), Failure<CreateError>> {
    let taken: Option<String> = tx
        .conn
        .prepare_cached("SELECT external_ref FROM vm WHERE key = ?")?
        .query_row([order.key.to_string()], |row| row.get(0))
        .optional()?;
    match taken {
        None => Ok(()),
        Some(reference) => Err(Failure::Refused(CreateError::Store(StoreError::not_written(format!(
            "the key {} is that of another order already (reference {reference:?})",
            order.key
        ))))),
    }
}
