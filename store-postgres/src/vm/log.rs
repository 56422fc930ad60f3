//! Reading the deploy log; commits and orders write it.

use crate::{
    column::{Columns, limit},
    db::Db,
    failure::{Failure, Unreadable},
};
use deploy_core::{LogEntry, LogId, LogLine, StoreError, VmKey};
use tokio_postgres::{Row, types::Type};
use uuid::Uuid;

/// A machine's log. Its lines are written one after the other, so that no lower number can still come.
pub(crate) async fn entries_of(
    db: &Db<'_>,
    key: VmKey,
    after: LogId,
    at_most: usize,
) -> Result<Vec<LogEntry>, Failure<StoreError>> {
    let text = "SELECT * FROM $schema.deploy_log WHERE vm = $1 AND id > $2 ORDER BY id LIMIT $3";
    let rows = db
        .query(text, &[(&key.0, Type::UUID), (&after.0, Type::INT8), (&limit(at_most), Type::INT8)])
        .await?;
    Ok(rows.iter().map(decode).collect::<Result<_, _>>()?)
}

/// Every machine's log, as far as no lower number can still come: whoever reads on from the last entry misses nothing.
pub(crate) async fn entries(
    db: &Db<'_>,
    after: LogId,
    at_most: usize,
) -> Result<Vec<LogEntry>, Failure<StoreError>> {
    let complete = complete(db).await?;
    // Another statement, so that it sees all that was committed when the writers were looked at.
    let text = "SELECT * FROM $schema.deploy_log WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3";
    let rows = db
        .query(text, &[(&after.0, Type::INT8), (&complete, Type::INT8), (&limit(at_most), Type::INT8)])
        .await?;
    Ok(rows.iter().map(decode).collect::<Result<_, _>>()?)
}

/// Up to which number all lines are there, or never come: below what every transaction that is writing lines began at
/// (`note_log_writer`), and not above the last number drawn, which is read first.
async fn complete(db: &Db<'_>) -> Result<i64, Failure<StoreError>> {
    let text = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END, pg_is_in_recovery() FROM $schema.deploy_log_id_seq";
    let row = db.one(text, &[]).await?;
    if row.try_get(1)? {
        // It has its primary's lines and not its locks: some would be passed over, and nobody would notice.
        let why =
            "a standby cannot say which events are complete: have the pool of reads connect to the primary";
        return Err(Failure::Refused(StoreError::not_written(why)));
    }
    let tip: i64 = row.try_get(0)?;
    let text = "SELECT objid::bigint FROM pg_locks
         WHERE locktype = 'advisory' AND objsubid = 2
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
             AND classid::bigint = '$schema.deploy_log'::regclass::oid::bigint & 2147483647";
    let writers = db.query(text, &[]).await?;
    let lows =
        writers.iter().map(|row| row.try_get(0)).collect::<Result<Vec<i64>, tokio_postgres::Error>>()?;
    Ok(lows.into_iter().map(|low| began(tip, low)).fold(tip, i64::min))
}

/// Above which number the lines of a writer are, not above `tip`. Its lock has room for the lower 31 bits, `low`, of what was the
/// last number drawn when it began. That is below `tip`, or above it where it began after `tip` was read; no transaction
/// lasts for a thousand million lines, so that the nearer of the two is meant.
fn began(tip: i64, low: i64) -> i64 {
    let behind = (tip - low) & 0x7fff_ffff;
    if behind < 1 << 30 { tip - behind } else { tip }
}

fn decode(row: &Row) -> Result<LogEntry, Unreadable> {
    let id: i64 = Columns::new(row, "a log entry").raw("id")?;
    let what = format!("log entry {id}");
    let columns = Columns::new(row, &what);
    Ok(LogEntry {
        id: LogId(id),
        key: VmKey(columns.raw::<Uuid>("vm")?),
        line: LogLine {
            at: columns.raw("at")?,
            operation: columns.parsed("operation")?,
            step: columns.parsed("step")?,
            event: columns.json("event")?,
        },
        times: columns.number::<i64, u32>("times")?,
        last_at: columns.raw("last_at")?,
    })
}

#[cfg(test)]
mod tests {
    use super::began;

    /// The lower 31 bits, as the database's function takes them.
    fn low(number: i64) -> i64 {
        number & 0x7fff_ffff
    }

    #[test]
    fn a_writer_that_began_before_the_tip_holds_back_what_follows_it() {
        for tip in [10, (1 << 31) - 1, 1 << 31, (1 << 31) + 3, (1 << 40) + 5] {
            for began_at in [tip, tip - 1, tip - 10] {
                assert_eq!(began(tip, low(began_at)), began_at, "at {tip}");
            }
        }
        assert_eq!(began((1 << 31) + 1_000, low((1 << 31) - 1_000)), (1 << 31) - 1_000);
    }

    /// Its lines are above the tip: what is up to there is complete.
    #[test]
    fn a_writer_that_began_after_the_tip_holds_back_nothing() {
        for tip in [0, 10, (1 << 31) - 1, 1 << 31, (1 << 40) + 5] {
            for after in [1, 64, 1_000_000] {
                assert_eq!(began(tip, low(tip + after)), tip, "{after} after {tip}");
            }
        }
    }
}
