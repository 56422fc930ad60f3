//! Traffic: totals with the last reading, and what each day had.

use crate::{
    PostgresStore,
    column::{Columns, Micros},
    db::Db,
    failure::{Failure, Unreadable},
};
use async_trait::async_trait;
use deploy_core::{
    CounterReading, MachineReading, StoreError, Traffic, TrafficOfDay, TrafficQuery, TrafficStore,
    TrafficTotal, VmKey,
};
use jiff::civil::Date;
use std::collections::BTreeMap;
use tokio_postgres::{Row, types::Type};
use uuid::Uuid;

#[async_trait]
impl TrafficStore for PostgresStore {
    async fn count_traffic(&self, readings: &[MachineReading]) -> Result<(), StoreError> {
        self.write(readings.to_vec(), |db, readings| Box::pin(count(db, readings))).await
    }

    async fn traffic_totals(&self, keys: &[VmKey]) -> Result<Vec<TrafficTotal>, StoreError> {
        self.read(keys.to_vec(), |db, keys| {
            Box::pin(async { Ok(totals(db, keys).await?.into_values().collect()) })
        })
        .await
    }

    async fn traffic_by_day(&self, query: &TrafficQuery) -> Result<Vec<TrafficOfDay>, StoreError> {
        self.read(*query, |db, query| Box::pin(by_day(db, query))).await
    }
}

/// One at a time, whoever counts: a machine without a row has none to lock.
async fn count(db: &Db<'_>, readings: &[MachineReading]) -> Result<(), Failure<StoreError>> {
    db.query("SELECT pg_advisory_xact_lock(hashtextextended('pve-deploy traffic ' || $channel, 0))", &[])
        .await?;
    let keys: Vec<VmKey> = readings.iter().map(|reading| reading.key).collect();
    let mut kept = totals(db, &keys).await?;
    let mut changed: BTreeMap<VmKey, TrafficTotal> = BTreeMap::new();
    let mut days: BTreeMap<(VmKey, Date), Traffic> = BTreeMap::new();
    for reading in readings {
        let before = kept.get(&reading.key).copied();
        let Some((total, added)) = TrafficTotal::with(before, *reading) else { continue };
        kept.insert(reading.key, total);
        changed.insert(reading.key, total);
        if added != Traffic::default() {
            let day = days.entry((reading.key, reading.reading.day())).or_default();
            *day = day.plus(added);
        }
    }
    put_totals(db, &changed).await?;
    add_to_days(db, &days).await
}

async fn put_totals(db: &Db<'_>, totals: &BTreeMap<VmKey, TrafficTotal>) -> Result<(), Failure<StoreError>> {
    let of =
        |value: fn(&TrafficTotal) -> u64| -> Vec<i64> { totals.values().map(|t| number(value(t))).collect() };
    let keys: Vec<Uuid> = totals.keys().map(|key| key.0).collect();
    let since: Vec<Micros> = totals.values().map(|total| Micros::of(total.since)).collect();
    let at: Vec<Micros> = totals.values().map(|total| Micros::of(total.last.at)).collect();
    let text = "INSERT INTO $schema.traffic
             (vm, since, at, uptime, last_received, last_sent, total_received, total_sent)
         SELECT one.* FROM unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[], $4::bigint[], $5::bigint[], $6::bigint[],
             $7::bigint[], $8::bigint[]) AS one (vm, since, at, uptime, last_received, last_sent, total_received, total_sent)
         WHERE EXISTS (SELECT 1 FROM $schema.vm WHERE key = one.vm)
         ON CONFLICT (vm) DO UPDATE SET at = excluded.at, uptime = excluded.uptime,
             last_received = excluded.last_received, last_sent = excluded.last_sent,
             total_received = excluded.total_received, total_sent = excluded.total_sent";
    db.execute(
        text,
        &[
            (&keys, Type::UUID_ARRAY),
            (&since, Type::TIMESTAMPTZ_ARRAY),
            (&at, Type::TIMESTAMPTZ_ARRAY),
            (&of(|total| total.last.uptime), Type::INT8_ARRAY),
            (&of(|total| total.last.counted.received), Type::INT8_ARRAY),
            (&of(|total| total.last.counted.sent), Type::INT8_ARRAY),
            (&of(|total| total.total.received), Type::INT8_ARRAY),
            (&of(|total| total.total.sent), Type::INT8_ARRAY),
        ],
    )
    .await?;
    Ok(())
}

async fn add_to_days(
    db: &Db<'_>,
    days: &BTreeMap<(VmKey, Date), Traffic>,
) -> Result<(), Failure<StoreError>> {
    let keys: Vec<Uuid> = days.keys().map(|(key, _)| key.0).collect();
    let dates: Vec<String> = days.keys().map(|(_, day)| day.to_string()).collect();
    let received: Vec<i64> = days.values().map(|traffic| number(traffic.received)).collect();
    let sent: Vec<i64> = days.values().map(|traffic| number(traffic.sent)).collect();
    let text = "INSERT INTO $schema.traffic_day AS kept (vm, day, received, sent)
         SELECT one.vm, one.day::date, one.received, one.sent
         FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[]) AS one (vm, day, received, sent)
         WHERE EXISTS (SELECT 1 FROM $schema.vm WHERE key = one.vm)
         ON CONFLICT (vm, day) DO UPDATE SET received = kept.received + excluded.received,
             sent = kept.sent + excluded.sent";
    db.execute(
        text,
        &[
            (&keys, Type::UUID_ARRAY),
            (&dates, Type::TEXT_ARRAY),
            (&received, Type::INT8_ARRAY),
            (&sent, Type::INT8_ARRAY),
        ],
    )
    .await?;
    Ok(())
}

async fn totals<E>(db: &Db<'_>, keys: &[VmKey]) -> Result<BTreeMap<VmKey, TrafficTotal>, Failure<E>> {
    let keys: Vec<Uuid> = keys.iter().map(|key| key.0).collect();
    let rows =
        db.query("SELECT * FROM $schema.traffic WHERE vm = ANY($1)", &[(&keys, Type::UUID_ARRAY)]).await?;
    let mut totals = BTreeMap::new();
    for row in &rows {
        let total = decode(row)?;
        totals.insert(total.key, total);
    }
    Ok(totals)
}

fn decode(row: &Row) -> Result<TrafficTotal, Unreadable> {
    let key = VmKey(Columns::new(row, "the traffic of a machine").raw::<Uuid>("vm")?);
    let what = format!("the traffic of machine {key}");
    let columns = Columns::new(row, &what);
    let bytes = |column: &str| columns.number::<i64, u64>(column);
    let traffic = |received, sent| Ok(Traffic { received: bytes(received)?, sent: bytes(sent)? });
    Ok(TrafficTotal {
        key,
        total: traffic("total_received", "total_sent")?,
        since: columns.raw("since")?,
        last: CounterReading {
            at: columns.raw("at")?,
            uptime: bytes("uptime")?,
            counted: traffic("last_received", "last_sent")?,
        },
    })
}

async fn by_day(db: &Db<'_>, query: &TrafficQuery) -> Result<Vec<TrafficOfDay>, Failure<StoreError>> {
    let text = "SELECT vm, day::text AS day, received, sent FROM $schema.traffic_day
         WHERE ($1::uuid IS NULL OR vm = $1) AND day >= $2::text::date AND day < $3::text::date ORDER BY vm, day";
    let key = query.key.map(|key| key.0);
    let (from, until) = (query.from.to_string(), query.until.to_string());
    let rows = db.query(text, &[(&key, Type::UUID), (&from, Type::TEXT), (&until, Type::TEXT)]).await?;
    let decode = |row: &Row| {
        let columns = Columns::new(row, "the traffic of a day");
        let bytes = |column: &str| columns.number::<i64, u64>(column);
        let traffic = Traffic { received: bytes("received")?, sent: bytes("sent")? };
        Ok(TrafficOfDay { key: VmKey(columns.raw::<Uuid>("vm")?), day: columns.parsed("day")?, traffic })
    };
    Ok(rows.iter().map(decode).collect::<Result<_, Unreadable>>()?)
}

/// More than can be kept is not counted in a thousand years.
fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
