//! Notices that wait to be delivered.

use crate::{
    column::{Columns, json, micros},
    failure::{Failure, Unreadable},
    writer::Tx,
};
use deploy_core::{EmailAddress, Notice, NoticeId, QueuedNotice, StoreError, VmKey};
use rusqlite::{Connection, Row, params};

/// Queues a notice.
pub(crate) fn queue<E>(tx: &Tx<'_>, key: VmKey, notice: &Notice) -> Result<(), Failure<E>> {
    tx.conn.prepare_cached("INSERT INTO outbox (vm, at, notice) VALUES (?, ?, ?)")?.execute(params![
        key.to_string(),
        micros(tx.now),
        json(notice)?
    ])?;
    Ok(())
}

/// What waits, oldest first. A notice that this program does not understand is left out with a warning, for a newer one to
/// deliver.
pub(crate) fn waiting(conn: &Connection, at_most: usize) -> Result<Vec<QueuedNotice>, Failure<StoreError>> {
    let mut statement = conn.prepare_cached(
        "SELECT outbox.id, outbox.vm, outbox.at, outbox.notice, vm.external_ref,
             json_extract(vm.spec, '$.contact') AS contact
         FROM outbox JOIN vm ON vm.key = outbox.vm ORDER BY outbox.id",
    )?;
    let mut rows = statement.query([])?;
    let mut notices = Vec::new();
    while notices.len() < at_most
        && let Some(row) = rows.next()?
    {
        match decode(row) {
            Ok(notice) => notices.push(notice),
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
