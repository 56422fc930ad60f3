//! What the engine sees and writes of one machine, from the order to `ready`.

use crate::watched::Watched;
use deploy_core::{
    AddressStore, Clock, Commit, Known, LeaseStore, Observation, OpenGate, RecordStore, RetryPolicy, Seams,
    Turned, VmRecord, VmSpec, turn,
};
use deploy_testkit::{
    ManualClock, MemoryStore,
    mocks::MockLeaseStore,
    sample,
    world::{ModelMachine, World},
};
use ip_pool::Pools;
use jiff::SignedDuration;
use std::sync::{Arc, Mutex, PoisonError};

/// How often the engine asks how a task stands.
const POLL: SignedDuration = SignedDuration::from_secs(1);

/// What a turn had in hand to decide by.
#[derive(Debug, Clone)]
pub struct Moment {
    /// The record before the turn.
    pub record: VmRecord,
    /// What was looked at, in this turn or in one before it that it still holds for.
    pub observation: Observation,
}

/// The commits of an order's deployment where nothing goes wrong, recorded from the core itself on a model of a cluster.
///
/// # Panics
/// Where the deployment does not come to its rest.
pub async fn deployment(spec: &VmSpec) -> Vec<Commit> {
    played(spec).await.1
}

/// What every turn of such a deployment decided by, in order.
///
/// # Panics
/// Where the deployment does not come to its rest.
pub async fn moments(spec: &VmSpec) -> Vec<Moment> {
    played(spec).await.0
}

async fn played(spec: &VmSpec) -> (Vec<Moment>, Vec<Commit>) {
    let clock = Arc::new(ManualClock::default());
    let world = Arc::new(World::new(clock.clone()));
    let mut template = ModelMachine::template(sample::parsed("node1"));
    template.config.agent = true;
    world.with(|cluster| {
        cluster.add(spec.template.vmid, template);
        cluster.shows_pools = true;
    });
    let memory = memory_store(spec, clock.clone()).await;
    let worker = sample::worker(1);
    memory.heartbeat(&worker, SignedDuration::from_hours(24)).await.expect("a heartbeat");
    let mut leased = memory.claim(worker.id, 1).await.expect("a claim").pop().expect("the order is due");
    let commits = Arc::new(Mutex::new(Vec::new()));
    let watched = Arc::new(Watched::new(world));
    let mut moments = Vec::new();
    let seams = Seams {
        hypervisor: watched.clone(),
        pool: Arc::new(Pools::new(Arc::new(memory))),
        store: Arc::new(recording(commits.clone())),
        clock: clock.clone(),
        gate: Arc::new(OpenGate),
        policy: RetryPolicy::default(),
        dns: None,
    };
    let mut known = Known::default();
    loop {
        let record = leased.record.clone();
        watched.begin(known.machine.clone());
        let turned = turn(&seams, &mut leased, std::mem::take(&mut known)).await.expect("a turn");
        moments.push(Moment { record, observation: watched.seen() });
        match turned {
            Turned::Again(machine) => known.machine = machine,
            Turned::Task(_, machine) => {
                known.machine = machine;
                clock.advance(POLL);
            }
            Turned::Until(at) => clock.set(at.max(clock.now())),
            Turned::Slot(slot) => panic!("an open gate is full: {slot}"),
            Turned::Rest => break,
        }
    }
    drop(seams);
    let commits = commits.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert!(commits.iter().all(|commit| commit.attention.is_none()), "something went wrong: {commits:#?}");
    (moments, commits)
}

/// A store with the order and the pools that it names.
async fn memory_store(spec: &VmSpec, clock: Arc<ManualClock>) -> MemoryStore {
    let memory = MemoryStore::new(clock);
    memory.put_cluster(&sample::cluster(100, 199)).await.expect("a cluster");
    let ranges = [
        ("public-v4", 24, sample::range("192.0.2.10", "192.0.2.19")),
        ("public-v6", 64, sample::range("2001:db8::10", "2001:db8::19")),
    ];
    for (name, prefix_len, range) in ranges {
        memory.put_pool(&sample::pool(name, prefix_len, &[range]), &[range]).await.expect("a pool");
    }
    memory.create(&sample::order_of(1, spec.clone())).await.expect("an order");
    memory
}

fn recording(commits: Arc<Mutex<Vec<Commit>>>) -> MockLeaseStore {
    let mut store = MockLeaseStore::new();
    store.expect_commit().returning(move |_, commit| {
        commits.lock().unwrap_or_else(PoisonError::into_inner).push(commit);
        Ok(())
    });
    store
}
