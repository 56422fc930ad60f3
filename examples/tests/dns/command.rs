//! `set_dns_records` as a command of a machine, at a real PowerDNS.

use crate::desk::FORWARD;
use deploy_core::{
    Backoff, Clock, ClusterSettings, Command, CommandOutcome, Deployments, DnsStore, LogEvent, LogId,
    RetryPolicy, Step, VmKey, VmidRange,
};
use deploy_dns::{Dns, DnsWorker, Matching, PowerDns, Providers, RunningDns, Zone, Zones};
use deploy_worker::{RunningWorker, SystemClock, SystemEntropy, Worker};
use ip_pool::{PoolDefinition, Pools};
use jiff::SignedDuration;
use proxmox_api::{ApiToken, Client, Credentials, Proxmox, Trust};
use proxmox_sim::{ClusterConfig, Running, ServerOptions};
use serde_json::json;
use std::{sync::Arc, time::Duration};
use store_sqlite::SqliteStore;
use tempfile::TempDir;

/// Both workers, a panel, and all that they need.
struct Bench {
    server: throwaway_dns::PowerDns,
    panel: Deployments,
    store: Arc<SqliteStore>,
    _workers: (RunningWorker, RunningDns),
    _sim: Running,
    _folder: TempDir,
}

impl Bench {
    async fn new() -> Self {
        let sim = proxmox_sim::Server::start(ClusterConfig::quick(), ServerOptions::default()).await.unwrap();
        let server = throwaway_dns::PowerDns::start(&[FORWARD]).unwrap();
        let folder = TempDir::new().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store = SqliteStore::open(folder.path().join("deploy.db"), clock.clone()).await.unwrap();
        let store = Arc::new(store);
        let panel = Deployments::new(store.clone(), clock.clone(), Arc::new(SystemEntropy));
        let cluster = ClusterSettings {
            name: "demo".parse().unwrap(),
            vmids: VmidRange::new(1000.try_into().unwrap(), 1099.try_into().unwrap()).unwrap(),
            quarantine: SignedDuration::from_hours(1),
        };
        panel.put_cluster(&cluster).await.unwrap();
        let (bridge, ranges) = ("vmbr0".parse().unwrap(), ["203.0.113.7/32".parse().unwrap()]);
        let pool = PoolDefinition::new("v4".parse().unwrap(), cluster.name, bridge, ranges);
        Pools::new(store.clone()).put(&pool).await.unwrap();
        let named = names(&server, store.clone(), clock).start();
        let client = Client::builder()
            .url(sim.url())
            .credentials(Credentials::Token(sim.token().parse::<ApiToken>().unwrap()))
            .trust(Trust::Fingerprints(vec![sim.fingerprint().parse().unwrap()]))
            .build()
            .unwrap();
        let hypervisor = Proxmox::new().with_cluster("demo".parse().unwrap(), client);
        let worker = Worker::new(Arc::new(hypervisor), Arc::new(Pools::new(store.clone())), store.clone())
            .with_poll(Duration::from_millis(50))
            .with_policy(RetryPolicy { poll: Backoff::millis(50, 500), ..RetryPolicy::default() })
            .with_dns(Dns::new(store.clone()).with_doorbell(named.doorbell()).desk())
            .start();
        let panel = panel.with_doorbell(worker.doorbell());
        Self { server, panel, store, _workers: (worker, named), _sim: sim, _folder: folder }
    }

    /// A machine that is ready, and whose name stands.
    async fn machine(&self) -> VmKey {
        let order = json!({
            "cluster": "demo", "node": "pve1", "domain": "web.example.net", "pve_name": "web",
            "template": { "vmid": 9000, "node": "pve1" }, "clone": { "mode": "linked" },
            "sockets": 1, "cores": 1, "memory": 1024, "system_disk": { "size": 8 },
            "nics": [{ "bridge": "vmbr0", "addressing": { "pools": { "v4": { "count": 1 } } } }],
        });
        let order = serde_json::from_value(order).unwrap();
        let created = self.panel.create("order-1".parse().unwrap(), order, json!({})).await.unwrap();
        let key = created.record().key;
        let settled = async {
            while self.panel.status(key).await.unwrap().unwrap().step != Step::Ready
                || !self.store.dns_status(key).await.unwrap().unwrap().is_settled()
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), settled).await.expect("a minute is enough");
        assert_eq!(self.standing(), [RECORD]);
        key
    }

    async fn set(&self, key: VmKey) -> CommandOutcome {
        let set = self.panel.command(key, Command::SetDnsRecords).await.unwrap();
        let outcome = set.await_outcome(deploy_worker::sleep);
        tokio::time::timeout(Duration::from_secs(60), outcome).await.expect("a minute is enough").unwrap()
    }

    fn standing(&self) -> Vec<String> {
        let rows = self.server.rows().unwrap();
        rows.iter().map(|row| format!("{} {} {}", row.name, row.kind, row.content)).collect()
    }
}

const RECORD: &str = "web.example.net A 203.0.113.7";

fn names(server: &throwaway_dns::PowerDns, store: Arc<dyn DnsStore>, clock: Arc<dyn Clock>) -> DnsWorker {
    let provider = PowerDns::new(&server.url(), server.key().into()).unwrap();
    let providers = Providers::new().with("ns1".parse().unwrap(), Arc::new(provider), 4);
    let zone = Zone { provider: "ns1".parse().unwrap(), name: FORWARD.parse().unwrap(), ttl: 300 };
    DnsWorker::new(store, providers, Zones::new([zone], Matching::Longest), clock)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_sets_dns_records_and_says_what_became_of_them() {
    let mut bench = Bench::new().await;
    let key = bench.machine().await;
    bench.server.delete("web.example.net", "203.0.113.7").unwrap();
    assert_eq!(bench.standing(), [""; 0]);
    assert_eq!(bench.set(key).await, CommandOutcome::Done);
    assert_eq!(bench.standing(), [RECORD]);
    let log = bench.panel.log(key, LogId(0), 1000).await.unwrap();
    let shown =
        log.iter().filter(|entry| entry.line.step == Step::SetDnsRecords).map(|entry| &entry.line.event);
    let done = LogEvent::Done { how: RECORD.to_owned() };
    assert!(shown.clone().any(|event| *event == done), "{:?}", shown.collect::<Vec<_>>());

    bench.server.stop();
    let CommandOutcome::Failed(why) = bench.set(key).await else { panic!("nobody could set them") };
    assert!(
        why.starts_with(&format!("1 of 1 DNS records are not set; they are tried on: {RECORD}: ")),
        "{why}"
    );
    let machine = bench.panel.status(key).await.unwrap().unwrap();
    assert_eq!((machine.step, machine.attention), (Step::Ready, None));

    bench.server.start_again().unwrap();
    assert_eq!(bench.set(key).await, CommandOutcome::Done);
    assert_eq!(bench.standing(), [RECORD]);
}
