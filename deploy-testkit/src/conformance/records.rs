//! Records: everything comes back as it was written, also after a restart.

use super::{Rig, StoreFactory, commits::one_field_each};
use crate::sample;
use deploy_core::{
    AddressStore, Change, ClusterSettings, Command, CommandId, Commit, CommitError, Family, LeaseStore,
    ListQuery, LogEvent, LogId, Notice, Progress, RecordStore, Remembered, Sending, Step, VmKey,
};
use std::collections::BTreeSet;

/// An order with every option set, every field of its record changed, and a command waiting.
pub async fn everything_of_a_full_order_comes_back<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    rig.store.create(&sample::order_of(1, sample::full_spec())).await.expect("order");
    let leased = rig.claim().await.remove(0);
    let mut expected = leased.record.clone();
    for commit in one_field_each(&leased.record) {
        commit.apply(&mut expected);
        rig.commit(&leased.lease, commit).await;
    }
    rig.store.command(expected.key, CommandId(sample::key(5).0), Command::Retry).await.expect("command");
    let written = rig.record(expected.key).await;
    assert_eq!(written.pending.len(), 1);
    expected.pending.clone_from(&written.pending);
    expected.due = written.due;
    assert_eq!(written, expected);
    let rig = rig.reopened(factory).await;
    assert_eq!(rig.record(expected.key).await, expected);
    assert_eq!(rig.by_reference(&expected.external_ref).await, Some(expected.clone()));
    assert_eq!(rig.store.list(&ListQuery::default()).await.expect("list"), [expected]);
}

/// Each kind, with all that must be known of a change under way.
pub async fn every_progress_comes_back<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let lease = rig.leased(1).await.lease;
    let change = Sending {
        remember: BTreeSet::from([Remembered::PasswordWritten, Remembered::RulesInDoubt]),
        // Larger than what fits into a signed number or a float.
        fingerprint: u64::MAX - 1,
        ..Sending::from(&Change::Start)
    };
    let task = sample::parsed("UPID:node1:0000C530:001C9BEC:677E7A5C:qmclone:9000:root@pam:");
    for progress in [
        Progress::Intended { change: change.clone(), at: sample::epoch() },
        Progress::Submitted { task, change },
        Progress::Applied { fingerprint: 1 << 63 },
        Progress::Untried,
    ] {
        rig.commit(&lease, Commit { progress: Some(progress.clone()), ..Commit::default() }).await;
        assert_eq!(rig.record(lease.key).await.progress, progress);
    }
}

/// A restart may end leases, where it proves that their workers are gone, or not. In no case are there two.
pub async fn a_restart_never_doubles_a_lease<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let lease = rig.leased(1).await.lease;
    let rig = rig.reopened(factory).await;
    let claimed = rig.claim().await;
    let write = rig.store.commit(&lease, Commit { failures: Some(4), ..Commit::default() }).await;
    match claimed.as_slice() {
        [] => assert_eq!(write, Ok(()), "the lease that nobody else has is good"),
        [again] => {
            assert_eq!(write, Err(CommitError::Fenced));
            assert!(again.lease.epoch > lease.epoch);
            assert_eq!(rig.record(lease.key).await.failures, 0);
        }
        more => panic!("one machine, many leases: {more:?}"),
    }
}

/// Nothing that was answered is lost.
pub async fn logs_notices_and_pools_outlive_a_restart<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let ranges = [sample::range("2001:db8::10", "2001:db8::ffff")];
    rig.store.put_pool(&sample::pool("six", 64, &ranges), &ranges).await.expect("put a pool");
    let lease = rig.leased(1).await.lease;
    rig.store.take(&lease, &[sample::want(Family::V6, 3, &["six"])]).await.expect("take");
    let line = rig.line(LogEvent::Noted { what: "slots".to_owned() });
    let commit = Commit { log: Some(line), notice: Some(Notice::Ready), ..Commit::default() };
    rig.commit(&lease, commit).await;
    let before = (
        rig.store.events(LogId(0), 10).await,
        rig.store.notices(rig.worker.id, 10).await,
        rig.store.pools().await,
        rig.store.held(lease.key).await,
        rig.store.clusters().await,
    );
    assert_eq!(before.3.as_ref().map(Vec::len), Ok(3));
    let rig = rig.reopened(factory).await;
    let after = (
        rig.store.events(LogId(0), 10).await,
        rig.store.notices(rig.worker.id, 10).await,
        rig.store.pools().await,
        rig.store.held(lease.key).await,
        rig.store.clusters().await,
    );
    assert_eq!(before, after);
}

/// The turn is kept, and what is reserved is known.
pub async fn numbers_go_on_in_turn_after_a_restart<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    rig.resting(1, Step::Terminated).await;
    rig.ordered(2).await;
    let rig = rig.reopened(factory).await;
    assert_eq!(rig.ordered(3).await.numbered.vmid, sample::vmid(102));
}

/// By cluster, with or without the terminated ones, in the order of keys, page by page.
pub async fn lists_are_filtered_and_paged<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let other = ClusterSettings { name: sample::parsed("other"), ..sample::cluster(100, 199) };
    rig.store.put_cluster(&other).await.expect("another cluster");
    rig.resting(3, Step::Terminated).await;
    for n in [5, 2, 4] {
        rig.ordered(n).await;
    }
    let mut elsewhere = sample::order(1);
    elsewhere.spec.cluster = other.name.clone();
    rig.store.create(&elsewhere).await.expect("order elsewhere");
    let listed = async |query: ListQuery| -> Vec<VmKey> {
        rig.store.list(&query).await.expect("list").iter().map(|record| record.key).collect()
    };
    let keys = |numbers: &[u32]| numbers.iter().map(|n| sample::key(*n)).collect::<Vec<_>>();
    assert_eq!(listed(ListQuery::default()).await, keys(&[1, 2, 4, 5]));
    let all = ListQuery { terminated: true, ..ListQuery::default() };
    assert_eq!(listed(all.clone()).await, keys(&[1, 2, 3, 4, 5]));
    let here = ListQuery { cluster: Some(sample::cluster_name()), ..all.clone() };
    assert_eq!(listed(here).await, keys(&[2, 3, 4, 5]));
    let there = ListQuery { cluster: Some(other.name), ..ListQuery::default() };
    assert_eq!(listed(there).await, keys(&[1]));
    let page = ListQuery { after: Some(sample::key(2)), limit: 2, ..all };
    assert_eq!(listed(page).await, keys(&[3, 4]));
}

/// And changed ones are changed, not doubled.
pub async fn clusters_are_listed_by_name<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let other = ClusterSettings { name: sample::parsed("alpha"), ..sample::cluster(500, 599) };
    rig.store.put_cluster(&other).await.expect("another cluster");
    let changed = sample::cluster(1000, 1999);
    rig.store.put_cluster(&changed).await.expect("change");
    assert_eq!(rig.store.clusters().await.expect("clusters"), [other, changed]);
}
