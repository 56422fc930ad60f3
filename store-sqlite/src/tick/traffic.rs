//! Traffic: totals with the last reading, and what each day had.

use crate::{
    SqliteStore,
    column::{Columns, micros},
    failure::{Failure, Unreadable},
    writer::Tx,
};
use async_trait::async_trait;
use deploy_core::{
    CounterReading, MachineReading, StoreError, Traffic, TrafficOfDay, TrafficQuery, TrafficStore,
    TrafficTotal, VmKey,
};
use rusqlite::{Connection, Row, params};

#[async_trait]
impl TrafficStore for SqliteStore {
    async fn count_traffic(&self, readings: &[MachineReading]) -> Result<(), StoreError> {
        let readings = readings.to_vec();
        self.write(move |tx| readings.into_iter().try_for_each(|reading| count(tx, reading))).await
    }

    async fn traffic_totals(&self, keys: &[VmKey]) -> Result<Vec<TrafficTotal>, StoreError> {
        let mut keys = keys.to_vec();
        keys.sort_unstable();
        keys.dedup();
        self.read(move |conn| {
            keys.into_iter().filter_map(|key| total::<StoreError>(conn, key).transpose()).collect()
        })
        .await
    }

    async fn traffic_by_day(&self, query: &TrafficQuery) -> Result<Vec<TrafficOfDay>, StoreError> {
        let query = *query;
        self.read(move |conn| by_day(conn, &query)).await
    }
}

fn count(tx: &Tx<'_>, reading: MachineReading) -> Result<(), Failure<StoreError>> {
    let key = reading.key;
    let Some((kept, added)) = TrafficTotal::with(total(tx.conn, key)?, reading) else { return Ok(()) };
    let TrafficTotal { total, since, last, .. } = kept;
    let text = "INSERT INTO traffic
             (vm, since, at, uptime, last_received, last_sent, total_received, total_sent)
         SELECT key, ?2, ?3, ?4, ?5, ?6, ?7, ?8 FROM vm WHERE key = ?1
         ON CONFLICT (vm) DO UPDATE SET at = ?3, uptime = ?4, last_received = ?5, last_sent = ?6,
             total_received = ?7, total_sent = ?8";
    let written = tx.conn.prepare_cached(text)?.execute(params![
        key.to_string(),
        micros(since),
        micros(last.at),
        number(last.uptime),
        number(last.counted.received),
        number(last.counted.sent),
        number(total.received),
        number(total.sent),
    ])?;
    if written == 1 && added != Traffic::default() {
        let text = "INSERT INTO traffic_day (vm, day, received, sent) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (vm, day) DO UPDATE SET received = received + ?3, sent = sent + ?4";
        tx.conn.prepare_cached(text)?.execute(params![
            key.to_string(),
            last.day().to_string(),
            number(added.received),
            number(added.sent),
        ])?;
    }
    Ok(())
}

fn total<E>(conn: &Connection, key: VmKey) -> Result<Option<TrafficTotal>, Failure<E>> {
    let mut statement = conn.prepare_cached("SELECT * FROM traffic WHERE vm = ?")?;
    let mut rows = statement.query([key.to_string()])?;
    Ok(rows.next()?.map(|row| decode(row, key)).transpose()?)
}

fn decode(row: &Row<'_>, key: VmKey) -> Result<TrafficTotal, Unreadable> {
    let what = format!("the traffic of machine {key}");
    let columns = Columns::new(row, &what);
    let traffic = |received: &str, sent: &str| {
        Ok(Traffic { received: columns.number(received)?, sent: columns.number(sent)? })
    };
    Ok(TrafficTotal {
        key,
        total: traffic("total_received", "total_sent")?,
        since: columns.time("since")?,
        last: CounterReading {
            at: columns.time("at")?,
            uptime: columns.number("uptime")?,
            counted: traffic("last_received", "last_sent")?,
        },
    })
}

fn by_day(conn: &Connection, query: &TrafficQuery) -> Result<Vec<TrafficOfDay>, Failure<StoreError>> {
    let mut statement = conn.prepare_cached(
        "SELECT vm, day, received, sent FROM traffic_day
         WHERE (?1 IS NULL OR vm = ?1) AND day >= ?2 AND day < ?3 ORDER BY vm, day",
    )?;
    let key = query.key.map(|key| key.to_string());
    let mut rows = statement.query(params![key, query.from.to_string(), query.until.to_string()])?;
    let mut days = Vec::new();
    while let Some(row) = rows.next()? {
        let columns = Columns::new(row, "the traffic of a day");
        let traffic = Traffic { received: columns.number("received")?, sent: columns.number("sent")? };
        days.push(TrafficOfDay { key: columns.parsed("vm")?, day: columns.parsed("day")?, traffic });
    }
    Ok(days)
}

/// More than can be kept is not counted in a thousand years.
fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
