use crate::{
    clock::minutes,
    customer::{Customer, Wish},
    operator::Operator,
    people::People,
    plan::Plan,
    process::{Bells, Process},
    stage::Stage,
    story, verdict,
};
use deploy_core::{ListQuery, LogId, RecordStore, VmKey, VmRecord};
use std::{
    collections::BTreeMap,
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};
use tokio::{task::JoinSet, time::Instant};

/// So long everything may take to come to rest once it is calm: PVE's own time-outs, the longest backoff, a human who
/// comes by now and then.
const REST: Duration = minutes(12 * 60);

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What is not as it must be; empty where all is well.
    pub violations: Vec<String>,
    /// A fingerprint of everything that was written down: the same plan leaves the same.
    pub fingerprint: u64,
    /// How much virtual time passed.
    pub passed: Duration,
    /// Requests to the cluster.
    pub requests: u64,
    /// Faults that the cluster met.
    pub faults: u64,
}

impl Outcome {
    /// Whether all is as it must be.
    pub fn is_sound(&self) -> bool {
        self.violations.is_empty()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.violations.iter().map(|violation| format!("  {violation}")).collect();
        f.write_str(&lines.join("\n"))
    }
}

/// Runs a plan, in virtual time, on this thread.
pub fn run(plan: &Plan) -> Outcome {
    block_on(play(plan.clone(), false)).0
}

/// Runs a plan, and tells everything that happened, line by line.
pub fn run_and_tell(plan: &Plan) -> (Outcome, Vec<String>) {
    block_on(play(plan.clone(), true))
}

fn block_on<T>(play: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime without IO");
    runtime.block_on(play)
}

async fn play(plan: Plan, told: bool) -> (Outcome, Vec<String>) {
    let started = Instant::now();
    let stage = Arc::new(Stage::set(plan.clone(), told).await);
    let bells = Arc::new(Bells::default());
    let mut actors = JoinSet::new();
    for n in 0..plan.workers {
        actors.spawn(Process::new(Arc::clone(&stage), Arc::clone(&bells), n).live());
    }
    actors.spawn(Operator::new(Arc::clone(&stage)).live());
    actors.spawn(Arc::clone(&stage.witness).live(Arc::clone(&stage)));
    let mut customers = JoinSet::new();
    for n in 0..plan.machines {
        let panel = stage.panel.clone().with_doorbell(bells.clone());
        customers.spawn(Customer::new(Arc::clone(&stage), panel, n).live());
    }
    let mut wishes = BTreeMap::new();
    while let Some(wish) = customers.join_next().await {
        let (key, wish) = wish.expect("a customer never fails");
        wishes.insert(key, wish);
    }
    tokio::time::sleep_until(started + plan.chaos).await;
    stage.calm_down();
    let mut violations = come_to_rest(&stage, &wishes).await;
    violations.extend(stage.witness.violations());
    violations.extend(verdict::judge(&stage, &wishes).await);
    if let Some(panicked) = broken(&mut actors) {
        violations.push(panicked);
    }
    let (requests, faults) = stage.sim.with_cluster(|cluster| {
        let counters = cluster.counters();
        (counters.total_requests(), counters.faults.values().sum())
    });
    let (fingerprint, passed) = (fingerprint(&stage).await, started.elapsed());
    let story = if told { story::tell(&stage).await } else { Vec::new() };
    (Outcome { violations, fingerprint, passed, requests, faults }, story)
}

/// Waits until every machine is where it was wanted, and says which are not.
async fn come_to_rest(stage: &Stage, wishes: &BTreeMap<VmKey, Wish>) -> Vec<String> {
    let until = Instant::now() + REST;
    let mut rested = false;
    loop {
        let people = People::of(stage);
        let records = records(stage).await;
        let restless: Vec<&VmRecord> =
            records.iter().filter(|record| !rests(record) && !people.may_stand(record)).collect();
        let rests = restless.is_empty() && records.len() == wishes.len();
        if rests && rested {
            return Vec::new();
        }
        rested = rests;
        if Instant::now() > until {
            return restless.iter().map(|record| complaint(record)).collect();
        }
        // Longer than a request that was lost may take to arrive, and than it takes to notice what vanished.
        tokio::time::sleep(minutes(12)).await;
    }
}

fn rests(record: &VmRecord) -> bool {
    record.step.is_rest() && record.pending.is_empty() && record.life.queue.is_empty()
}

fn complaint(record: &VmRecord) -> String {
    format!(
        "{} does not come to rest: {} {} {:?}, {} failures, attention {:?}, waiting {:?}",
        record.external_ref.as_str(),
        record.operation,
        record.step,
        record.progress,
        record.failures,
        record.attention,
        record.waiting,
    )
}

pub(crate) async fn records(stage: &Stage) -> Vec<VmRecord> {
    let all = ListQuery { terminated: true, limit: usize::MAX, ..ListQuery::default() };
    stage.store.list(&all).await.expect("a list")
}

/// An actor that ended although none does.
fn broken(actors: &mut JoinSet<()>) -> Option<String> {
    actors.try_join_next().map(|ended| format!("an actor ended: {ended:?}"))
}

async fn fingerprint(stage: &Stage) -> u64 {
    let log = stage.store.events(LogId::default(), usize::MAX).await.expect("a log");
    let mut hasher = DefaultHasher::new();
    format!("{log:?}").hash(&mut hasher);
    hasher.finish()
}
