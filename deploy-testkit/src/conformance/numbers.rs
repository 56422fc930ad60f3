//! Numbers of machines: unique, in turn, resting after use, exchanged where a stranger has one.

use super::{Rig, StoreFactory};
use crate::sample;
use deploy_core::{
    ClusterSettings, Commit, CommitError, CreateError, LeaseStore, Leased, Numbered, RecordStore,
    RenumberError, Step, Vmid,
};
use jiff::SignedDuration;
use std::collections::BTreeSet;

/// The number given last is not the one given next, so that a number comes back as late as possible.
pub async fn numbers_are_given_in_turn<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    rig.resting(1, Step::Terminated).await;
    rig.clock.advance(SignedDuration::from_hours(2));
    assert_eq!(rig.ordered(2).await.numbered.vmid, sample::vmid(101), "100 is free, but it is not its turn");
    rig.store.put_cluster(&sample::cluster(100, 101)).await.expect("a smaller range");
    assert_eq!(rig.ordered(3).await.numbered.vmid, sample::vmid(100), "after the last comes the first");
}

/// Every number is given before the range is said to be full, and the error says which range.
pub async fn a_range_is_used_up_to_its_last_number<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let cluster = sample::cluster(100, 102);
    rig.store.put_cluster(&cluster).await.expect("a small range");
    let mut given = BTreeSet::new();
    for n in 1..=3 {
        given.insert(rig.ordered(n).await.numbered.vmid.get());
    }
    assert_eq!(given, BTreeSet::from([100, 101, 102]));
    let refused = rig.store.create(&sample::order(4)).await;
    assert_eq!(refused, Err(CreateError::NoNumber { cluster: cluster.name, range: cluster.vmids }));
    assert_eq!(rig.by_reference(&sample::order(4).external_ref).await, None);
}

/// Late requests for the old machine and its backups carry its number.
pub async fn a_number_rests_after_its_machine_is_gone<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    rig.store.put_cluster(&sample::cluster(100, 100)).await.expect("one number");
    rig.resting(1, Step::Terminated).await;
    for wait in [SignedDuration::ZERO, SignedDuration::from_hours(1) - SignedDuration::from_micros(1)] {
        rig.clock.advance(wait);
        let refused = rig.store.create(&sample::order(2)).await;
        assert!(matches!(refused, Err(CreateError::NoNumber { .. })), "after {wait:?}: {refused:?}");
    }
    rig.clock.advance(SignedDuration::from_micros(1));
    assert_eq!(rig.ordered(2).await.numbered.vmid, sample::vmid(100));
}

/// No two get the same.
pub async fn numbers_are_unique_among_orders_at_one_moment<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let orders = (1..=50).map(sample::order);
    let answers = rig.at_once(orders, |store, order| async move { store.create(&order).await }).await;
    let numbers: BTreeSet<Vmid> =
        answers.iter().map(|answer| answer.as_ref().expect("order").record().numbered.vmid).collect();
    assert_eq!(numbers.len(), 50);
}

/// A number is unique in its cluster, not beyond.
pub async fn clusters_give_their_own_numbers<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let other = ClusterSettings { name: sample::parsed("other"), ..sample::cluster(100, 199) };
    rig.store.put_cluster(&other).await.expect("another cluster");
    let mut elsewhere = sample::order(2);
    elsewhere.spec.cluster = other.name;
    assert_eq!(rig.ordered(1).await.numbered.vmid, sample::vmid(100));
    let elsewhere = rig.store.create(&elsewhere).await.expect("order elsewhere");
    assert_eq!(elsewhere.record().numbered.vmid, sample::vmid(100));
}

/// What has a number keeps it; new numbers come from the new range, around what is reserved in it.
pub async fn a_changed_range_leaves_what_is_reserved<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let first = rig.ordered(1).await;
    rig.store.put_cluster(&sample::cluster(500, 501)).await.expect("another range");
    assert_eq!(rig.ordered(2).await.numbered.vmid, sample::vmid(500));
    assert_eq!(rig.record(first.key).await, first);
    rig.store.put_cluster(&sample::cluster(100, 101)).await.expect("the old range, smaller");
    assert_eq!(rig.ordered(3).await.numbered.vmid, sample::vmid(101), "100 is still the first machine's");
}

/// The machine's own number and the one it gets instead are nobody else's.
pub async fn renumbering_keeps_the_taken_number_reserved<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    rig.store.put_cluster(&sample::cluster(100, 102)).await.expect("a small range");
    let leased = rig.leased(1).await;
    let new = rig.store.renumber(&leased.lease, sample::vmid(100)).await.expect("renumber");
    assert_eq!(new, sample::vmid(101));
    assert_eq!(rig.record(leased.lease.key).await, leased.record, "the commit changes the record, not this");
    take_number(&rig, &leased, new).await;
    let record = rig.record(leased.lease.key).await;
    assert_eq!(record.numbered.pve_name.as_str(), "vps-101");
    assert_eq!(rig.ordered(2).await.numbered.vmid, sample::vmid(102));
    let refused = rig.store.create(&sample::order(3)).await;
    assert!(matches!(refused, Err(CreateError::NoNumber { .. })), "100 is a stranger's: {refused:?}");
}

async fn take_number<S>(rig: &Rig<S>, leased: &Leased, vmid: Vmid)
where
    S: LeaseStore + RecordStore + Clone + 'static,
{
    let record = &leased.record;
    let numbered = Numbered::resolve(&record.spec, &record.external_ref, vmid).expect("names");
    rig.commit(&leased.lease, Commit { numbered: Some(numbered), ..Commit::default() }).await;
}

/// A worker that died between reserving and committing finds what it reserved.
pub async fn renumbering_again_answers_the_same<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let leased = rig.leased(1).await;
    let first = rig.store.renumber(&leased.lease, sample::vmid(100)).await.expect("renumber");
    rig.ordered(2).await;
    let again = rig.store.renumber(&leased.lease, sample::vmid(100)).await.expect("renumber again");
    assert_eq!(again, first);
}

/// The new number may be a stranger's as well.
pub async fn renumbering_twice_gives_a_third_number<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let leased = rig.leased(1).await;
    let second = rig.store.renumber(&leased.lease, sample::vmid(100)).await.expect("renumber");
    take_number(&rig, &leased, second).await;
    let third = rig.store.renumber(&leased.lease, second).await.expect("renumber again");
    assert_eq!((second, third), (sample::vmid(101), sample::vmid(102)));
}

/// The error says which range.
pub async fn renumbering_names_a_range_that_is_used_up<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let cluster = sample::cluster(100, 100);
    rig.store.put_cluster(&cluster).await.expect("one number");
    let leased = rig.leased(1).await;
    let refused = rig.store.renumber(&leased.lease, sample::vmid(100)).await;
    assert_eq!(refused, Err(RenumberError::Exhausted { cluster: cluster.name, range: cluster.vmids }));
}

/// Two machines would meet at it.
pub async fn a_number_that_was_not_reserved_is_refused<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let leased = rig.leased(1).await;
    let record = &leased.record;
    let numbered = Numbered::resolve(&record.spec, &record.external_ref, sample::vmid(150)).expect("names");
    let refused =
        rig.store.commit(&leased.lease, Commit { numbered: Some(numbered), ..Commit::default() }).await;
    assert!(matches!(refused, Err(CommitError::Store(_))), "{refused:?}");
    assert_eq!(rig.record(record.key).await, *record);
}

/// Also the one that was a stranger's: our machine may have left traces under it.
pub async fn every_number_of_a_machine_rests_when_it_is_gone<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    rig.store.put_cluster(&sample::cluster(100, 101)).await.expect("two numbers");
    let leased = rig.leased(1).await;
    let new = rig.store.renumber(&leased.lease, sample::vmid(100)).await.expect("renumber");
    take_number(&rig, &leased, new).await;
    rig.come_to_rest(&leased.lease, Step::Terminated).await;
    let refused = rig.store.create(&sample::order(2)).await;
    assert!(matches!(refused, Err(CreateError::NoNumber { .. })), "{refused:?}");
    rig.clock.advance(SignedDuration::from_hours(1));
    let given = BTreeSet::from([rig.ordered(2).await.numbered.vmid, rig.ordered(3).await.numbered.vmid]);
    assert_eq!(given, BTreeSet::from([sample::vmid(100), sample::vmid(101)]));
}
