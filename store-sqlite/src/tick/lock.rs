//! Since when machines were seen locked.

use crate::{
    SqliteStore,
    column::{Columns, micros},
    failure::Failure,
    writer::Tx,
};
use async_trait::async_trait;
use deploy_core::{Lock, LockStore, LockedSince, SeenLock, StoreError, VmKey};
use rusqlite::{Connection, params};
use std::collections::BTreeMap;

#[async_trait]
impl LockStore for SqliteStore {
    async fn locks_seen(&self, seen: &[SeenLock]) -> Result<Vec<LockedSince>, StoreError> {
        let seen: BTreeMap<VmKey, Option<Lock>> =
            seen.iter().map(|seen| (seen.key, seen.lock.clone())).collect();
        let looked = seen.clone();
        let (kept, changed) = self
            .read(move |conn| {
                let kept = kept(conn, &looked)?;
                let changed =
                    looked.iter().any(|(key, lock)| kept.get(key).map(|kept| &kept.lock) != lock.as_ref());
                Ok::<_, Failure<StoreError>>((kept, changed))
            })
            .await?;
        if !changed {
            return Ok(kept.into_values().collect());
        }
        self.write(move |tx| take_down(tx, &seen)).await
    }
}

fn kept(
    conn: &Connection,
    seen: &BTreeMap<VmKey, Option<Lock>>,
) -> Result<BTreeMap<VmKey, LockedSince>, Failure<StoreError>> {
    // Few machines are locked at a time.
    let mut statement = conn.prepare_cached("SELECT vm, lock, since FROM seen_lock")?;
    let mut rows = statement.query([])?;
    let mut kept = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let columns = Columns::new(row, "a lock that was seen");
        let key = columns.parsed("vm")?;
        if seen.contains_key(&key) {
            let lock = Lock::from(columns.raw::<String>("lock")?);
            kept.insert(key, LockedSince { key, lock, since: columns.time("since")? });
        }
    }
    Ok(kept)
}

fn take_down(
    tx: &Tx<'_>,
    seen: &BTreeMap<VmKey, Option<Lock>>,
) -> Result<Vec<LockedSince>, Failure<StoreError>> {
    let now = micros(tx.now);
    for (key, lock) in seen {
        match lock {
            Some(lock) => {
                let text = "INSERT INTO seen_lock (vm, lock, since) SELECT key, ?2, ?3 FROM vm WHERE key = ?1
                     ON CONFLICT (vm) DO UPDATE SET lock = ?2, since = ?3 WHERE lock <> ?2";
                tx.conn.prepare_cached(text)?.execute(params![key.to_string(), lock.as_str(), now])?;
            }
            None => {
                tx.conn.prepare_cached("DELETE FROM seen_lock WHERE vm = ?")?.execute([key.to_string()])?;
            }
        }
    }
    Ok(kept(tx.conn, seen)?.into_values().collect())
}
