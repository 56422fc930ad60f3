//! Since when machines were seen locked.

use crate::{PostgresStore, column::Columns, db::Db, failure::Failure};
use async_trait::async_trait;
use deploy_core::{Lock, LockStore, LockedSince, SeenLock, StoreError, VmKey};
use std::collections::BTreeMap;
use tokio_postgres::types::Type;
use uuid::Uuid;

type Seen = BTreeMap<VmKey, Option<Lock>>;

#[async_trait]
impl LockStore for PostgresStore {
    async fn locks_seen(&self, seen: &[SeenLock]) -> Result<Vec<LockedSince>, StoreError> {
        let without_nul = |lock: &Lock| Lock::from(lock.as_str().replace('\0', "\u{fffd}"));
        let seen: Seen = seen.iter().map(|seen| (seen.key, seen.lock.as_ref().map(without_nul))).collect();
        let kept = self.read(seen.clone(), |db, seen| Box::pin(kept(db, seen))).await?;
        let is_as_kept =
            |(key, lock): (&VmKey, &Option<Lock>)| kept.get(key).map(|kept| &kept.lock) == lock.as_ref();
        if seen.iter().all(is_as_kept) {
            return Ok(kept.into_values().collect());
        }
        self.write(seen, |db, seen| Box::pin(take_down(db, seen))).await
    }
}

async fn kept(db: &Db<'_>, seen: &Seen) -> Result<BTreeMap<VmKey, LockedSince>, Failure<StoreError>> {
    // Few machines are locked at a time.
    let rows = db.query("SELECT vm, lock, since FROM $schema.seen_lock", &[]).await?;
    let mut kept = BTreeMap::new();
    for row in &rows {
        let columns = Columns::new(row, "a lock that was seen");
        let key = VmKey(columns.raw::<Uuid>("vm")?);
        if seen.contains_key(&key) {
            let lock = Lock::from(columns.raw::<String>("lock")?);
            kept.insert(key, LockedSince { key, lock, since: columns.raw("since")? });
        }
    }
    Ok(kept)
}

async fn take_down(db: &Db<'_>, seen: &Seen) -> Result<Vec<LockedSince>, Failure<StoreError>> {
    let unlocked: Vec<Uuid> = seen.iter().filter(|(_, lock)| lock.is_none()).map(|(key, _)| key.0).collect();
    let (keys, locks): (Vec<Uuid>, Vec<&str>) =
        seen.iter().filter_map(|(key, lock)| Some((key.0, lock.as_ref()?.as_str()))).unzip();
    let text = "WITH unlocked AS (DELETE FROM $schema.seen_lock WHERE vm = ANY($1))
         INSERT INTO $schema.seen_lock AS kept (vm, lock, since)
         SELECT one.vm, one.lock, coalesce($4, now()) FROM unnest($2::uuid[], $3::text[]) AS one (vm, lock)
         WHERE EXISTS (SELECT 1 FROM $schema.vm WHERE key = one.vm) ORDER BY one.vm
         ON CONFLICT (vm) DO UPDATE SET lock = excluded.lock, since = excluded.since WHERE kept.lock <> excluded.lock";
    let params = [
        (&unlocked as _, Type::UUID_ARRAY),
        (&keys as _, Type::UUID_ARRAY),
        (&locks as _, Type::TEXT_ARRAY),
        db.clock(),
    ];
    db.execute(text, &params).await?;
    Ok(kept(db, seen).await?.into_values().collect())
}
