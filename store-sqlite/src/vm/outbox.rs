//! Notices that wait to be delivered.

use crate::{
    column::{Columns, json, micros},
    failure::{Failure, Unreadable},
    writer::Tx,
};
use deploy_core::{EmailAddress, Notice, NoticeId, QueuedNotice, StoreError, VmKey, WorkerId};
use rusqlite::{Row, params};

/// Queues a notice.
pub(crate) fn queue<E>(tx: &Tx<'_>, key: VmKey, notice: &Notice) -> Result<(), Failure<E>> {
    tx.conn.prepare_cached("INSERT INTO outbox (vm, at, notice) VALUES (?, ?, ?)")?.execute(params![
        key.to_string(),
        micros(tx.now),
        json(notice)?
    ])?;
    Ok(())
}

/// Gives what waits into the hands of a worker, oldest first. What another worker that lives has, and what follows it for the
/// same machine, is left to that one.
///
/// A notice that this program does not understand is left with a warning, for a newer one to deliver.
pub(crate) fn take(
    tx: &Tx<'_>,
    worker: WorkerId,
    at_most: usize,
) -> Result<Vec<QueuedNotice>, Failure<StoreError>> {
    let mut statement = tx.conn.prepare_cached(
        "SELECT mine.id, mine.vm, mine.at, mine.notice, vm.external_ref, json_extract(vm.spec, '$.contact') AS contact,
             mine.worker IS NOT ?1 AS is_new
         FROM outbox AS mine JOIN vm ON vm.key = mine.vm WHERE NOT EXISTS (
             SELECT 1 FROM outbox AS other JOIN worker ON worker.id = other.worker
             WHERE other.vm = mine.vm AND other.id <= mine.id AND worker.id <> ?1 AND worker.lease_until > ?2
         )
         ORDER BY mine.id",
    )?;
    let worker = worker.to_string();
    let mut rows = statement.query(params![worker, micros(tx.now)])?;
    let mut take = tx.conn.prepare_cached("UPDATE outbox SET worker = ? WHERE id = ?")?;
    let mut notices = Vec::new();
    while notices.len() < at_most
        && let Some(row) = rows.next()?
    {
        match decode(row) {
            Ok(notice) => {
                // An idle outbox costs no write.
                if row.get("is_new")? {
                    take.execute(params![worker, notice.id.0])?;
                }
                notices.push(notice);
            }
            Err(Unreadable(why)) => tracing::warn!("left in the outbox: {why}"),
        }
    }
    Ok(notices)
}

fn decode(row: &Row<'_>) -> Result<QueuedNotice, Unreadable> {
    let id: i64 = Columns::new(row, "a notice").raw("id")?;
    let what = format!("notice {id}");
    let columns = Columns::new(row, &what);
    Ok(QueuedNotice {
        id: NoticeId(id),
        key: columns.parsed("vm")?,
        external_ref: columns.parsed("external_ref")?,
        contact: columns.parsed_if_any::<EmailAddress>("contact")?,
        at: columns.time("at")?,
        notice: columns.json("notice")?,
    })
}

/// Takes a notice out.
pub(crate) fn delivered(tx: &Tx<'_>, id: NoticeId) -> Result<(), Failure<StoreError>> {
    tx.conn.prepare_cached("DELETE FROM outbox WHERE id = ?")?.execute([id.0])?;
    Ok(())
}
