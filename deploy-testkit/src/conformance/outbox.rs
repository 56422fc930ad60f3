//! Notices: written with the commit that causes them, kept until delivered.

use super::{Rig, StoreFactory};
use crate::sample;
use deploy_core::{Clock, Commit, LeaseStore, Notice, NoticeId, QueuedNotice, RecordStore};
use jiff::SignedDuration;

fn terminated(address: &str) -> Notice {
    Notice::Terminated { addresses: vec![sample::parsed(address)] }
}

/// Oldest first, at most so many; delivered twice is delivered.
pub async fn notices_wait_in_order_until_delivered<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let lease = rig.leased(1).await.lease;
    let notices = [Notice::Ready, terminated("192.0.2.1"), Notice::Ready];
    for notice in &notices {
        rig.commit(&lease, Commit { notice: Some(notice.clone()), ..Commit::default() }).await;
        rig.clock.advance(SignedDuration::from_secs(1));
    }
    let queued = rig.store.notices(rig.worker.id, 10).await.expect("notices");
    assert_eq!(queued.iter().map(|queued| queued.notice.clone()).collect::<Vec<_>>(), notices);
    assert!(queued.windows(2).all(|pair| pair[0].id < pair[1].id && pair[0].at < pair[1].at));
    assert_eq!(rig.store.notices(rig.worker.id, 2).await.expect("notices"), queued[..2]);
    for _ in 0..2 {
        rig.store.delivered(queued[1].id).await.expect("delivered");
    }
    rig.store.delivered(NoticeId(123_456)).await.expect("one that never was");
    let left = rig.store.notices(rig.worker.id, 10).await.expect("notices");
    assert_eq!(left, [queued[0].clone(), queued[2].clone()]);
}

/// Two workers never deliver one notice, nor overtake one another with those of one machine; a dead one's are anybody's.
pub async fn a_notice_is_given_to_one_worker<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let second = sample::worker(2);
    rig.store.heartbeat(&second, SignedDuration::from_hours(1)).await.expect("a second worker");
    let [one, two] = [rig.leased(1).await.lease, rig.leased(2).await.lease];
    let ready = || Commit { notice: Some(Notice::Ready), ..Commit::default() };
    rig.commit(&one, ready()).await;
    let first = rig.store.notices(rig.worker.id, 10).await.expect("notices");
    assert_eq!(first.len(), 1);
    for lease in [&one, &two, &one] {
        rig.commit(lease, ready()).await;
    }
    let others = rig.store.notices(second.id, 10).await.expect("notices");
    assert_eq!(others.iter().map(|notice| notice.key).collect::<Vec<_>>(), [two.key]);
    let all_of_one = rig.store.notices(rig.worker.id, 10).await.expect("notices");
    assert_eq!(all_of_one.iter().map(|notice| notice.key).collect::<Vec<_>>(), [one.key; 3]);
    rig.clock.advance(SignedDuration::from_secs(60));
    let all = rig.store.notices(second.id, 10).await.expect("notices");
    assert_eq!(all.len(), 4, "the first worker's time is over");
    assert_eq!(rig.store.notices(sample::worker(3).id, 10).await.expect("notices"), []);
}

/// With the reference and the contact of the order.
pub async fn a_notice_names_whom_it_is_for<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    rig.store.create(&sample::order_of(1, sample::full_spec())).await.expect("order");
    rig.ordered(2).await;
    for leased in rig.claim().await {
        rig.commit(&leased.lease, Commit { notice: Some(Notice::Ready), ..Commit::default() }).await;
    }
    let queued = rig.store.notices(rig.worker.id, 10).await.expect("notices");
    let expected = |n: u32, contact| QueuedNotice {
        id: queued[n as usize - 1].id,
        key: sample::key(n),
        external_ref: sample::order(n).external_ref,
        contact,
        at: rig.clock.now(),
        notice: Notice::Ready,
    };
    assert_eq!(queued, [expected(1, Some(sample::parsed("ann@example.org"))), expected(2, None)]);
}

/// Receivers drop repetitions by the number, so a new notice never has an old one's.
pub async fn numbers_of_notices_are_not_used_again<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let lease = rig.leased(1).await.lease;
    rig.commit(&lease, Commit { notice: Some(Notice::Ready), ..Commit::default() }).await;
    let first = rig.store.notices(rig.worker.id, 10).await.expect("notices")[0].id;
    rig.store.delivered(first).await.expect("delivered");
    rig.store.release(&lease).await.expect("release");
    let rig = rig.reopened(factory).await;
    let lease = rig.claim().await[0].lease;
    // A store that keeps nothing gives the number on as well: it is still the same store.
    rig.commit(&lease, Commit { notice: Some(Notice::Ready), ..Commit::default() }).await;
    assert!(rig.store.notices(rig.worker.id, 10).await.expect("notices")[0].id > first);
}
