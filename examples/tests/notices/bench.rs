//! A cluster, a store, a mail server, and one order.

use deploy_core::{Clock, ClusterSettings, Deployments, Notifier, Step, VmKey, VmidRange};
use deploy_notify::{Login, Mail, MailTrust, Smtp, SmtpSettings};
use deploy_worker::{RunningWorker, SystemClock, SystemEntropy, Worker};
use ip_pool::{PoolDefinition, Pools};
use jiff::SignedDuration;
use mail_parser::MessageParser;
use proxmox_api::{ApiToken, Client, Credentials, Proxmox, Trust};
use proxmox_sim::{ClusterConfig, Running, ServerOptions};
use serde_json::json;
use std::{sync::Arc, time::Duration};
use store_sqlite::SqliteStore;
use tempfile::TempDir;
use throwaway_smtp::{Door, PASSWORD, Server};

pub(crate) const CONTACT: &str = "ann@example.org";

pub(crate) struct Bench {
    pub(crate) smtp: Server,
    store: Arc<SqliteStore>,
    deployments: Deployments,
    sim: Running,
    _folder: TempDir,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        let sim = simulator().await;
        let folder = TempDir::new().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store =
            Arc::new(SqliteStore::open(folder.path().join("deploy.db"), clock.clone()).await.unwrap());
        let deployments = Deployments::new(store.clone(), clock, Arc::new(SystemEntropy));
        let cluster = ClusterSettings {
            name: "demo".parse().unwrap(),
            vmids: VmidRange::new(1000.try_into().unwrap(), 1099.try_into().unwrap()).unwrap(),
            quarantine: SignedDuration::from_hours(1),
        };
        deployments.put_cluster(&cluster).await.unwrap();
        let (bridge, ranges) = ("vmbr0".parse().unwrap(), ["203.0.113.0/24".parse().unwrap()]);
        let pool = PoolDefinition {
            gateway: Some("203.0.113.1".parse().unwrap()),
            ..PoolDefinition::new("v4".parse().unwrap(), cluster.name.clone(), bridge, ranges)
        };
        Pools::new(store.clone()).put(&pool).await.unwrap();
        Self { smtp: Server::start().unwrap(), store, deployments, sim, _folder: folder }
    }

    pub(crate) fn mail(&self) -> Mail {
        let smtp = Smtp::new(SmtpSettings {
            port: Some(self.smtp.port(Door::Tls)),
            trust: MailTrust::Ca(self.smtp.authority().into()),
            login: Some(Login { user: "panel@example.org".to_owned(), password: PASSWORD.into() }),
            ..SmtpSettings::new("localhost")
        });
        Mail::to_contact(smtp.unwrap(), self.store.clone(), "Hosting <panel@example.org>".parse().unwrap())
    }

    /// A worker whose machines and notices go to another one a second after it has died.
    pub(crate) fn worker(&self, notifier: Arc<dyn Notifier>) -> RunningWorker {
        let client = Client::builder()
            .url(self.sim.url())
            .credentials(Credentials::Token(self.sim.token().parse::<ApiToken>().unwrap()))
            .trust(Trust::Fingerprints(vec![self.sim.fingerprint().parse().unwrap()]))
            .build()
            .unwrap();
        let hypervisor = Proxmox::new().with_cluster("demo".parse().unwrap(), client);
        let pools = Pools::new(self.store.clone());
        Worker::new(Arc::new(hypervisor), Arc::new(pools), self.store.clone())
            .with_alive_for(Duration::from_secs(1))
            .with_poll(Duration::from_millis(50))
            .with_notifier(notifier)
            .start()
    }

    pub(crate) async fn order(&self, reference: &str) -> VmKey {
        let order = json!({
            "cluster": "demo", "node": "pve1", "domain": "{reference}.example.net", "pve_name": "{reference}",
            "contact": CONTACT, "template": { "vmid": 9000, "node": "pve1" }, "clone": { "mode": "linked" },
            "sockets": 1, "cores": 1, "memory": 1024, "system_disk": { "size": 8 },
            "nics": [{ "bridge": "vmbr0", "addressing": { "pools": { "v4": { "count": 1 } } } }],
            "cloud_init": { "user": "admin" },
        });
        let order = serde_json::from_value(order).unwrap();
        let created = self.deployments.create(reference.parse().unwrap(), order, json!({})).await;
        created.unwrap().record().key
    }

    /// Waits until a machine is at this step.
    pub(crate) async fn at(&self, key: VmKey, step: Step) {
        let there = async {
            while self.deployments.status(key).await.unwrap().unwrap().step != step {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), there).await.expect("a minute is enough");
    }

    pub(crate) async fn terminate(&self, key: VmKey) {
        self.deployments.command(key, deploy_core::Command::Terminate).await.unwrap();
    }
}

pub(crate) async fn simulator() -> Running {
    proxmox_sim::Server::start(ClusterConfig::quick(), ServerOptions::default()).await.unwrap()
}

/// A mail's subject, Message-ID and text.
pub(crate) fn read(mail: &[u8]) -> [String; 3] {
    let mail = MessageParser::default().parse(mail).unwrap();
    let text = mail.body_text(0).unwrap().into_owned();
    [mail.subject().unwrap().to_owned(), mail.message_id().unwrap().to_owned(), text]
}
