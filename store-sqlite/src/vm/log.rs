//! The deploy log.

use crate::{
    column::{Columns, json, limit, micros},
    failure::{Failure, Unreadable},
};
use deploy_core::{LogEntry, LogId, LogLine, StoreError, VmKey};
use rusqlite::{Connection, OptionalExtension, Row, params};

/// Writes a line; one equal to the machine's last is counted there.
///
/// Events are compared as the JSON they are kept in: equal events have equal JSON, because both were written by the same
/// code.
pub(crate) fn append<E>(conn: &Connection, key: &str, line: &LogLine) -> Result<(), Failure<E>> {
    let event = json(&line.event)?;
    let (operation, step) = (line.operation.as_str(), line.step.as_str());
    let last: Option<(i64, bool)> = conn
        .prepare_cached(
            "SELECT id, operation = ? AND step = ? AND event = ? FROM deploy_log WHERE vm = ? ORDER BY id DESC LIMIT 1",
        )?
        .query_row(params![operation, step, event, key], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if let Some((id, true)) = last {
        conn.prepare_cached(
            "UPDATE deploy_log SET times = min(times + 1, 4294967295), last_at = ? WHERE id = ?",
        )?
        .execute(params![micros(line.at), id])?;
    } else {
        conn.prepare_cached(
            "INSERT INTO deploy_log (vm, at, operation, step, event, last_at) VALUES (?1, ?2, ?3, ?4, ?5, ?2)",
        )?
        .execute(params![key, micros(line.at), operation, step, event])?;
    }
    Ok(())
}

/// A machine's log.
pub(crate) fn entries_of(
    conn: &Connection,
    key: VmKey,
    after: LogId,
    at_most: usize,
) -> Result<Vec<LogEntry>, Failure<StoreError>> {
    let mut statement =
        conn.prepare_cached("SELECT * FROM deploy_log WHERE vm = ? AND id > ? ORDER BY id LIMIT ?")?;
    read(statement.query(params![key.to_string(), after.0, limit(at_most)])?)
}

/// Every machine's log.
pub(crate) fn entries(
    conn: &Connection,
    after: LogId,
    at_most: usize,
) -> Result<Vec<LogEntry>, Failure<StoreError>> {
    let mut statement = conn.prepare_cached("SELECT * FROM deploy_log WHERE id > ? ORDER BY id LIMIT ?")?;
    read(statement.query(params![after.0, limit(at_most)])?)
}

fn read(mut rows: rusqlite::Rows<'_>) -> Result<Vec<LogEntry>, Failure<StoreError>> {
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        entries.push(decode(row)?);
    }
    Ok(entries)
}

fn decode(row: &Row<'_>) -> Result<LogEntry, Unreadable> {
    let id: i64 = Columns::new(row, "a log entry").raw("id")?;
    let what = format!("log entry {id}");
    let columns = Columns::new(row, &what);
    Ok(LogEntry {
        id: LogId(id),
        key: columns.parsed("vm")?,
        line: LogLine {
            at: columns.time("at")?,
            operation: columns.parsed("operation")?,
            step: columns.parsed("step")?,
            event: columns.json("event")?,
        },
        times: columns.number("times")?,
        last_at: columns.time("last_at")?,
    })
}
