//! Traffic.

use super::table;
use crate::config::Job;
use deploy_core::{Traffic, TrafficQuery, VmKey};
use jiff::{ToSpan as _, tz::TimeZone};
use std::collections::BTreeMap;

/// Shows what each machine had this month, in UTC, and in all.
pub(crate) async fn traffic(job: Job) -> anyhow::Result<()> {
    let database = super::open(&job).await?;
    let store = database.store();
    let records = super::records(&*store, &[]).await?;
    let today = database.clock().now().to_zoned(TimeZone::UTC).date();
    let query = TrafficQuery { key: None, from: today.first_of_month(), until: today.checked_add(1.day())? };
    let mut month: BTreeMap<VmKey, Traffic> = BTreeMap::new();
    for day in store.traffic_by_day(&query).await? {
        let sum = month.entry(day.key).or_default();
        *sum = sum.plus(day.traffic);
    }
    let keys: Vec<VmKey> = records.iter().map(|record| record.key).collect();
    let totals = store.traffic_totals(&keys).await?;
    database.close().await;
    let rows = totals.into_iter().filter_map(|total| {
        let record = records.iter().find(|record| record.key == total.key)?;
        let month = month.get(&total.key).copied().unwrap_or_default();
        Some([
            record.external_ref.to_string(),
            gib(month.received),
            gib(month.sent),
            gib(total.total.received),
            gib(total.total.sent),
            table::time(total.since),
        ])
    });
    let head = ["Machine", "Month in", "Month out", "All in", "All out", "Since"];
    table::print(head, rows.collect(), "no machine was counted yet");
    Ok(())
}

#[allow(clippy::cast_precision_loss)] // for people
fn gib(bytes: u64) -> String {
    format!("{:.3} GiB", bytes as f64 / f64::from(1 << 30))
}
