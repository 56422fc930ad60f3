//! Orders: idempotent per reference, numbered, named.

use super::{Rig, StoreFactory};
use crate::sample;
use deploy_core::{CreateError, Created, LogId, NewRecord, RecordStore, Step};
use jiff::SignedDuration;

/// The record is the order with its number and the names that the number gives.
pub async fn an_order_gets_a_number_and_the_names_made_from_it<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let order = sample::order_of(1, sample::full_spec());
    let Created::New(record) = rig.store.create(&order).await.expect("order") else { panic!("it is new") };
    assert_eq!(record, order.numbered(sample::vmid(100)).expect("names"));
    assert_eq!(record.numbered.fqdn.as_str(), "order-1-100-node2.pve.example.net");
    assert_eq!(record.numbered.pve_name.as_str(), "order-1-100-node2");
    assert_eq!(rig.record(order.key).await, record);
}

/// A second order under a living reference answers with the first and writes nothing, whatever it says.
pub async fn the_same_reference_is_one_order<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let first = rig.ordered(1).await;
    let again = NewRecord { key: sample::key(2), spec: sample::full_spec(), ..sample::order(1) };
    let answer = rig.store.create(&again).await.expect("order again");
    assert_eq!(answer, Created::Existing(first));
    assert_eq!(rig.store.get(sample::key(2)).await.expect("get"), None);
    assert_eq!(rig.store.events(LogId(0), 10).await.expect("events").len(), 1);
    assert_eq!(rig.ordered(3).await.numbered.vmid, sample::vmid(101), "no number was used up");
}

/// Several panels order the same at one moment: one order, and everybody learns which.
pub async fn orders_at_one_moment_under_one_reference_are_one<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let orders = (1..=8).map(|n| NewRecord { key: sample::key(n), ..sample::order(1) });
    let answers = rig.at_once(orders, |store, order| async move { store.create(&order).await }).await;
    let answers: Vec<Created> = answers.into_iter().map(|answer| answer.expect("order")).collect();
    let new = answers.iter().filter(|answer| matches!(answer, Created::New(_))).count();
    assert_eq!(new, 1);
    assert!(answers.iter().all(|answer| answer.record() == answers[0].record()));
}

/// What is terminated keeps its record and gives its reference free.
pub async fn a_reference_is_free_again_after_its_machine_is_terminated<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let gone = rig.resting(1, Step::Terminated).await;
    let again = NewRecord { key: sample::key(2), ..sample::order(1) };
    let answer = rig.store.create(&again).await.expect("order again");
    assert!(matches!(&answer, Created::New(record) if record.key == again.key), "{answer:?}");
    assert_eq!(rig.record(gone.key).await, gone, "the old record stays as it was");
}

/// The living one, even if an older order; without one, the one that was ordered last.
pub async fn a_reference_names_the_living_machine_else_the_last<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let reference = sample::order(1).external_ref;
    assert_eq!(rig.by_reference(&reference).await, None);
    rig.resting(1, Step::Terminated).await;
    // Ordered later by the caller's clock, and gone as well.
    let later = sample::epoch() + SignedDuration::from_secs(5);
    let second = NewRecord { key: sample::key(2), created_at: later, ..sample::order(1) };
    rig.clock.set(later);
    rig.store.create(&second).await.expect("order again");
    let leased = rig.claim().await;
    rig.come_to_rest(&leased[0].lease, Step::Terminated).await;
    assert_eq!(rig.by_reference(&reference).await.map(|record| record.key), Some(second.key));

    let third = NewRecord { key: sample::key(3), ..sample::order(1) };
    rig.store.create(&third).await.expect("order a third time");
    let found = rig.by_reference(&reference).await.map(|record| record.key);
    assert_eq!(found, Some(third.key), "the living one comes first, although its order is dated before");
}

/// Without a cluster's settings there are no numbers.
pub async fn an_unknown_cluster_is_refused<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let mut order = sample::order(1);
    order.spec.cluster = sample::parsed("elsewhere");
    let refused = rig.store.create(&order).await;
    assert_eq!(refused, Err(CreateError::UnknownCluster(sample::parsed("elsewhere"))));
    assert_eq!(rig.by_reference(&order.external_ref).await, None);
}

/// The pattern is fine, but with this reference it makes no DNS name.
pub async fn a_name_that_cannot_be_made_is_refused_and_takes_no_number<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let mut order = sample::order_of(1, sample::full_spec());
    order.external_ref = sample::parsed(&"x".repeat(64));
    match rig.store.create(&order).await {
        Err(CreateError::Invalid(invalid)) => assert!(invalid.field.starts_with("domain"), "{invalid}"),
        other => panic!("a label of 64 letters was taken: {other:?}"),
    }
    assert_eq!(rig.by_reference(&order.external_ref).await, None);
    assert_eq!(rig.store.events(LogId(0), 10).await.expect("events"), []);
    assert_eq!(rig.ordered(2).await.numbered.vmid, sample::vmid(100));
}

/// Keys are random; the same one twice means a broken source of randomness, and must not overwrite anything.
pub async fn a_key_that_is_taken_is_refused<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let first = rig.ordered(1).await;
    let order = NewRecord { key: first.key, ..sample::order(2) };
    let refused = rig.store.create(&order).await;
    assert!(matches!(refused, Err(CreateError::Store(_))), "{refused:?}");
    assert_eq!(rig.record(first.key).await, first);
    assert_eq!(rig.ordered(3).await.numbered.vmid, sample::vmid(101), "no number was used up");
}
