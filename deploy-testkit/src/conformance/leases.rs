//! Leasing: who gets what, and when.

use super::{Rig, StoreFactory, rig::ALIVE};
use crate::sample;
use deploy_core::{Clock, Command, CommandId, Commit, Due, LeaseStore, NewRecord, RecordStore, Step, VmKey};
use jiff::SignedDuration;
use std::collections::BTreeSet;

const SECOND: SignedDuration = SignedDuration::from_secs(1);

/// Not what rests, not what is leased, not what is due in a microsecond.
pub async fn only_what_is_due_is_leased<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    rig.resting(1, Step::Ready).await;
    let leased = rig.leased(2).await;
    let later = rig.clock.now() + SECOND;
    rig.commit(&leased.lease, Commit { due: Some(Due::At(later)), ..Commit::default() }).await;
    assert_eq!(rig.claim().await, [], "the second is leased");
    rig.store.release(&leased.lease).await.expect("release");

    rig.clock.set(later - SignedDuration::from_micros(1));
    assert_eq!(rig.claim().await, [], "the second is not due yet");
    rig.clock.set(later);
    let keys: Vec<VmKey> = rig.claim().await.iter().map(|leased| leased.lease.key).collect();
    assert_eq!(keys, [sample::key(2)]);
}

/// Order of dates, not of keys.
pub async fn the_longest_due_come_first_and_only_so_many<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    for (n, age) in [(1, 10), (2, 30), (3, 20), (4, 40)] {
        let created_at = sample::epoch() - SECOND * age;
        rig.store.create(&NewRecord { created_at, ..sample::order(n) }).await.expect("order");
    }
    let claimed = async |limit| -> Vec<VmKey> {
        let leased = rig.store.claim(rig.worker.id, limit).await.expect("claim");
        leased.iter().map(|leased| leased.lease.key).collect()
    };
    assert_eq!(claimed(0).await, []);
    assert_eq!(claimed(3).await, [4, 2, 3].map(sample::key));
    assert_eq!(claimed(3).await, [sample::key(1)]);
}

/// Many claims at one moment by two workers: everything is leased, nothing twice.
pub async fn a_record_is_leased_to_one_worker<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let second = sample::worker(2);
    rig.store.heartbeat(&second, ALIVE).await.expect("a second worker");
    for n in 1..=30 {
        rig.ordered(n).await;
    }
    let calls = (0..12).map(|n| if n % 2 == 0 { rig.worker.id } else { second.id });
    let claims = rig.at_once(calls, |store, worker| async move { store.claim(worker, 4).await }).await;
    let leased: Vec<_> = claims.into_iter().flat_map(|claim| claim.expect("claim")).collect();
    let keys: BTreeSet<VmKey> = leased.iter().map(|leased| leased.lease.key).collect();
    assert_eq!((leased.len(), keys.len()), (30, 30));
    assert!(leased.iter().all(|leased| leased.lease.key == leased.record.key));
}

/// Neither one that never said that it lives nor one whose time is over.
pub async fn a_worker_that_does_not_live_gets_nothing<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    rig.ordered(1).await;
    assert_eq!(rig.store.claim(sample::worker(2).id, 10).await.expect("claim"), []);
    rig.clock.advance(ALIVE);
    assert_eq!(rig.claim().await, []);
}

/// Also for the same worker: what was sent under the old lease must not pass.
pub async fn every_lease_has_a_higher_epoch<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let first = rig.leased(1).await.lease;
    rig.store.release(&first).await.expect("release");
    let second = rig.claim().await[0].lease;
    assert!(second.epoch > first.epoch, "{second:?} after {first:?}");
}

/// That is how long a worker may sleep.
pub async fn the_next_due_is_the_earliest_that_nobody_holds<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let next_due = async || rig.store.next_due().await.expect("next due");
    assert_eq!(next_due().await, None);
    let leased = rig.leased(1).await;
    assert_eq!(next_due().await, None, "it is leased");
    let later = rig.clock.now() + SECOND * 30;
    rig.commit(&leased.lease, Commit { due: Some(Due::At(later)), ..Commit::default() }).await;
    rig.store.release(&leased.lease).await.expect("release");
    assert_eq!(next_due().await, Some(later));
    rig.ordered(2).await;
    assert_eq!(next_due().await, Some(sample::epoch()));
    let second = rig.claim().await[0].lease;
    rig.come_to_rest(&second, Step::Ready).await;
    assert_eq!(next_due().await, Some(later), "what rests is not due");
}

/// A command that was given during the lease is seen without giving the lease up.
pub async fn reloading_shows_what_came_meanwhile<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let leased = rig.leased(1).await;
    assert_eq!(rig.store.reload(&leased.lease).await.expect("reload"), leased.record);
    let id = CommandId(sample::key(77).0);
    rig.store.command(leased.lease.key, id, Command::Terminate).await.expect("command");
    let reloaded = rig.store.reload(&leased.lease).await.expect("reload");
    assert_eq!(reloaded.pending.iter().map(|queued| queued.id).collect::<Vec<_>>(), [id]);
}
