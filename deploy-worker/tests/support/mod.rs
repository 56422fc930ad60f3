//! A store in memory with machines that are ready, on a model cluster that can be down or hang.

#![allow(clippy::unwrap_used)] // these are tests

use async_trait::async_trait;
use deploy_core::*;
use deploy_testkit::{
    MemoryStore, SeededEntropy,
    mocks::MockIpPool,
    sample,
    world::{Cluster, ModelMachine, World},
};
use deploy_worker::{JobTick, Jobs, Worker};
use jiff::{SignedDuration, Timestamp};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::Instant;

pub(crate) const MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// A clock over tokio's time, so that pausing one pauses both; it can leap, as for a process that was frozen.
pub(crate) struct TokioClock {
    began: Instant,
    leapt: AtomicI64,
}

impl TokioClock {
    pub(crate) fn leap(&self, seconds: i64) {
        self.leapt.fetch_add(seconds, Relaxed);
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        let leapt = SignedDuration::from_secs(self.leapt.load(Relaxed));
        sample::epoch() + SignedDuration::try_from(self.began.elapsed()).unwrap() + leapt
    }
}

/// The model cluster, whose lists may not come.
pub(crate) struct Clusters {
    pub(crate) world: World,
    down: AtomicBool,
    hangs: AtomicBool,
}

impl Clusters {
    pub(crate) fn down(&self, down: bool) {
        self.down.store(down, Relaxed);
    }

    pub(crate) fn hang(&self, hangs: bool) {
        self.hangs.store(hangs, Relaxed);
    }
}

#[async_trait]
impl Surveyor for Clusters {
    async fn survey(&self, cluster: &ClusterName) -> Result<Survey, LookError> {
        while self.hangs.load(Relaxed) {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        if self.down.load(Relaxed) {
            return Err(LookError { class: ErrorClass::Unreachable, message: "no route".to_owned() });
        }
        self.world.survey(cluster).await
    }

    async fn inspect(&self, id: &MachineId) -> Inspection {
        self.world.inspect(id).await
    }
}

#[async_trait]
impl Hypervisor for Clusters {
    async fn machine(&self, id: &MachineId, look: Look) -> Sighting {
        self.world.machine(id, look).await
    }

    async fn tasks(&self, cluster: &ClusterName, tasks: &[TaskId]) -> Vec<TaskState> {
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
        self.world.submit(target, change).await
    }
}

pub(crate) struct Bench {
    pub(crate) clusters: Arc<Clusters>,
    pub(crate) clock: Arc<TokioClock>,
    pub(crate) store: MemoryStore,
    pub(crate) worker: Worker,
    pub(crate) jobs: Jobs,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        let clock = Arc::new(TokioClock { began: Instant::now(), leapt: AtomicI64::new(0) });
        let world = World::new(clock.clone());
        let clusters =
            Arc::new(Clusters { world, down: AtomicBool::new(false), hangs: AtomicBool::new(false) });
        let store = MemoryStore::new(clock.clone());
        store.put_cluster(&sample::cluster(100, 999)).await.unwrap();
        let shared = Arc::new(store.clone());
        let worker = Worker::new(clusters.clone() as _, Arc::new(MockIpPool::new()), shared.clone() as _)
            .with_clock(clock.clone());
        let jobs = Jobs::new(clusters.clone(), shared)
            .with_clock(clock.clone())
            .with_entropy(Arc::new(SeededEntropy::new(5)))
            .with_info("here");
        Self { clusters, clock, store, worker, jobs }
    }

    /// A machine that is ready, in the store and on the cluster, as ordered.
    pub(crate) async fn ready(&self, n: u32) -> VmRecord {
        self.at_rest(n, Step::Ready).await
    }

    /// The same, at this step.
    pub(crate) async fn at_rest(&self, n: u32, step: Step) -> VmRecord {
        let key = self.store.create(&sample::order(n)).await.unwrap().record().key;
        let worker = sample::worker(9);
        self.store.heartbeat(&worker, SignedDuration::from_hours(900)).await.unwrap();
        let leased = self.store.claim(worker.id, 9).await.unwrap().remove(0);
        let commit = Commit {
            step: Some(step),
            due: Some(Due::OnCommand),
            smbios: Some(Some(SmbiosUuid(uuid::Uuid::from_u128(n.into())))),
            ..Commit::default()
        };
        self.store.commit(&leased.lease, commit).await.unwrap();
        self.store.release(&leased.lease).await.unwrap();
        let record = self.store.get(key).await.unwrap().unwrap();
        let since = self.clock.now() - MINUTE * 120;
        self.world(|cluster| cluster.add(record.numbered.vmid, machine(&record, since)));
        record
    }

    pub(crate) fn world<T>(&self, act: impl FnOnce(&mut Cluster) -> T) -> T {
        self.clusters.world.with(act)
    }

    pub(crate) fn change(&self, record: &VmRecord, change: impl FnOnce(&mut ModelMachine)) {
        self.world(|cluster| change(cluster.machines.get_mut(&record.numbered.vmid).unwrap()));
    }

    /// Sets what its NICs have counted.
    pub(crate) fn count(&self, record: &VmRecord, received: u64, sent: u64) {
        self.change(record, |machine| machine.counted = Traffic { received, sent });
    }

    pub(crate) async fn total(&self, record: &VmRecord) -> (u64, u64) {
        let totals = self.store.traffic_totals(&[record.key]).await.unwrap();
        totals.first().map_or((0, 0), |total| (total.total.received, total.total.sent))
    }

    pub(crate) async fn tick(&self) -> Vec<(Job, JobTick)> {
        self.jobs.tick(&self.worker, Duration::from_secs(20)).await
    }

    /// A tick of another process.
    pub(crate) async fn tick_of_others(&self) -> Vec<(Job, JobTick)> {
        let others = self.jobs.clone().with_info("there").with_entropy(Arc::new(SeededEntropy::new(6)));
        others.tick(&self.worker, Duration::from_secs(20)).await
    }

    /// Another process takes a job whose run stood still for longer than its lock lives.
    pub(crate) async fn take_over(&self, job: Job) {
        self.clock.leap(61);
        let run = JobRun { id: RunId(uuid::Uuid::from_u128(1)), info: "there".to_owned() };
        let terms = JobTerms { gap: SignedDuration::ZERO, alive_for: SignedDuration::from_hours(1) };
        assert_eq!(self.store.begin_job(job, &run, terms).await.unwrap(), JobStart::Begun);
    }

    pub(crate) async fn snapshot(&self, record: &VmRecord, name: &str, description: &str) {
        let target = Target {
            machine: record.machine_id(),
            mark: record.mark(),
            smbios: record.smbios,
            revision: None,
            not_after: None,
        };
        let change =
            Change::CreateSnapshot { name: name.parse().unwrap(), description: description.to_owned() };
        self.clusters.world.submit(&target, &change).await.unwrap();
        tokio::time::sleep(Duration::from_secs(10)).await;
    }

    pub(crate) fn snapshots(&self, record: &VmRecord) -> Vec<String> {
        self.world(|cluster| {
            let machine = &cluster.machines[&record.numbered.vmid];
            machine.snapshots.iter().map(|snapshot| snapshot.shown.name.to_string()).collect()
        })
    }

    /// Something is to be done to it.
    pub(crate) async fn command(&self, record: &VmRecord) {
        let id = CommandId(uuid::Uuid::from_u128(3));
        self.store.command(record.key, id, Command::Terminate).await.unwrap();
    }
}

/// The record's machine, as ordered.
pub(crate) fn machine(record: &VmRecord, running_since: Timestamp) -> ModelMachine {
    let mut machine = ModelMachine::template("node1".parse().unwrap());
    machine.template = false;
    machine.power = Power::Running;
    machine.running_since = Some(running_since);
    machine.config.name = Some(record.numbered.pve_name.clone());
    machine.config.smbios = record.smbios;
    machine.config.description = record.mark().to_string();
    machine.config.sockets = Some(record.spec.sockets);
    machine.config.cores = Some(record.spec.cores);
    machine.config.memory = Some(record.spec.memory);
    for disk in machine.config.disks.values_mut() {
        disk.size = Some(record.spec.system_disk.size.bytes());
    }
    machine
}
