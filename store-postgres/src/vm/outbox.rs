//! Notices that wait to be delivered; commits queue them.

use crate::{
    column::{Columns, limit},
    db::Db,
    failure::{Failure, Unreadable},
};
use deploy_core::{EmailAddress, NoticeId, QueuedNotice, StoreError, VmKey};
use tokio_postgres::{Row, types::Type};
use uuid::Uuid;

/// So many that cannot be understood are looked past.
const UNREADABLE: i64 = 1000;

/// What waits, oldest first. A notice that this program does not understand is left out with a warning, for a newer one to
/// deliver.
pub(crate) async fn waiting(db: &Db<'_>, at_most: usize) -> Result<Vec<QueuedNotice>, Failure<StoreError>> {
    let text = "SELECT outbox.id, outbox.vm, outbox.at, outbox.notice, vm.external_ref, vm.spec ->> 'contact' AS contact
         FROM $schema.outbox JOIN $schema.vm ON vm.key = outbox.vm ORDER BY outbox.id LIMIT $1";
    let rows = db.query(text, &[(&limit(at_most).saturating_add(UNREADABLE), Type::INT8)]).await?;
    let mut notices = Vec::new();
    for row in &rows {
        if notices.len() == at_most {
            break;
        }
        match decode(row) {
            Ok(notice) => notices.push(notice),
            Err(Unreadable(why)) => tracing::warn!("left in the outbox: {why}"),
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
