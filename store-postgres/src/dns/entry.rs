//! What is known of each record.

use super::claim;
use crate::{
    column::{Columns, kept},
    db::Db,
    failure::{Failure, Unreadable},
};
use deploy_core::{
    DnsChange, DnsClaim, DnsData, DnsEntry, DnsKind, DnsRecord, DnsState, DnsWriteError, VmKey,
};
use tokio_postgres::{Row, types::Type};
use uuid::Uuid;

/// A machine's entries, in the order of their records.
pub(super) async fn entries<E>(db: &Db<'_>, key: VmKey) -> Result<Vec<DnsEntry>, Failure<E>> {
    let rows = db.query("SELECT * FROM $schema.dns_entry WHERE vm = $1", &[(&key.0, Type::UUID)]).await?;
    let mut entries = rows.iter().map(decode).collect::<Result<Vec<_>, _>>()?;
    // The database sorts by other rules.
    entries.sort_unstable_by(|one, other| one.record.cmp(&other.record));
    Ok(entries)
}

fn decode(row: &Row) -> Result<DnsEntry, Unreadable> {
    let key: Uuid = Columns::new(row, "a DNS record").raw("vm")?;
    let what = format!("a DNS record of machine {key}");
    let columns = Columns::new(row, &what);
    let kind: DnsKind = columns.parsed("kind")?;
    let data: &str = columns.raw("data")?;
    Ok(DnsEntry {
        record: DnsRecord {
            provider: columns.parsed("provider")?,
            zone: columns.parsed("zone")?,
            name: columns.parsed("name")?,
            data: DnsData::parse(kind, data).map_err(|error| Unreadable(format!("{what}: {error}")))?,
        },
        ttl: columns.number::<i64, u32>("ttl")?,
        state: columns.parsed::<DnsState>("state")?,
        failures: columns.number::<i64, u32>("failures")?,
        last_error: columns.raw("last_error")?,
        next_try: columns.raw("next_try")?,
        in_doubt: columns.raw("in_doubt")?,
    })
}

/// Changes a claimed machine's entries.
pub(super) async fn write(
    db: &Db<'_>,
    claim: &DnsClaim,
    changes: &[DnsChange],
) -> Result<(), Failure<DnsWriteError>> {
    claim::fence(db, claim, DnsWriteError::Fenced).await?;
    lock_names(db, changes).await?;
    for change in changes {
        match change {
            DnsChange::Put(entry) => put(db, claim.key, entry).await?,
            DnsChange::Forget(record) => forget(db, claim.key, record).await?,
        }
    }
    Ok(())
}

/// Until the end of the transaction no other one takes one of these names: what it looks for afterwards it would not see while
/// the other is under way. Always in the same order, so that no two wait for each other.
async fn lock_names(db: &Db<'_>, changes: &[DnsChange]) -> Result<(), Failure<DnsWriteError>> {
    let taken = changes.iter().filter_map(|change| match change {
        DnsChange::Put(entry) => {
            let DnsRecord { provider, zone, name, .. } = &entry.record;
            entry.may_stand().then(|| format!("{provider} {zone} {name}"))
        }
        DnsChange::Forget(_) => None,
    });
    let names: Vec<String> = taken.collect();
    if names.is_empty() {
        return Ok(());
    }
    let text = "SELECT pg_advisory_xact_lock(number) FROM (
             SELECT DISTINCT hashtextextended('pve-deploy dns ' || $channel || name, 0) AS number
             FROM unnest($1) AS names (name) ORDER BY number
         ) AS sorted";
    db.query(text, &[(&names, Type::TEXT_ARRAY)]).await?;
    Ok(())
}

async fn put(db: &Db<'_>, key: VmKey, entry: &DnsEntry) -> Result<(), Failure<DnsWriteError>> {
    let DnsRecord { provider, zone, name, data } = &entry.record;
    if entry.may_stand()
        && let Some(by) = holder(db, key, &entry.record).await?
    {
        let (name, provider) = (name.clone(), provider.clone());
        return Err(Failure::Refused(DnsWriteError::Held { name, provider, by }));
    }
    let text = "INSERT INTO $schema.dns_entry
             (vm, provider, zone, name, kind, data, ttl, state, failures, last_error, next_try, in_doubt)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
         ON CONFLICT (vm, provider, zone, name, kind, data) DO UPDATE SET ttl = excluded.ttl,
             state = excluded.state, failures = excluded.failures, last_error = excluded.last_error,
             next_try = excluded.next_try, in_doubt = excluded.in_doubt";
    // What a server says may have the character NUL, which PostgreSQL cannot keep.
    let last_error = entry.last_error.as_ref().map(|error| error.replace('\0', "\u{fffd}"));
    let (next_try, in_doubt) = (entry.next_try.map(kept), entry.in_doubt.map(kept));
    let params = [
        (&key.0 as _, Type::UUID),
        (&provider.as_str() as _, Type::TEXT),
        (&zone.as_str() as _, Type::TEXT),
        (&name.as_str() as _, Type::TEXT),
        (&data.kind().as_str() as _, Type::TEXT),
        (&data.to_string() as _, Type::TEXT),
        (&i64::from(entry.ttl) as _, Type::INT8),
        (&entry.state.as_str() as _, Type::TEXT),
        (&i64::from(entry.failures) as _, Type::INT8),
        (&last_error as _, Type::TEXT),
        (&next_try as _, Type::TIMESTAMPTZ),
        (&in_doubt as _, Type::TIMESTAMPTZ),
    ];
    db.execute(text, &params).await?;
    Ok(())
}

async fn forget(db: &Db<'_>, key: VmKey, record: &DnsRecord) -> Result<(), Failure<DnsWriteError>> {
    let DnsRecord { provider, zone, name, data } = record;
    let text = "DELETE FROM $schema.dns_entry
         WHERE vm = $1 AND provider = $2 AND zone = $3 AND name = $4 AND kind = $5 AND data = $6";
    let params = [
        (&key.0 as _, Type::UUID),
        (&provider.as_str() as _, Type::TEXT),
        (&zone.as_str() as _, Type::TEXT),
        (&name.as_str() as _, Type::TEXT),
        (&data.kind().as_str() as _, Type::TEXT),
        (&data.to_string() as _, Type::TEXT),
    ];
    db.execute(text, &params).await?;
    Ok(())
}

/// The other machine that has records at this name, or may have: see [`DnsEntry::may_stand`].
pub(super) async fn holder<E>(
    db: &Db<'_>,
    key: VmKey,
    record: &DnsRecord,
) -> Result<Option<VmKey>, Failure<E>> {
    let DnsRecord { provider, zone, name, .. } = record;
    let text = "SELECT vm FROM $schema.dns_entry WHERE provider = $1 AND zone = $2 AND name = $3 AND vm <> $4
             AND (state IN ('publishing', 'published', 'withdrawing') OR in_doubt IS NOT NULL) LIMIT 1";
    let params = [
        (&provider.as_str() as _, Type::TEXT),
        (&zone.as_str() as _, Type::TEXT),
        (&name.as_str() as _, Type::TEXT),
        (&key.0 as _, Type::UUID),
    ];
    let row = db.optional(text, &params).await?;
    Ok(row.map(|row| row.try_get::<_, Uuid>(0)).transpose()?.map(VmKey))
}
