//! Whole deployments: the real core on a model cluster and a store in memory, driven by workers.

#![allow(clippy::unwrap_used)] // also in what the tests share

use async_trait::async_trait;
use deploy_core::*;
use deploy_testkit::{
    MemoryStore, SeededEntropy,
    mocks::MockIpPool,
    sample,
    world::{Counters, Faults, ModelMachine, World},
};
use deploy_worker::{AuditReport, Doing, Limits, RunningWorker, Worker};
use jiff::{SignedDuration, Timestamp};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::Instant;

/// A clock over tokio's time, so that pausing one pauses both.
struct TokioClock(Instant);

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        sample::epoch() + SignedDuration::try_from(self.0.elapsed()).unwrap()
    }
}

/// The model cluster, with a look at how many clones run whenever a change is asked for.
struct Watched {
    world: World,
    most_clones: Mutex<usize>,
    questions: Mutex<usize>,
}

#[async_trait]
impl Hypervisor for Watched {
    async fn machine(&self, id: &MachineId, look: Look) -> Sighting {
        self.world.machine(id, look).await
    }

    async fn look_further(&self, id: &MachineId, seen: Box<Machine>, look: Look) -> Sighting {
        self.world.look_further(id, seen, look).await
    }

    async fn tasks(&self, cluster: &ClusterName, tasks: &[TaskId]) -> Vec<TaskState> {
        *self.questions.lock().unwrap() += 1;
        self.world.tasks(cluster, tasks).await
    }

    async fn holder(&self, machine: &MachineId, lock: &str) -> Holder {
        self.world.holder(machine, lock).await
    }

    async fn leftovers(&self, machine: &MachineId) -> Result<Vec<Leftover>, LookError> {
        self.world.leftovers(machine).await
    }

    async fn backups(&self, machine: &MachineId) -> Result<Backups, LookError> {
        self.world.backups(machine).await
    }

    async fn archived(&self, machine: &MachineId, backup: &Backup) -> Result<Shown, LookError> {
        self.world.archived(machine, backup).await
    }

    async fn inventory(&self, cluster: &ClusterName) -> Result<Vec<Summary>, LookError> {
        self.world.inventory(cluster).await
    }

    async fn submit(&self, target: &Target, change: &Change) -> Result<Submitted, SubmitError> {
        let submitted = self.world.submit(target, change).await;
        let is_cloned = |machine: &&ModelMachine| machine.lock.as_deref() == Some("clone");
        let clones = self.world.with(|cluster| cluster.machines.values().filter(is_cloned).count());
        let mut most = self.most_clones.lock().unwrap();
        *most = clones.max(*most);
        submitted
    }
}

/// Whoever was told what.
#[derive(Default)]
struct Heard(Mutex<BTreeMap<(VmKey, &'static str), Vec<NoticeId>>>);

#[async_trait]
impl Notifier for Heard {
    async fn notify(&self, notice: &QueuedNotice) -> Result<(), NotifyError> {
        let kind = match notice.notice {
            Notice::Ready => "ready",
            Notice::Terminated { .. } => "terminated",
            Notice::Vanished { .. } => "vanished",
            _ => "attention",
        };
        self.0.lock().unwrap().entry((notice.key, kind)).or_default().push(notice.id);
        Ok(())
    }
}

struct Bench {
    hypervisor: Arc<Watched>,
    store: Arc<MemoryStore>,
    deployments: Deployments,
    worker: Worker,
    heard: Arc<Heard>,
}

impl Bench {
    async fn new() -> Self {
        let clock: Arc<dyn Clock> = Arc::new(TokioClock(Instant::now()));
        let world = World::new(Arc::clone(&clock));
        let template = ModelMachine::template("node1".parse().unwrap());
        world.with(|cluster| cluster.add(sample::vmid(9000), template));
        let hypervisor = Arc::new(Watched { world, most_clones: Mutex::new(0), questions: Mutex::new(0) });
        let store = Arc::new(MemoryStore::new(Arc::clone(&clock)));
        let deployments =
            Deployments::new(Arc::clone(&store) as _, Arc::clone(&clock), Arc::new(SeededEntropy::new(7)));
        deployments.put_cluster(&sample::cluster(1000, 4999)).await.unwrap();
        let mut pool = MockIpPool::new();
        pool.expect_release().returning(|_| Ok(Vec::new()));
        let heard = Arc::new(Heard::default());
        let worker = Worker::new(Arc::clone(&hypervisor) as _, Arc::new(pool), Arc::clone(&store) as _)
            .with_clock(clock)
            .with_alive_for(Duration::from_secs(9))
            .with_notifier(Arc::clone(&heard) as _);
        Self { hypervisor, store, deployments, worker, heard }
    }

    async fn order(&self, machines: usize) -> Vec<VmKey> {
        let mut keys = Vec::new();
        for number in 0..machines {
            keys.push(self.order_one(&format!("order-{number}"), sample::spec()).await);
        }
        keys
    }

    async fn order_one(&self, reference: &str, spec: VmSpec) -> VmKey {
        let reference = reference.parse().unwrap();
        let created = self.deployments.create(reference, spec, serde_json::Value::Null).await;
        created.unwrap().record().key
    }

    async fn record(&self, key: VmKey) -> VmRecord {
        self.deployments.status(key).await.unwrap().unwrap()
    }

    /// How many machines are at this step.
    async fn at(&self, step: Step) -> usize {
        let query = ListQuery { terminated: true, limit: usize::MAX, ..ListQuery::default() };
        let records = self.store.list(&query).await.unwrap();
        records.iter().filter(|record| record.step == step).count()
    }

    async fn until_at(&self, step: Step, machines: usize) {
        let patience = Instant::now() + Duration::from_secs(4 * 3600);
        while self.at(step).await < machines {
            assert!(Instant::now() < patience, "only {} of {machines} at {step}", self.at(step).await);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn counters(&self) -> Counters {
        self.hypervisor.world.with(|cluster| cluster.counters.clone())
    }

    /// Every machine was cloned once, and nothing was done that must never be.
    fn assert_clean(&self, machines: usize) {
        let counters = self.counters();
        assert_eq!(counters.clones.values().copied().collect::<Vec<_>>(), vec![1; machines]);
        assert_eq!(
            (counters.misdirected, counters.unguarded, counters.overwritten, counters.clones_over),
            (0, 0, 0, 0)
        );
    }

    /// Every one of these machines was told this once.
    fn assert_told(&self, keys: &[VmKey], kind: &'static str) {
        let heard = self.heard.0.lock().unwrap();
        for key in keys {
            assert_eq!(heard.get(&(*key, kind)).map(Vec::len), Some(1), "{kind} of {key}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_hundred_orders_come_to_ready_within_the_limits() {
    let mut bench = Bench::new().await;
    bench.worker = bench.worker.with_limits(Limits { template: 10, clone_storage: 10, ..Limits::default() });
    let running = bench.worker.start();
    bench.deployments = bench.deployments.with_doorbell(running.doorbell());
    let started = Instant::now();
    let keys = bench.order(100).await;
    bench.until_at(Step::Ready, 100).await;
    let took = started.elapsed();
    // Ten at a time, eight seconds each, noticed within their own age and two seconds.
    assert!((80..140).contains(&took.as_secs()), "{took:?}");
    assert_eq!(*bench.hypervisor.most_clones.lock().unwrap(), 10);
    let questions = *bench.hypervisor.questions.lock().unwrap();
    assert!(questions < 600, "{questions} questions about tasks");
    running.drain().await.unwrap();
    bench.assert_clean(100);
    bench.assert_told(&keys, "ready");
}

#[tokio::test(start_paused = true)]
async fn a_machine_can_be_terminated_while_it_is_cloned() {
    let mut bench = Bench::new().await;
    let running = bench.worker.start();
    bench.deployments = bench.deployments.with_doorbell(running.doorbell());
    let keys = bench.order(1).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let activity = running.activity().await;
    assert!(matches!(activity[..], [ref machine] if matches!(machine.doing, Doing::Task(_))), "{activity:?}");
    bench.deployments.command(keys[0], Command::Terminate).await.unwrap();
    bench.until_at(Step::Terminated, 1).await;
    running.drain().await.unwrap();
    assert_eq!(bench.hypervisor.world.with(|cluster| cluster.machines.len()), 1, "only the template is left");
    bench.assert_told(&keys, "terminated");
    assert_eq!(bench.heard.0.lock().unwrap().len(), 1, "it was never ready");
}

#[tokio::test(start_paused = true)]
async fn faults_and_crashes_delay_and_nothing_else() {
    for seed in 0..10 {
        let bench = Bench::new().await;
        bench.hypervisor.world.with(|cluster| cluster.faults = Faults::seeded(seed, 400, 15));
        let keys = bench.order(25).await;
        let mut running: Vec<RunningWorker> = vec![bench.worker.start(), bench.worker.start()];
        for crash in 0..12_u64 {
            tokio::time::sleep(Duration::from_millis(900 + 731 * ((crash + seed) % 7))).await;
            drop(running.remove(0));
            running.push(bench.worker.start());
        }
        bench.until_at(Step::Ready, 25).await;
        for worker in running {
            worker.drain().await.unwrap();
        }
        bench.assert_clean(25);
        for key in &keys {
            bench.deployments.command(*key, Command::Terminate).await.unwrap();
        }
        bench.worker.run(bench.until_at(Step::Terminated, 25)).await.unwrap();
        let (machines, volumes) =
            bench.hypervisor.world.with(|cluster| (cluster.machines.len(), cluster.volumes.len()));
        assert_eq!((machines, volumes), (1, 1), "seed {seed}: something is left beside the template");
    }
}

#[tokio::test(start_paused = true)]
async fn cron_brings_machines_to_ready_too() {
    let bench = Bench::new().await;
    let keys = bench.order(10).await;
    let mut reports = Vec::new();
    while bench.at(Step::Ready).await < 10 {
        assert!(reports.len() < 20, "{reports:?}");
        reports.push(bench.worker.tick(Duration::from_secs(10)).await.unwrap());
        tokio::time::sleep(Duration::from_secs(50)).await;
    }
    assert_eq!(reports.iter().map(|report| report.ready).sum::<usize>(), 10);
    assert_eq!(reports.iter().map(|report| report.notices).sum::<usize>(), 10);
    assert_eq!((reports[0].machines, reports[0].waiting), (10, 10));
    bench.assert_clean(10);
    bench.assert_told(&keys, "ready");
    let idle = bench.worker.tick(Duration::from_secs(10)).await.unwrap();
    assert_eq!((idle.machines, idle.complete), (0, true));
}

/// Two workers look after the machines that rest: it costs one list while all is well, and nothing is told or made twice.
#[tokio::test(start_paused = true)]
async fn a_machine_that_vanishes_while_it_rests_is_noticed() {
    let mut bench = Bench::new().await;
    bench.worker = bench.worker.with_audit(Some(Duration::from_secs(60)));
    let redeploy = VmSpec { when_vanished: WhenVanished::Redeploy, ..sample::spec() };
    let left = bench.order_one("left", sample::spec()).await;
    let anew = bench.order_one("anew", redeploy).await;
    let running = [bench.worker.start(), bench.worker.start()];
    bench.until_at(Step::Ready, 2).await;
    let looks = bench.counters().looks;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(bench.counters().looks, looks, "nobody looks at a machine that is where it should be");

    let before = bench.record(anew).await;
    let gone = [bench.record(left).await.numbered.vmid, before.numbered.vmid];
    bench.hypervisor.world.with(|cluster| {
        cluster.machines.retain(|vmid, _| !gone.contains(vmid));
        cluster.volumes.retain(|_, volume| !gone.contains(&volume.vmid));
    });
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let record = bench.record(left).await;
    assert!(record.attention.is_some_and(|attention| attention.message.contains("has vanished")));
    let record = bench.record(anew).await;
    assert_eq!((record.step, record.attention, record.numbered), (Step::Ready, None, before.numbered));
    assert_ne!(record.smbios, before.smbios);
    assert_eq!(bench.counters().clones.values().copied().collect::<Vec<_>>(), [1, 2]);
    bench.assert_told(&[left, anew], "vanished");
    let readies = bench.heard.0.lock().unwrap()[&(anew, "ready")].len();
    assert_eq!(readies, 2, "once for each time that it became ready");

    // What is known to be gone can be taken away.
    bench.deployments.command(left, Command::Terminate).await.unwrap();
    bench.until_at(Step::Terminated, 1).await;
    for worker in running {
        worker.drain().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_ticks_from_cron_looks_for_vanished_machines_by_a_call_of_its_own() {
    let bench = Bench::new().await;
    let keys = bench.order(1).await;
    while bench.at(Step::Ready).await < 1 {
        bench.worker.tick(Duration::from_secs(60)).await.unwrap();
    }
    assert_eq!(bench.worker.audit().await.unwrap(), AuditReport { machines: 1, ..AuditReport::default() });
    let gone = bench.record(keys[0]).await.numbered.vmid;
    bench.hypervisor.world.with(|cluster| cluster.machines.remove(&gone));
    assert_eq!(bench.worker.audit().await.unwrap().checked, keys);
    assert_eq!(bench.worker.tick(Duration::from_secs(60)).await.unwrap().attention, 1);
}
