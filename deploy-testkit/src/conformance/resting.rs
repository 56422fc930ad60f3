//! Machines at rest: listing them, and looking whether they are still there.

use super::{Rig, StoreFactory};
use crate::sample;
use deploy_core::{Commit, Due, LeaseStore, Resting, Step};
use jiff::SignedDuration;

/// Those that are ready and of which nothing is due, and of each what a list of the cluster is compared with.
pub async fn machines_at_rest_are_listed_in_pages<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    for n in [3, 1, 2] {
        rig.resting(n, Step::Ready).await;
    }
    rig.resting(4, Step::Terminated).await;
    let working = rig.leased(5).await;
    let later = rig.leased(6).await;
    let due = Due::At(sample::epoch() + SignedDuration::from_hours(1));
    rig.commit(&later.lease, Commit { step: Some(Step::Ready), due: Some(due), ..Commit::default() }).await;
    rig.store.release(&later.lease).await.expect("release");

    let of = |n: u32, vmid: u32| Resting {
        key: sample::key(n),
        cluster: sample::cluster_name(),
        vmid: sample::vmid(vmid),
        name: sample::parsed(&format!("vps-{vmid}")),
        node: sample::parsed("node1"),
    };
    let page = |after: Option<u32>, limit| rig.store.resting(after.map(sample::key), limit);
    assert_eq!(page(None, 2).await.expect("list"), [of(1, 101), of(2, 102)]);
    assert_eq!(page(Some(2), 2).await.expect("list"), [of(3, 100)]);
    assert_eq!(page(Some(3), 2).await.expect("list"), []);
    assert_eq!(page(None, 0).await.expect("list"), []);

    // One that comes to rest is there, where it was seen last.
    let moved = Commit { node: Some(sample::parsed("node2")), ..Commit::default() };
    rig.commit(&working.lease, moved).await;
    rig.come_to_rest(&working.lease, Step::Ready).await;
    let last = page(Some(4), 9).await.expect("list");
    assert_eq!(last, [Resting { node: sample::parsed("node2"), ..of(5, 104) }]);
}

/// A machine that is to be looked at is due once, for whoever comes first.
pub async fn a_machine_at_rest_is_made_due_for_a_look<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let key = rig.resting(1, Step::Ready).await.key;
    assert_eq!(rig.claim().await, []);
    rig.store.check(key).await.expect("check");
    rig.store.check(key).await.expect("check again");
    assert_eq!(rig.store.resting(None, 9).await.expect("list"), [], "it is being looked at");
    let leased = rig.claim().await;
    assert_eq!(leased.len(), 1);
    assert_eq!((leased[0].record.step, leased[0].record.key), (Step::Ready, key));
    rig.come_to_rest(&leased[0].lease, Step::Ready).await;
    assert_eq!(rig.claim().await, []);
    assert_eq!(rig.store.resting(None, 9).await.expect("list").len(), 1);
}

/// What is on its way, waits, or is gone is none of its business.
pub async fn only_a_machine_at_rest_is_made_due<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let gone = rig.resting(1, Step::Terminated).await;
    let waiting = rig.leased(2).await;
    let due = Due::At(sample::epoch() + SignedDuration::from_hours(1));
    rig.commit(&waiting.lease, Commit { due: Some(due), ..Commit::default() }).await;
    rig.store.release(&waiting.lease).await.expect("release");
    for key in [gone.key, waiting.lease.key, sample::key(77)] {
        rig.store.check(key).await.expect("check");
    }
    assert_eq!(rig.claim().await, []);
    assert_eq!(rig.record(gone.key).await, gone);
    assert_eq!(rig.record(waiting.lease.key).await.due, due);
}
