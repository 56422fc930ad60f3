//! Commands: judged and queued in one step, never overlooked.

use super::{Rig, StoreFactory};
use crate::sample;
use deploy_core::{
    Admission, Clock, Command, CommandError, CommandId, Commit, Denied, Due, LeaseStore, QueuedCommand,
    RecordStore, Step, VmKey,
};
use jiff::SignedDuration;

fn id(n: u32) -> CommandId {
    CommandId(sample::key(1000 + n).0)
}

async fn give<S: RecordStore>(store: &S, key: VmKey, n: u32, command: Command) -> Admission {
    store.command(key, id(n), command).await.expect("command")
}

/// Whoever rests is due the moment a command comes, and shows it to who leases it.
pub async fn a_command_makes_a_resting_machine_due<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let key = rig.resting(1, Step::Ready).await.key;
    rig.clock.advance(SignedDuration::from_secs(5));
    assert_eq!(give(&rig.store, key, 1, Command::Terminate).await, Admission::Queued(id(1)));
    assert_eq!(rig.store.next_due().await.expect("next due"), Some(rig.clock.now()));
    let leased = rig.claim().await.remove(0);
    assert_eq!(leased.record.pending, [QueuedCommand { id: id(1), command: Command::Terminate }]);
    assert_eq!(rig.record(key).await, leased.record);
}

/// A machine that waits for its next try does not make a command wait; one that is overdue keeps its place.
pub async fn a_command_does_not_wait_for_a_delay<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let lease = rig.leased(1).await.lease;
    let later = rig.clock.now() + SignedDuration::from_hours(1);
    rig.commit(&lease, Commit { due: Some(Due::At(later)), ..Commit::default() }).await;
    rig.store.release(&lease).await.expect("release");
    give(&rig.store, lease.key, 1, Command::Retry).await;
    assert_eq!(rig.store.next_due().await.expect("next due"), Some(rig.clock.now()));

    rig.ordered(2).await;
    rig.clock.advance(SignedDuration::from_secs(10));
    give(&rig.store, sample::key(2), 2, Command::Terminate).await;
    assert_eq!(rig.record(sample::key(2)).await.due, Due::At(sample::epoch()));
}

/// The answer names the command that waits.
pub async fn asking_twice_is_one_command<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let key = rig.ordered(1).await.key;
    give(&rig.store, key, 1, Command::Terminate).await;
    assert_eq!(give(&rig.store, key, 2, Command::Terminate).await, Admission::AlreadyQueued(id(1)));
    assert_eq!(rig.record(key).await.pending.len(), 1);
}

/// No record, no command; and a refusal by [`admit`](deploy_core::admit) changes nothing.
pub async fn a_refused_command_leaves_nothing<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let nobody = sample::key(99);
    let refused = rig.store.command(nobody, id(1), Command::Retry).await;
    assert_eq!(refused, Err(CommandError::NotFound(nobody)));
    let before = rig.resting(1, Step::Ready).await;
    let refused = rig.store.command(before.key, id(2), Command::Retry).await;
    assert_eq!(refused, Err(CommandError::Denied(Denied::AtRest(Step::Ready))));
    assert_eq!(rig.record(before.key).await, before);
    assert_eq!(rig.claim().await, []);
}

/// Many panels press the button at one moment: each is judged on what the ones before it wrote.
pub async fn a_command_is_judged_on_what_waits_already<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let key = rig.ordered(1).await.key;
    let answers = rig
        .at_once(1..=10, move |store, n| async move { give(&store, key, n, Command::Terminate).await })
        .await;
    let queued: Vec<_> = answers.iter().filter(|answer| matches!(answer, Admission::Queued(_))).collect();
    assert_eq!(queued.len(), 1, "{answers:?}");
    assert_eq!(rig.record(key).await.pending.len(), 1);
}

/// The worker did not see the command, and says that nothing is due: it is due all the same.
pub async fn a_command_that_comes_during_a_lease_keeps_the_machine_due<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    for (n, says) in [(1, Due::OnCommand), (2, Due::At(rig.clock.now() + SignedDuration::from_hours(9)))] {
        let lease = rig.leased(n).await.lease;
        give(&rig.store, lease.key, n, Command::Terminate).await;
        rig.commit(&lease, Commit { step: Some(Step::Ready), due: Some(says), ..Commit::default() }).await;
        rig.store.release(&lease).await.expect("release");
        let leased = rig.claim().await;
        assert_eq!(leased.len(), 1, "after a commit that says {says:?}");
        assert_eq!(leased[0].record.pending.len(), 1);
        // Consumed, the machine may rest.
        let rest = Commit { consume: Some(id(n)), due: Some(Due::OnCommand), ..Commit::default() };
        rig.commit(&leased[0].lease, rest).await;
        rig.store.release(&leased[0].lease).await.expect("release");
        assert_eq!(rig.claim().await, []);
    }
}

/// Commands wait in the order in which they came, and one commit takes one.
pub async fn a_consumed_command_is_gone_and_the_others_wait_on<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let leased = rig.leased(1).await;
    let key = leased.lease.key;
    // The later id is the smaller one: the order is that of arrival.
    give(&rig.store, key, 8, Command::Retry).await;
    give(&rig.store, key, 3, Command::Terminate).await;
    let waiting: Vec<CommandId> = rig.record(key).await.pending.iter().map(|queued| queued.id).collect();
    assert_eq!(waiting, [id(8), id(3)]);
    rig.commit(&leased.lease, Commit { consume: Some(id(8)), ..Commit::default() }).await;
    let waiting: Vec<CommandId> = rig.record(key).await.pending.iter().map(|queued| queued.id).collect();
    assert_eq!(waiting, [id(3)]);
    rig.commit(&leased.lease, Commit { consume: Some(id(8)), ..Commit::default() }).await;
    assert_eq!(rig.record(key).await.pending.len(), 1, "taking it again takes nothing else");
    rig.store.release(&leased.lease).await.expect("release");
    assert_eq!(rig.claim().await.len(), 1);
}
