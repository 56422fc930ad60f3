//! A cluster, a store, pools, and turns taken by hand.

use deploy_core::{
    Clock, ClusterSettings, Command, Deployments, Doorbell, Entropy, Family, Known, LeaseStore, Leased,
    LogEntry, LogId, NoDoorbell, OpenGate, Progress, RetryPolicy, Seams, Step, TaskState, Turned, VmKey,
    VmRecord, VmSpec, Vmid, VmidRange, WorkerId, WorkerInfo, turn,
};
use ip_pool::{PoolDefinition, Pools};
use jiff::{SignedDuration, Timestamp};
use proxmox_api::{ApiToken, Client, Credentials, Proxmox, Trust};
use proxmox_sim::{ClusterConfig, Running, Server, ServerOptions};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use store_sqlite::SqliteStore;

/// The time of this machine: the simulator runs by it too.
pub(super) struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// Everything a deployment needs.
pub(super) struct Bench {
    pub(super) sim: Running,
    pub(super) store: SqliteStore,
    pub(super) pools: Pools<SqliteStore>,
    pub(super) deployments: Deployments,
    pub(super) seams: Seams,
    worker: WorkerInfo,
    _folder: tempfile::TempDir,
}

/// Whatever a test is about: nothing was sent that no server would have taken.
impl Drop for Bench {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.sim.counters().off_schema, []);
        }
    }
}

impl Bench {
    pub(super) async fn new() -> Self {
        Self::with(ClusterConfig::quick()).await
    }

    pub(super) async fn with(config: ClusterConfig) -> Self {
        let sim = Server::start(config, ServerOptions::default()).await.expect("simulator");
        let client = client(&sim, &[sim.url()], sim.token());
        Self::around(sim, client).await
    }

    /// A bench whose client is given, for what goes wrong on the way to the cluster.
    pub(super) async fn around(sim: Running, client: Client) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let clock: Arc<dyn Clock> = Arc::new(WallClock);
        let entropy: Arc<dyn Entropy> = Arc::new(deploy_testkit::SeededEntropy::new(7));
        let store = SqliteStore::open(folder.path().join("deploy.db"), clock.clone()).await.expect("store");
        let shared = Arc::new(store.clone());
        let pools = Pools::new(shared.clone());
        let doorbell: Arc<dyn Doorbell> = Arc::new(NoDoorbell);
        let deployments =
            Deployments::new(shared.clone(), clock.clone(), entropy.clone()).with_doorbell(doorbell);
        let seams = Seams {
            hypervisor: Arc::new(Proxmox::new().with_cluster("demo".parse().expect("name"), client)),
            pool: Arc::new(Pools::new(shared.clone())),
            store: shared,
            clock,
            gate: Arc::new(OpenGate),
            policy: quick_policy(),
            dns: None,
        };
        let worker = WorkerInfo { id: WorkerId(entropy.uuid()), info: "pipeline test".to_owned() };
        let bench = Self { sim, store, pools, deployments, seams, worker, _folder: folder };
        bench.prepare().await;
        bench
    }

    async fn prepare(&self) {
        self.deployments
            .put_cluster(&ClusterSettings {
                name: "demo".parse().expect("name"),
                vmids: VmidRange::new(vmid(1000), vmid(1099)).expect("range"),
                quarantine: SignedDuration::from_hours(1),
            })
            .await
            .expect("cluster");
        for (name, ranges, gateway, resolver) in [
            ("v4", "203.0.113.0/24", "203.0.113.1", "192.0.2.53"),
            ("v6", "2001:db8:1::/64", "2001:db8:1::1", "2001:db8:53::53"),
        ] {
            let name = name.parse().expect("name");
            let ranges = [ranges.parse().expect("range")];
            let bridge = "vmbr0".parse().expect("bridge");
            let definition = PoolDefinition {
                gateway: Some(gateway.parse().expect("gateway")),
                resolvers: vec![resolver.parse().expect("resolver")],
                ..PoolDefinition::new(name, "demo".parse().expect("name"), bridge, ranges)
            };
            self.pools.put(&definition).await.expect("pool");
        }
        let alive = SignedDuration::from_mins(10);
        self.store.heartbeat(&self.worker, alive).await.expect("heartbeat");
    }

    pub(super) async fn order(&self, reference: &str, spec: VmSpec) -> VmKey {
        let created = self.deployments.create(reference.parse().expect("reference"), spec, Value::Null).await;
        created.expect("order").record().key
    }

    /// Takes turns until the machine rests, and returns its record.
    pub(super) async fn run(&self, key: VmKey) -> VmRecord {
        self.run_until(key, |record| record.step.is_rest() && record.pending.is_empty()).await
    }

    /// Takes turns until the record is as wanted; gives up, loudly, after a minute.
    pub(super) async fn run_until(&self, key: VmKey, wanted: impl Fn(&VmRecord) -> bool) -> VmRecord {
        let drive = async {
            loop {
                let record = self.deployments.status(key).await.expect("status").expect("a record");
                if wanted(&record) {
                    return record;
                }
                for mut leased in self.store.claim(self.worker.id, 8).await.expect("claim") {
                    self.drive(&mut leased, &wanted).await;
                    self.store.release(&leased.lease).await.expect("release");
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        match tokio::time::timeout(Duration::from_secs(60), drive).await {
            Ok(record) => record,
            Err(elapsed) => panic!("not there after a minute ({elapsed}):\n{}", self.log_text(key).await),
        }
    }

    /// Turn after turn, while something can be done.
    async fn drive(&self, leased: &mut Leased, wanted: &impl Fn(&VmRecord) -> bool) {
        let mut known = Known::default();
        while !wanted(&leased.record) {
            known = match turn(&self.seams, leased, known).await.expect("turn") {
                Turned::Again(machine) => Known { machine, task: None },
                Turned::Task(..) if wanted(&leased.record) => return,
                Turned::Task(_, machine) => {
                    Known { machine, task: Some(self.task_ended(&leased.record).await) }
                }
                Turned::Until(_) | Turned::Slot(_) | Turned::Rest => return,
            };
        }
    }

    async fn task_ended(&self, record: &VmRecord) -> TaskState {
        let Progress::Submitted { task, .. } = &record.progress else {
            panic!("no task: {:?}", record.progress)
        };
        loop {
            let states = self.seams.hypervisor.tasks(&record.spec.cluster, std::slice::from_ref(task)).await;
            if let [ended @ TaskState::Ended(_)] = states.as_slice() {
                return ended.clone();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(super) async fn terminate(&self, key: VmKey) -> VmRecord {
        self.deployments.command(key, Command::Terminate).await.expect("command");
        self.run(key).await
    }

    pub(super) async fn log(&self, key: VmKey) -> Vec<LogEntry> {
        self.deployments.log(key, LogId::default(), 10_000).await.expect("log")
    }

    pub(super) async fn log_text(&self, key: VmKey) -> String {
        let log = self.log(key).await;
        let lines = log.iter().map(|e| format!("{:<30} {}x {}", e.line.step, e.times, e.line.event));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// What a machine's configuration is, as PVE answers it.
    pub(super) async fn config(&self, record: &VmRecord) -> Value {
        let path = format!("/nodes/{}/qemu/{}/config", record.spec.node, record.numbered.vmid);
        self.ask(&path).await
    }

    /// Asks the cluster, beside the engine.
    pub(super) async fn ask(&self, path: &str) -> Value {
        let client = client(&self.sim, &[self.sim.url()], self.sim.token());
        client.get(path, &proxmox_api::Params::new()).await.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    pub(super) async fn free(&self, family: Family) -> u128 {
        let pools = self.pools.list().await.expect("pools");
        pools.iter().filter(|usage| usage.pool.family == family).map(|usage| usage.free).sum()
    }
}

pub(super) fn client(sim: &Running, urls: &[&str], token: &str) -> Client {
    let token: ApiToken = token.parse().expect("token");
    let fingerprint = sim.fingerprint().parse().expect("fingerprint");
    let builder = urls.iter().fold(Client::builder(), |builder, url| builder.url(*url));
    builder
        .credentials(Credentials::Token(token))
        .trust(Trust::Fingerprints(vec![fingerprint]))
        .build()
        .expect("client")
}

fn quick_policy() -> RetryPolicy {
    let quick = deploy_core::Backoff::millis(20, 200);
    RetryPolicy {
        unreachable: quick,
        busy: quick,
        unknown: quick,
        failed: quick,
        exhausted: quick,
        refused: quick,
        poll: deploy_core::Backoff::millis(20, 200),
        patience: SignedDuration::from_millis(400),
        stale_lock: SignedDuration::from_millis(200),
        late_arrival: SignedDuration::from_secs(1),
        ..RetryPolicy::default()
    }
}

pub(super) fn vmid(number: u32) -> Vmid {
    Vmid::try_from(number).expect("vmid")
}

/// The smallest order: a linked clone that stays where its template is.
pub(super) fn small() -> Value {
    json!({
        "cluster": "demo",
        "domain": "vps-{vmid}.example.net",
        "pve_name": "vps-{vmid}.example.net",
        "node": "pve1",
        "template": { "vmid": 9000, "node": "pve1" },
        "clone": { "mode": "linked" },
        "sockets": 1,
        "cores": 2,
        "memory": 1024,
        "system_disk": { "size": 8 },
        "nics": [{ "bridge": "vmbr0", "addressing": { "pools": { "v4": { "count": 1 } } } }],
        "cloud_init": { "user": "admin" },
    })
}

pub(super) fn spec(value: Value) -> VmSpec {
    serde_json::from_value(value).expect("a spec")
}

/// The steps that the log says are done, in order.
pub(super) fn done_steps(log: &[LogEntry]) -> Vec<Step> {
    let done = log.iter().filter(|entry| matches!(entry.line.event, deploy_core::LogEvent::Done { .. }));
    done.map(|entry| entry.line.step).collect()
}
