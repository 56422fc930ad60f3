//! Since when machines were seen locked.

use super::{Rig, StoreFactory};
use crate::sample;
use deploy_core::{Clock, Lock, LockStore, LockedSince, SeenLock};
use jiff::{SignedDuration, Timestamp};

const MINUTE: SignedDuration = SignedDuration::from_mins(1);

fn seen(n: u32, lock: Option<&str>) -> SeenLock {
    SeenLock { key: sample::key(n), lock: lock.map(sample::parsed) }
}

fn since(n: u32, lock: &str, since: Timestamp) -> LockedSince {
    LockedSince { key: sample::key(n), lock: sample::parsed(lock), since }
}

async fn look<S: LockStore>(store: &S, looks: &[SeenLock]) -> Vec<LockedSince> {
    store.locks_seen(looks).await.expect("an answer")
}

/// However often it is looked at after that; also a lock whose word nobody here knows.
pub async fn a_lock_is_dated_from_the_first_look<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    for n in [1, 2, 3] {
        rig.ordered(n).await;
    }
    let first = rig.clock.now();
    let looks = [seen(3, Some("backup")), seen(1, Some("frozen-for-audit")), seen(2, None)];
    for _ in 0..3 {
        let found = look(&rig.store, &looks).await;
        assert_eq!(found, [since(1, "frozen-for-audit", first), since(3, "backup", first)]);
        assert_eq!(found[0].lock, Lock::Other("frozen-for-audit".to_owned()));
        rig.clock.advance(MINUTE);
    }
    // One that no record is of is not kept.
    assert_eq!(look(&rig.store, &[seen(9, Some("backup"))]).await, []);
}

/// The one before is over.
pub async fn another_lock_is_dated_anew<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    rig.ordered(1).await;
    look(&rig.store, &[seen(1, Some("snapshot"))]).await;
    let second = rig.clock.advance(MINUTE);
    assert_eq!(
        look(&rig.store, &[seen(1, Some("snapshot-delete"))]).await,
        [since(1, "snapshot-delete", second)]
    );
}

/// Also where it is the same again.
pub async fn a_lock_that_was_gone_is_dated_anew<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    rig.ordered(1).await;
    look(&rig.store, &[seen(1, Some("backup"))]).await;
    rig.clock.advance(MINUTE);
    assert_eq!(look(&rig.store, &[seen(1, None)]).await, []);
    let again = rig.clock.advance(MINUTE);
    assert_eq!(look(&rig.store, &[seen(1, Some("backup"))]).await, [since(1, "backup", again)]);
}

/// A look at some says nothing about others.
pub async fn machines_that_were_not_looked_at_are_left_alone<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    for n in [1, 2] {
        rig.ordered(n).await;
    }
    let first = rig.clock.now();
    look(&rig.store, &[seen(1, Some("backup"))]).await;
    let second = rig.clock.advance(MINUTE);
    assert_eq!(look(&rig.store, &[seen(2, Some("migrate"))]).await, [since(2, "migrate", second)]);
    rig.clock.advance(MINUTE);
    let both = look(&rig.store, &[seen(1, Some("backup")), seen(2, Some("migrate"))]).await;
    assert_eq!(both, [since(1, "backup", first), since(2, "migrate", second)]);
}

/// Thousands are looked at every few minutes.
pub async fn a_lock_that_is_seen_again_costs_no_write<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    for n in [1, 2] {
        rig.ordered(n).await;
    }
    let looks = [seen(1, Some("backup")), seen(2, None)];
    let first = look(&rig.store, &looks).await;
    let writes = factory.writes(&rig.store);
    assert_eq!(look(&rig.store, &looks).await, first);
    assert_eq!(factory.writes(&rig.store), writes);
    look(&rig.store, &[seen(1, None)]).await;
    if writes.is_some() {
        assert_ne!(factory.writes(&rig.store), writes);
    }
}

/// Whoever looks may be a program that ends at once.
pub async fn locks_outlive_a_restart<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    rig.ordered(1).await;
    let first = rig.clock.now();
    look(&rig.store, &[seen(1, Some("backup"))]).await;
    let rig = rig.reopened(factory).await;
    rig.clock.advance(MINUTE);
    assert_eq!(look(&rig.store, &[seen(1, Some("backup"))]).await, [since(1, "backup", first)]);
}
