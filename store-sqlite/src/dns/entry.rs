//! What is known of each record.

use super::claim;
use crate::{
    column::{Columns, micros, timestamp},
    failure::{Failure, Unreadable},
    writer::Tx,
};
use deploy_core::{
    DnsChange, DnsClaim, DnsData, DnsEntry, DnsKind, DnsRecord, DnsState, DnsWriteError, VmKey,
};
use rusqlite::{Connection, OptionalExtension, Row, params};

/// Whether a row's record [may stand](DnsEntry::may_stand).
const MAY_STAND: &str = "(state IN ('publishing', 'published', 'withdrawing') OR in_doubt IS NOT NULL)";

/// A machine's entries, in the order of their records.
pub(super) fn entries<E>(conn: &Connection, key: VmKey) -> Result<Vec<DnsEntry>, Failure<E>> {
    let mut statement = conn.prepare_cached("SELECT * FROM dns_entry WHERE vm = ?")?;
    let mut rows = statement.query([key.to_string()])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        entries.push(decode(row)?);
    }
    // The database sorts by other rules.
    entries.sort_unstable_by(|one, other| one.record.cmp(&other.record));
    Ok(entries)
}

fn decode(row: &Row<'_>) -> Result<DnsEntry, Unreadable> {
    let key: String = Columns::new(row, "a DNS record").raw("vm")?;
    let what = format!("a DNS record of machine {key}");
    let columns = Columns::new(row, &what);
    let kind: DnsKind = columns.parsed("kind")?;
    let data: String = columns.raw("data")?;
    Ok(DnsEntry {
        record: DnsRecord {
            provider: columns.parsed("provider")?,
            zone: columns.parsed("zone")?,
            name: columns.parsed("name")?,
            data: DnsData::parse(kind, &data).map_err(|error| Unreadable(format!("{what}: {error}")))?,
        },
        ttl: columns.number("ttl")?,
        state: columns.parsed::<DnsState>("state")?,
        failures: columns.number("failures")?,
        last_error: columns.raw("last_error")?,
        next_try: columns.raw::<Option<i64>>("next_try")?.map(timestamp),
        in_doubt: columns.raw::<Option<i64>>("in_doubt")?.map(timestamp),
    })
}

/// Changes a claimed machine's entries.
pub(super) fn write(
    tx: &Tx<'_>,
    claim: &DnsClaim,
    changes: &[DnsChange],
) -> Result<(), Failure<DnsWriteError>> {
    claim::fence(tx.conn, claim, DnsWriteError::Fenced)?;
    for change in changes {
        match change {
            DnsChange::Put(entry) => put(tx.conn, claim.key, entry)?,
            DnsChange::Forget(record) => forget(tx.conn, claim.key, record)?,
        }
    }
    Ok(())
}

fn put(conn: &Connection, key: VmKey, entry: &DnsEntry) -> Result<(), Failure<DnsWriteError>> {
    let DnsRecord { provider, zone, name, data } = &entry.record;
    if entry.may_stand()
        && let Some(by) = holder(conn, key, &entry.record)?
    {
        let (name, provider) = (name.clone(), provider.clone());
        return Err(Failure::Refused(DnsWriteError::Held { name, provider, by }));
    }
    conn.prepare_cached(
        "INSERT INTO dns_entry (vm, provider, zone, name, kind, data, ttl, state, failures, last_error, next_try, in_doubt)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET ttl = excluded.ttl, state = excluded.state, failures = excluded.failures,
             last_error = excluded.last_error, next_try = excluded.next_try, in_doubt = excluded.in_doubt",
    )?
    .execute(params![
        key.to_string(),
        provider.as_str(),
        zone.as_str(),
        name.as_str(),
        data.kind().as_str(),
        data.to_string(),
        entry.ttl,
        entry.state.as_str(),
        entry.failures,
        entry.last_error,
        entry.next_try.map(micros),
        entry.in_doubt.map(micros),
    ])?;
    Ok(())
}

fn forget(conn: &Connection, key: VmKey, record: &DnsRecord) -> rusqlite::Result<()> {
    let DnsRecord { provider, zone, name, data } = record;
    conn.prepare_cached(
        "DELETE FROM dns_entry WHERE vm = ? AND provider = ? AND zone = ? AND name = ? AND kind = ? AND data = ?",
    )?
    .execute(params![
        key.to_string(),
        provider.as_str(),
        zone.as_str(),
        name.as_str(),
        data.kind().as_str(),
        data.to_string(),
    ])?;
    Ok(())
}

/// The other machine that has records at this name, or may have.
pub(super) fn holder<E>(
    conn: &Connection,
    key: VmKey,
    record: &DnsRecord,
) -> Result<Option<VmKey>, Failure<E>> {
    let DnsRecord { provider, zone, name, .. } = record;
    let text = format!(
        "SELECT vm FROM dns_entry WHERE provider = ? AND zone = ? AND name = ? AND vm <> ? AND {MAY_STAND} LIMIT 1"
    );
    let mut statement = conn.prepare_cached(&text)?;
    let other: Option<String> = statement
        .query_row(params![provider.as_str(), zone.as_str(), name.as_str(), key.to_string()], |row| {
            row.get(0)
        })
        .optional()?;
    let parsed = other.map(|other| other.parse().map_err(|error| Unreadable(format!("{other}: {error}"))));
    Ok(parsed.transpose()?)
}
