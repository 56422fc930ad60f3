//! Addresses that nobody will give back.

use super::{Rig, StoreFactory};
use crate::sample;
use deploy_core::{AddressAudit, AddressStore, Family, OrphanedAddress, Step};

/// At whatever step, and none that rests.
pub async fn what_a_living_machine_holds_is_no_orphan<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let ranges = [sample::range("203.0.113.10", "203.0.113.19")];
    rig.store.put_pool(&sample::pool("a", 24, &ranges), &ranges).await.expect("put the pool");
    let leased = rig.leased(1).await;
    rig.store.take(&leased.lease, &[sample::want(Family::V4, 2, &["a"])]).await.expect("take");
    assert_eq!(rig.store.orphaned_addresses(9).await.expect("orphans"), []);
    rig.store.give_back(&leased.lease).await.expect("give back");
    rig.come_to_rest(&leased.lease, Step::Terminated).await;
    assert_eq!(rig.store.orphaned_addresses(9).await.expect("orphans"), [], "they rest");
}

/// It should have given them back.
pub async fn what_a_terminated_machine_holds_is_an_orphan<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let ranges = [sample::range("203.0.113.10", "203.0.113.19")];
    rig.store.put_pool(&sample::pool("a", 24, &ranges), &ranges).await.expect("put the pool");
    let leased = rig.leased(1).await;
    let want = sample::want(Family::V4, 3, &["a"]);
    let held = rig.store.take(&leased.lease, &[want]).await.expect("take");
    rig.come_to_rest(&leased.lease, Step::Terminated).await;
    let expected: Vec<OrphanedAddress> = held
        .into_iter()
        .map(|held| OrphanedAddress { cluster: sample::cluster_name(), key: sample::key(1), held })
        .collect();
    assert_eq!(rig.store.orphaned_addresses(9).await.expect("orphans"), expected);
    assert_eq!(rig.store.orphaned_addresses(2).await.expect("orphans"), expected[..2]);
}
