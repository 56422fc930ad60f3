//! Notices that wait to be delivered; commits queue them.

use crate::{
    column::{Columns, limit},
    db::Db,
    failure::{Failure, Unreadable},
    passed_over::PassedOver,
};
use deploy_core::{EmailAddress, NoticeId, QueuedNotice, StoreError, VmKey, WorkerId};
use tokio_postgres::{Row, types::Type};
use uuid::Uuid;

/// Gives what waits into the hands of a worker, oldest first. What another worker that lives has, and what follows it for the
/// same machine, is left to that one.
///
/// A notice that this program does not understand is left with a warning, for a newer one to deliver.
pub(crate) async fn take(
    db: &Db<'_>,
    worker: WorkerId,
    at_most: usize,
    passed: &PassedOver<i64>,
) -> Result<Vec<QueuedNotice>, Failure<StoreError>> {
    let text = "WITH living AS MATERIALIZED (
             SELECT id FROM $schema.worker WHERE lease_until > coalesce($3, now()) AND id <> $1
         ), waiting AS MATERIALIZED (
             SELECT id FROM $schema.outbox AS mine WHERE id <> ALL ($4) AND NOT EXISTS (
                 SELECT 1 FROM $schema.outbox AS other
                 WHERE other.vm = mine.vm AND other.id <= mine.id AND other.worker IN (SELECT id FROM living)
             )
             ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED
         ), taken AS (
             UPDATE $schema.outbox SET worker = $1 FROM waiting
             WHERE outbox.id = waiting.id AND outbox.worker IS DISTINCT FROM $1
         )
         SELECT outbox.id, outbox.vm, outbox.at, outbox.notice, vm.external_ref, vm.spec ->> 'contact' AS contact
         FROM waiting JOIN $schema.outbox USING (id) JOIN $schema.vm ON vm.key = outbox.vm ORDER BY outbox.id";
    let (at_most, left) = (limit(at_most), passed.all());
    let params = [
        (&worker.0 as _, Type::UUID),
        (&at_most as _, Type::INT8),
        db.clock(),
        (&left as _, Type::INT8_ARRAY),
    ];
    let rows = db.query(text, &params).await?;
    let mut notices = Vec::with_capacity(rows.len());
    for row in &rows {
        match decode(row) {
            Ok(notice) => notices.push(notice),
            Err(Unreadable(why)) => {
                tracing::warn!("left in the outbox: {why}");
                let id: i64 = row.try_get("id")?;
                passed.add(id);
                let back = "UPDATE $schema.outbox SET worker = NULL WHERE id = $1 AND worker = $2";
                db.execute(back, &[(&id, Type::INT8), (&worker.0, Type::UUID)]).await?;
            }
        }
    }
    Ok(notices)
}

fn decode(row: &Row) -> Result<QueuedNotice, Unreadable> {
    let id: i64 = Columns::new(row, "a notice").raw("id")?;
    let what = format!("notice {id}");
    let columns = Columns::new(row, &what);
    Ok(QueuedNotice {
        id: NoticeId(id),
        key: VmKey(columns.raw::<Uuid>("vm")?),
        external_ref: columns.parsed("external_ref")?,
        contact: columns.parsed_if_any::<EmailAddress>("contact")?,
        at: columns.raw("at")?,
        notice: columns.json("notice")?,
    })
}

/// Takes a notice out.
pub(crate) async fn delivered(db: &Db<'_>, id: NoticeId) -> Result<(), Failure<StoreError>> {
    db.execute("DELETE FROM $schema.outbox WHERE id = $1", &[(&id.0, Type::INT8)]).await?;
    Ok(())
}
