//! Workers: how long they live, and what becomes of what they held.

use super::{Rig, StoreFactory, rig::ALIVE};
use crate::sample;
use deploy_core::{Commit, CommitError, LeaseStore};
use jiff::SignedDuration;

/// From the heartbeat on, not from the end of the time before.
pub async fn a_heartbeat_prolongs_a_worker<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    rig.ordered(1).await;
    for _ in 0..3 {
        rig.clock.advance(ALIVE - SignedDuration::from_secs(1));
        rig.store.heartbeat(&rig.worker, ALIVE).await.expect("heartbeat in time");
    }
    assert_eq!(rig.claim().await.len(), 1);
}

/// Whether or not its machines are somebody else's already; and it stays so.
pub async fn a_late_heartbeat_is_fenced<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    rig.clock.advance(ALIVE);
    assert_eq!(rig.store.heartbeat(&rig.worker, ALIVE).await, Err(CommitError::Fenced));
    rig.store.sweep().await.expect("sweep");
    assert_eq!(rig.store.heartbeat(&rig.worker, ALIVE).await, Err(CommitError::Fenced));
    rig.clock.advance(SignedDuration::from_hours(1));
    rig.store.sweep().await.expect("sweep");
    assert_eq!(rig.store.heartbeat(&rig.worker, ALIVE).await, Err(CommitError::Fenced));
    rig.store.heartbeat(&sample::worker(2), ALIVE).await.expect("come back under a new id");
}

/// At once, not when the time is over; the id is not used again.
pub async fn retiring_releases_what_a_worker_holds<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let leased = rig.leased(1).await;
    rig.store.retire(rig.worker.id).await.expect("retire");
    rig.store.retire(sample::worker(9).id).await.expect("retiring somebody unknown is fine");
    let second = sample::worker(2);
    rig.store.heartbeat(&second, ALIVE).await.expect("a second worker");
    let again = rig.store.claim(second.id, 10).await.expect("claim");
    assert_eq!(again.iter().map(|leased| leased.lease.key).collect::<Vec<_>>(), [leased.lease.key]);
    assert_eq!(rig.store.commit(&leased.lease, Commit::default()).await, Err(CommitError::Fenced));
    assert_eq!(rig.store.heartbeat(&rig.worker, ALIVE).await, Err(CommitError::Fenced));
}

/// The worker only slept. When it wakes up, its machine is somebody else's, and it can do nothing to it.
pub async fn a_dead_workers_machines_are_swept_and_it_is_fenced<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let zombie = rig.leased(1).await;
    rig.clock.advance(ALIVE);
    let second = sample::worker(2);
    rig.store.heartbeat(&second, ALIVE).await.expect("a second worker");
    assert_eq!(rig.store.claim(second.id, 10).await.expect("claim"), [], "it is not swept yet");
    assert_eq!(rig.store.sweep().await.expect("sweep"), 1);
    assert_eq!(rig.store.sweep().await.expect("sweep again"), 0);
    let taken_over = rig.store.claim(second.id, 10).await.expect("claim").remove(0);
    assert!(taken_over.lease.epoch > zombie.lease.epoch);
    let write = Commit { failures: Some(9), ..Commit::default() };
    assert_eq!(rig.store.commit(&zombie.lease, write).await, Err(CommitError::Fenced));
    assert_eq!(rig.store.release(&zombie.lease).await, Err(CommitError::Fenced));
    assert_eq!(rig.store.reload(&taken_over.lease).await, Ok(taken_over.record));
}

/// Sweeping takes nothing from who lives.
pub async fn sweeping_leaves_the_living_alone<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let leased = rig.leased(1).await;
    rig.clock.advance(ALIVE - SignedDuration::from_micros(1));
    assert_eq!(rig.store.sweep().await.expect("sweep"), 0);
    rig.commit(&leased.lease, Commit { failures: Some(1), ..Commit::default() }).await;
}
