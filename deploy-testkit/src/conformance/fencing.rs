//! The fence: whoever lost a machine changes nothing of it.

use super::{Rig, StoreFactory};
use crate::sample;
use deploy_core::{
    AddressStore, Command, CommandId, Commit, CommitError, Due, Family, HeldAddress, Lease, LeaseStore,
    LogEntry, LogEvent, LogId, Notice, PoolUsage, QueuedNotice, RecordStore, RenumberError, Step, TakeError,
    VmRecord,
};

/// All that a store shows of a machine.
#[derive(Debug, PartialEq)]
struct Shown {
    record: Option<VmRecord>,
    log: Vec<LogEntry>,
    notices: Vec<QueuedNotice>,
    pools: Vec<PoolUsage>,
    held: Vec<HeldAddress>,
}

async fn shown<S: LeaseStore + RecordStore + AddressStore>(store: &S, lease: &Lease) -> Shown {
    Shown {
        record: store.get(lease.key).await.expect("get"),
        log: store.log(lease.key, LogId(0), 100).await.expect("log"),
        notices: store.notices(sample::worker(1).id, 100).await.expect("notices"),
        pools: store.pools().await.expect("pools"),
        held: store.held(lease.key).await.expect("held"),
    }
}

/// Tries everything that a lease allows, and expects to be fenced off without a trace.
async fn expect_fenced<S>(rig: &Rig<S>, lease: &Lease)
where
    S: LeaseStore + RecordStore + AddressStore + Clone + 'static,
{
    let before = shown(&rig.store, lease).await;
    let consume = before.record.as_ref().and_then(|record| record.pending.first()).map(|queued| queued.id);
    let everything = Commit {
        step: Some(Step::Terminated),
        failures: Some(9),
        due: Some(Due::OnCommand),
        consume,
        log: Some(rig.line(LogEvent::Began)),
        notice: Some(Notice::Ready),
        ..Commit::default()
    };
    assert_eq!(rig.store.commit(lease, everything).await, Err(CommitError::Fenced));
    assert_eq!(rig.store.commit(lease, Commit::default()).await, Err(CommitError::Fenced));
    assert_eq!(rig.store.release(lease).await, Err(CommitError::Fenced));
    assert_eq!(rig.store.reload(lease).await, Err(CommitError::Fenced));
    assert_eq!(rig.store.renumber(lease, sample::vmid(100)).await, Err(RenumberError::Fenced));
    let want = sample::want(Family::V4, 1, &["public"]);
    assert_eq!(rig.store.take(lease, &[want]).await, Err(TakeError::Fenced));
    assert_eq!(rig.store.give_back(lease).await, Err(CommitError::Fenced));
    assert_eq!(shown(&rig.store, lease).await, before);
}

async fn with_pool<F: StoreFactory>(factory: &F) -> Rig<F::Store> {
    let rig = Rig::new(factory).await;
    let ranges = [sample::range("192.0.2.10", "192.0.2.20")];
    rig.store.put_pool(&sample::pool("public", 24, &ranges), &ranges).await.expect("put a pool");
    rig
}

/// The machine is leased again, to the same worker, with a command waiting and an address held.
pub async fn an_old_epoch_is_fenced_and_changes_nothing<F: StoreFactory>(factory: &F) {
    let rig = with_pool(factory).await;
    let old = rig.leased(1).await.lease;
    rig.store.release(&old).await.expect("release");
    let new = rig.claim().await[0].lease;
    rig.store.take(&new, &[sample::want(Family::V4, 1, &["public"])]).await.expect("take");
    rig.store.command(new.key, CommandId(sample::key(5).0), Command::Terminate).await.expect("command");
    expect_fenced(&rig, &old).await;
    rig.commit(&new, Commit { failures: Some(1), ..Commit::default() }).await;
}

/// Nobody's machine is not the last one's either.
pub async fn a_released_lease_is_fenced<F: StoreFactory>(factory: &F) {
    let rig = with_pool(factory).await;
    let lease = rig.leased(1).await.lease;
    rig.store.release(&lease).await.expect("release");
    expect_fenced(&rig, &lease).await;
}

/// The epoch alone is not enough.
pub async fn another_workers_lease_is_fenced<F: StoreFactory>(factory: &F) {
    let rig = with_pool(factory).await;
    let lease = rig.leased(1).await.lease;
    expect_fenced(&rig, &Lease { worker: sample::worker(2).id, ..lease }).await;
    expect_fenced(&rig, &Lease { epoch: lease.epoch + 1, ..lease }).await;
}

/// Many machines' commits go out together; one of them is fenced, the others are none the worse.
pub async fn only_the_fenced_one_of_many_fails<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    for n in 1..=60 {
        rig.ordered(n).await;
    }
    let leases: Vec<Lease> = rig.claim().await.iter().map(|leased| leased.lease).collect();
    let lost = leases[23];
    rig.store.release(&lost).await.expect("release");
    let line = rig.line(LogEvent::Noted { what: "slots".to_owned() });
    let commit = Commit { failures: Some(3), log: Some(line), ..Commit::default() };
    let answers = rig
        .at_once(leases.clone(), move |store, lease| {
            let commit = commit.clone();
            async move { store.commit(&lease, commit).await }
        })
        .await;
    for (lease, answer) in leases.iter().zip(answers) {
        let fenced = *lease == lost;
        assert_eq!(answer, if fenced { Err(CommitError::Fenced) } else { Ok(()) });
        assert_eq!(rig.record(lease.key).await.failures, if fenced { 0 } else { 3 });
        assert_eq!(rig.log(lease.key).await.len(), if fenced { 1 } else { 2 });
    }
}
