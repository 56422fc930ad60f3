//! Adoption: exactly the number of the machine that is there is reserved, and for one record.

use super::{Rig, StoreFactory};
use crate::sample;
use deploy_core::{
    ClusterSettings, Commit, CreateError, Created, Due, ExternalRef, LeaseStore, Life, LogEvent, NewRecord,
    Operation, RecordStore, Step, VmRecord,
};
use jiff::{SignedDuration, Timestamp};

fn reserved(number: u32, reference: &ExternalRef, until: Option<Timestamp>) -> Result<Created, CreateError> {
    Err(CreateError::Reserved {
        cluster: sample::cluster_name(),
        vmid: sample::vmid(number),
        reference: reference.clone(),
        until,
    })
}

async fn adopted<F: StoreFactory>(rig: &Rig<F::Store>, order: &NewRecord) -> VmRecord {
    match rig.store.create(order).await.expect("adopt") {
        Created::New(record) => record,
        Created::Existing(record) => panic!("it was there: {record:?}"),
    }
}

/// Also one that is not of the range. The record says which machine it is, where it is, and that it is not adopted yet.
pub async fn an_adopted_machine_keeps_its_number<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    for (n, number) in [(1, 7000), (2, 150)] {
        let order = sample::adoption(n, number);
        let record = adopted::<F>(&rig, &order).await;
        let machine = sample::adopted(number);
        assert_eq!(record.numbered.vmid, machine.vmid);
        assert_eq!(record.numbered.pve_name, sample::parsed(&format!("vps-{number}")));
        assert_eq!((record.operation, record.step), (Operation::Adopt, Step::Adopting));
        assert_eq!((record.smbios, &record.node), (Some(machine.smbios), &machine.node));
        assert_eq!(record.life, Life { adopts: Some(machine), ..Life::default() });
        assert_eq!(rig.record(order.key).await, record, "as it was written");
        let log = rig.log(order.key).await;
        assert_eq!((log[0].line.operation, &log[0].line.event), (Operation::Adopt, &LogEvent::Ordered));
    }
    let leased = rig.claim().await;
    assert_eq!(leased.len(), 2, "due at once");
    assert_eq!(leased[0].record, rig.record(leased[0].lease.key).await);
}

/// Like an order, by its reference; whatever else was named the second time.
pub async fn adopting_twice_is_one<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let first = adopted::<F>(&rig, &sample::adoption(1, 150)).await;
    let again = NewRecord { key: sample::key(2), ..sample::adoption(1, 150) };
    assert_eq!(rig.store.create(&again).await, Ok(Created::Existing(first.clone())));
    let another = NewRecord { key: sample::key(3), ..sample::adoption(1, 151) };
    assert_eq!(rig.store.create(&another).await, Ok(Created::Existing(first)));
    adopted::<F>(&rig, &sample::adoption(2, 151)).await;
}

/// Of one that was ordered, one that is adopted, and the number that a machine has besides its own.
pub async fn a_number_of_another_record_is_not_adopted<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let ordered = rig.leased(1).await;
    let theirs = adopted::<F>(&rig, &sample::adoption(2, 7000)).await;
    let second = rig.store.renumber(&ordered.lease, sample::vmid(100)).await.expect("another number");
    let ours = &ordered.record.external_ref;
    for (number, of) in [(100, ours), (second.get(), ours), (7000, &theirs.external_ref)] {
        let refused = rig.store.create(&sample::adoption(3, number)).await;
        assert_eq!(refused, reserved(number, of, None));
    }
    assert_eq!(rig.by_reference(&sample::order(3).external_ref).await, None, "nothing was written");
}

/// Under different references; whoever comes too late is told who has it.
pub async fn a_machine_is_adopted_by_one_of_many_at_one_moment<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let orders = (1..=8).map(|n| sample::adoption(n, 150));
    let answers = rig.at_once(orders, |store, order| async move { store.create(&order).await }).await;
    let (new, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(new.len(), 1, "{new:?}");
    let Some(Ok(Created::New(record))) = new.first() else { panic!("{new:?}") };
    let expected = reserved(150, &record.external_ref, None);
    assert!(refused.iter().all(|answer| *answer == expected), "{refused:?}");
}

/// What was sent to the machine that had it may still arrive. The answer says until when.
pub async fn a_number_that_rests_is_not_adopted<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let gone = rig.resting(1, Step::Terminated).await;
    let until = sample::epoch() + SignedDuration::from_hours(1);
    rig.clock.advance(SignedDuration::from_hours(1) - SignedDuration::from_micros(1));
    let refused = rig.store.create(&sample::adoption(2, 100)).await;
    assert_eq!(refused, reserved(100, &gone.external_ref, Some(until)));
    rig.clock.advance(SignedDuration::from_micros(1));
    adopted::<F>(&rig, &sample::adoption(2, 100)).await;
}

/// Nothing was done to the machine, which is still there: another adoption need not wait. A new order does not get the number.
pub async fn a_number_that_was_let_go_of_is_adopted_at_once<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    rig.store.put_cluster(&sample::cluster(150, 150)).await.expect("one number");
    adopted::<F>(&rig, &sample::adoption(1, 150)).await;
    let lease = rig.claim().await[0].lease;
    rig.come_to_rest(&lease, Step::Terminated).await;
    let refused = rig.store.create(&sample::order(2)).await;
    assert!(matches!(refused, Err(CreateError::NoNumber { .. })), "{refused:?}");

    adopted::<F>(&rig, &sample::adoption(3, 150)).await;
    let lease = rig.claim().await[0].lease;
    // Adopted, and then terminated like any other.
    let life = Some(Box::new(Life::default()));
    rig.commit(&lease, Commit { life, due: Some(Due::OnCommand), ..Commit::default() }).await;
    rig.come_to_rest(&lease, Step::Terminated).await;
    let refused = rig.store.create(&sample::adoption(4, 150)).await;
    assert!(matches!(refused, Err(CreateError::Reserved { until: Some(_), .. })), "{refused:?}");
}

/// It may lie in the middle of the range, and does not change whose turn it is.
pub async fn new_orders_pass_an_adopted_number_over<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    adopted::<F>(&rig, &sample::adoption(1, 101)).await;
    let mut given = Vec::new();
    for n in 2..=4 {
        given.push(rig.ordered(n).await.numbered.vmid.get());
    }
    assert_eq!(given, [100, 102, 103]);
}

/// Its range, and how long its numbers rest, are not known.
pub async fn an_adoption_in_an_unknown_cluster_is_refused<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let mut order = sample::adoption(1, 150);
    order.spec.cluster = sample::parsed("nowhere");
    assert_eq!(rig.store.create(&order).await, Err(CreateError::UnknownCluster(order.spec.cluster.clone())));
    let nowhere = ClusterSettings { name: order.spec.cluster.clone(), ..sample::cluster(100, 199) };
    rig.store.put_cluster(&nowhere).await.expect("another cluster");
    adopted::<F>(&rig, &order).await;
    // A number is unique in its cluster, not beyond.
    adopted::<F>(&rig, &sample::adoption(2, 150)).await;
}
