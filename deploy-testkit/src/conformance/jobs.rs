//! Jobs: one run at a time, not too often, and how the last one went.

use super::{Rig, StoreFactory};
use crate::sample;
use deploy_core::{
    Clock, CommitError, Job, JobOutcome, JobReport, JobRun, JobRunning, JobStart, JobStore, JobTerms, RunId,
};
use jiff::SignedDuration;
use uuid::Uuid;

const GAP: SignedDuration = SignedDuration::from_mins(10);
const ALIVE: SignedDuration = SignedDuration::from_mins(1);
const TERMS: JobTerms = JobTerms { gap: GAP, alive_for: ALIVE };

fn run(n: u32) -> JobRun {
    JobRun { id: RunId(Uuid::from_u128(0x70b << 64 | u128::from(n))), info: format!("host-{n}") }
}

fn done() -> JobOutcome {
    JobOutcome::Done { summary: "3 of 4 counted".to_owned() }
}

async fn begin<S: JobStore>(store: &S, n: u32) -> JobStart {
    store.begin_job(Job::Traffic, &run(n), TERMS).await.expect("an answer")
}

/// Until it ends, also where the time for the next one has come.
pub async fn a_job_has_one_run_at_a_time<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let since = rig.clock.now();
    assert_eq!(rig.store.jobs().await.expect("jobs"), []);
    assert_eq!(begin(&rig.store, 1).await, JobStart::Begun);
    rig.clock.advance(ALIVE - SignedDuration::from_micros(1));
    assert_eq!(begin(&rig.store, 2).await, JobStart::Busy { info: "host-1".to_owned(), since });
    rig.store.end_job(Job::Traffic, run(1).id, &done()).await.expect("end");
    rig.clock.advance(GAP);
    assert_eq!(begin(&rig.store, 2).await, JobStart::Begun);
}

/// Also where none has ever begun.
pub async fn runs_at_one_moment_are_one<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let starts = rig.at_once(1..9, |store, n| async move { begin(&store, n).await }).await;
    assert_eq!(starts.iter().filter(|start| **start == JobStart::Begun).count(), 1, "{starts:?}");
}

/// From beginning to beginning, however long the last one took.
pub async fn a_run_that_comes_too_early_is_told_when<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let next = rig.clock.now() + GAP;
    begin(&rig.store, 1).await;
    rig.clock.advance(SignedDuration::from_secs(30));
    rig.store.end_job(Job::Traffic, run(1).id, &done()).await.expect("end");
    assert_eq!(begin(&rig.store, 2).await, JobStart::Early { next });
    rig.clock.set(next - SignedDuration::from_micros(1));
    assert_eq!(begin(&rig.store, 2).await, JobStart::Early { next });
    rig.clock.set(next);
    assert_eq!(begin(&rig.store, 2).await, JobStart::Begun);
}

/// It died; the next one need not wait for the pause, and finds that out.
pub async fn the_lock_of_a_dead_run_is_free_when_its_time_is_over<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let began_at = rig.clock.now();
    begin(&rig.store, 1).await;
    let ended_at = rig.clock.advance(ALIVE);
    let died = JobReport { began_at, ended_at, outcome: JobOutcome::Died };
    let jobs = rig.store.jobs().await.expect("jobs");
    assert_eq!((jobs[0].running.clone(), jobs[0].last.clone()), (None, Some(died.clone())));
    assert_eq!(begin(&rig.store, 2).await, JobStart::Begun);
    let jobs = rig.store.jobs().await.expect("jobs");
    let running = JobRunning { info: "host-2".to_owned(), since: ended_at };
    assert_eq!((jobs[0].running.clone(), jobs[0].last.clone()), (Some(running), Some(died)));
}

/// For as long as it says so in time, from each time on.
pub async fn a_run_that_prolongs_its_lock_keeps_it<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    begin(&rig.store, 1).await;
    for _ in 0..30 {
        rig.clock.advance(ALIVE - SignedDuration::from_secs(1));
        rig.store.prolong_job(Job::Traffic, run(1).id, ALIVE).await.expect("in time");
        assert!(matches!(begin(&rig.store, 2).await, JobStart::Busy { .. }));
    }
}

/// It only slept. It can say nothing any more that would be taken for the other one's.
pub async fn a_late_run_is_fenced<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    assert_eq!(rig.store.end_job(Job::Traffic, run(1).id, &done()).await, Err(CommitError::Fenced));
    begin(&rig.store, 1).await;
    rig.clock.advance(ALIVE);
    assert_eq!(rig.store.prolong_job(Job::Traffic, run(1).id, ALIVE).await, Err(CommitError::Fenced));
    begin(&rig.store, 2).await;
    assert_eq!(rig.store.prolong_job(Job::Traffic, run(1).id, ALIVE).await, Err(CommitError::Fenced));
    assert_eq!(rig.store.end_job(Job::Traffic, run(1).id, &done()).await, Err(CommitError::Fenced));
    assert!(rig.store.jobs().await.expect("jobs")[0].running.is_some(), "the second one's lock is untouched");
}

/// Whoever did not hear the answer asks again.
pub async fn asking_again_under_one_run_is_answered_the_same<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let began_at = rig.clock.now();
    assert_eq!(begin(&rig.store, 1).await, JobStart::Begun);
    rig.clock.advance(SignedDuration::from_secs(9));
    assert_eq!(begin(&rig.store, 1).await, JobStart::Begun);
    let ended_at = rig.clock.now();
    for _ in 0..2 {
        rig.store.end_job(Job::Traffic, run(1).id, &done()).await.expect("end");
        rig.clock.advance(SignedDuration::from_secs(9));
    }
    let last = rig.store.jobs().await.expect("jobs")[0].last.clone();
    assert_eq!(last, Some(JobReport { began_at, ended_at, outcome: done() }));
}

/// Also while the next one runs.
pub async fn what_the_last_run_came_to_is_kept<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    begin(&rig.store, 1).await;
    rig.clock.advance(SignedDuration::from_secs(4));
    let failed = JobOutcome::Failed { message: "cluster pve: \u{1F4A5} no route to host".to_owned() };
    rig.store.end_job(Job::Traffic, run(1).id, &failed).await.expect("end");
    rig.clock.advance(GAP);
    begin(&rig.store, 2).await;
    let job = rig.store.jobs().await.expect("jobs").remove(0);
    let last = job.last.expect("the first run");
    assert_eq!((job.job, last.outcome.clone(), last.took().as_secs()), (Job::Traffic, failed, 4));
    assert!(job.running.is_some());
}

/// Each has a lock and a pause of its own.
pub async fn jobs_do_not_wait_for_one_another<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    for job in Job::ALL.iter().rev() {
        assert_eq!(rig.store.begin_job(*job, &run(1), TERMS).await.expect("an answer"), JobStart::Begun);
    }
    let listed: Vec<Job> = rig.store.jobs().await.expect("jobs").iter().map(|state| state.job).collect();
    assert_eq!(listed, Job::ALL);
}

/// So that a restart does not run everything at once.
pub async fn jobs_outlive_a_restart<F: StoreFactory>(factory: &F) {
    let rig = Rig::new(factory).await;
    let next = rig.clock.now() + GAP;
    begin(&rig.store, 1).await;
    rig.store.end_job(Job::Traffic, run(1).id, &done()).await.expect("end");
    let before = rig.store.jobs().await.expect("jobs");
    let rig = rig.reopened(factory).await;
    assert_eq!(rig.store.jobs().await.expect("jobs"), before);
    assert_eq!(begin(&rig.store, 2).await, JobStart::Early { next });
    assert!(next > sample::epoch());
}
