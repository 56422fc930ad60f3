//! How long the deploy log is kept.

use super::{Rig, StoreFactory};
use crate::sample;
use deploy_core::{
    Clock, Commit, Lease, LeaseStore, LogEvent, LogId, LogKeep, LogPruned, LogRetention, RecordStore, Step,
};
use jiff::SignedDuration;
use std::num::NonZeroU32;

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Writes a line a day.
async fn write<S>(rig: &Rig<S>, lease: &Lease, text: &str)
where
    S: LeaseStore + RecordStore + Clone + 'static,
{
    let line = rig.line(LogEvent::Noted { what: text.to_owned() });
    rig.commit(lease, Commit { log: Some(line), ..Commit::default() }).await;
    rig.clock.advance(DAY);
}

/// A machine with a line a day, on four days, and one that is terminated on the last of them; a worker that lives on.
async fn four_days<F: StoreFactory>(factory: &F) -> Rig<F::Store> {
    let rig = Rig::new(factory).await;
    rig.store.heartbeat(&rig.worker, DAY * 30).await.expect("a long life");
    let living = rig.leased(1).await.lease;
    let ending = rig.leased(2).await.lease;
    rig.clock.advance(DAY);
    for text in ["one", "two", "three"] {
        write(&rig, &living, text).await;
    }
    rig.commit(&ending, Commit { log: Some(rig.line(LogEvent::Began)), ..Commit::default() }).await;
    rig.come_to_rest(&ending, Step::Terminated).await;
    rig
}

fn living(count: u32) -> Option<NonZeroU32> {
    NonZeroU32::new(count)
}

async fn prune<S: LogRetention>(store: &S, keep: LogKeep) -> LogPruned {
    store.prune_log(&keep, LogId(0), 1000).await.expect("prune")
}

/// What each machine's log says.
async fn logs<S>(rig: &Rig<S>) -> [Vec<String>; 2]
where
    S: LeaseStore + RecordStore + Clone + 'static,
{
    let of =
        async |n| rig.log(sample::key(n)).await.iter().map(|entry| entry.line.event.to_string()).collect();
    [of(1).await, of(2).await]
}

/// All of it, if that is old; of living machines nothing, unless that is said.
pub async fn the_old_log_of_terminated_machines_goes<F: StoreFactory>(factory: &F) {
    let rig = four_days(factory).await;
    let (now, noted) = (rig.clock.now(), ["ordered", "noted: one", "noted: two", "noted: three"]);
    let pruned = prune(&rig.store, LogKeep { since: now, of_living: None }).await;
    assert_eq!(pruned, LogPruned { deleted: 1, next: None });
    assert_eq!(logs(&rig).await, [noted.map(str::to_owned).to_vec(), vec!["began".to_owned()]]);
    rig.clock.advance(DAY);
    let since = rig.clock.now();
    assert_eq!(prune(&rig.store, LogKeep { since, of_living: None }).await.deleted, 1);
    assert_eq!(logs(&rig).await, [noted.map(str::to_owned).to_vec(), Vec::new()]);
    assert!(rig.store.get(sample::key(2)).await.expect("get").is_some(), "the record stays");
}

/// However old, and whatever else is deleted.
pub async fn the_newest_of_a_living_machine_stay<F: StoreFactory>(factory: &F) {
    let rig = four_days(factory).await;
    rig.clock.advance(DAY);
    let since = rig.clock.now();
    for (count, deleted, left) in [
        (9, 2, ["ordered", "noted: one", "noted: two", "noted: three"].as_slice()),
        (3, 1, &["noted: one", "noted: two", "noted: three"]),
        (3, 0, &["noted: one", "noted: two", "noted: three"]),
        (1, 2, &["noted: three"]),
    ] {
        let pruned = prune(&rig.store, LogKeep { since, of_living: living(count) }).await;
        assert_eq!(pruned, LogPruned { deleted, next: None }, "{count}");
        assert_eq!(logs(&rig).await, [left.iter().map(ToString::to_string).collect(), Vec::new()]);
    }
}

/// Also where there are more than are to be kept.
pub async fn what_is_young_stays<F: StoreFactory>(factory: &F) {
    let rig = four_days(factory).await;
    // Ordered on the first day, then a line each on the second, third and fourth; the other ended on the fifth.
    let since = rig.clock.now() - DAY * 2;
    let pruned = prune(&rig.store, LogKeep { since, of_living: living(1) }).await;
    assert_eq!(pruned, LogPruned { deleted: 3, next: None });
    let left = [vec!["noted: two".to_owned(), "noted: three".to_owned()], vec!["began".to_owned()]];
    assert_eq!(logs(&rig).await, left);
}

/// A line that is said again is as young as it was said last.
pub async fn what_happened_again_is_young_again<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    rig.store.heartbeat(&rig.worker, DAY * 30).await.expect("a long life");
    let lease = rig.leased(1).await.lease;
    for _ in 0..3 {
        write(&rig, &lease, "again").await;
    }
    write(&rig, &lease, "last").await;
    let keep = |days: i32| LogKeep { since: rig.clock.now() - DAY * days, of_living: living(1) };
    assert_eq!(prune(&rig.store, keep(2)).await.deleted, 1, "the order alone");
    let log = rig.log(lease.key).await;
    assert_eq!(log.iter().map(|entry| entry.times).collect::<Vec<_>>(), [3, 1]);
    assert_eq!(prune(&rig.store, keep(1)).await.deleted, 1);
    // The line that would be counted once more is always there.
    write(&rig, &lease, "last").await;
    assert_eq!(rig.log(lease.key).await.iter().map(|entry| entry.times).collect::<Vec<_>>(), [2]);
}

/// A call looks at so many entries, says where it stopped, and ends where the log is young.
pub async fn the_log_is_pruned_in_small_steps<F: StoreFactory>(factory: &F) {
    let rig = four_days(factory).await;
    let young = rig.clock.now() - DAY;
    let all = rig.store.events(LogId(0), 100).await.expect("events");
    assert_eq!(all.len(), 6);
    let keep = LogKeep { since: young, of_living: living(1) };
    let (mut after, mut deleted, mut steps) = (LogId(0), Vec::new(), Vec::new());
    loop {
        let pruned = rig.store.prune_log(&keep, after, 2).await.expect("prune");
        deleted.push(pruned.deleted);
        let Some(next) = pruned.next else { break };
        after = next;
        steps.push(next);
    }
    // The fourth day's line is the newest and not old; it is where the third call ends.
    assert_eq!((deleted, steps), (vec![2, 2, 0], vec![all[1].id, all[3].id]));
    assert_eq!(rig.store.events(LogId(0), 100).await.expect("events"), all[4..]);
    let nothing = rig.store.prune_log(&keep, all[5].id, 2).await.expect("prune");
    assert_eq!(nothing, LogPruned::default());
}

/// A cursor that stands at an entry which is gone leads on all the same.
pub async fn numbers_of_entries_are_not_used_again<F: StoreFactory>(factory: &F) {
    let rig = four_days(factory).await;
    rig.clock.advance(DAY);
    let before = rig.store.events(LogId(0), 100).await.expect("events");
    let keep = LogKeep { since: rig.clock.now(), of_living: None };
    prune(&rig.store, keep).await;
    rig.store.create(&sample::order(3)).await.expect("order");
    let rig = rig.reopened(factory).await;
    let cursor = before.last().expect("entries").id;
    let news = rig.store.events(cursor, 100).await.expect("events");
    assert_eq!(news.iter().map(|entry| entry.key).collect::<Vec<_>>(), [sample::key(3)]);
}
