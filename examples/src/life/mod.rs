//! The whole life of one machine on a simulated cluster: every command, one after the other, each awaited, with what it changed.

mod adoption;
mod names;
mod people;
mod scene;
mod script;

pub use scene::Scene;
pub use script::play;

use crate::{access, engine, engine::Engine, orders};
use anyhow::{Context as _, bail};
use deploy_core::{
    Backoff, Command, CommandError, CommandId, CommandOutcome, Commanded, Deployments, RetryPolicy, Step,
    VmKey, VmRecord, VmSpec,
};
use deploy_dns::RunningDns;
use deploy_worker::{SystemClock, sleep};
use jiff::SignedDuration;
use names::NameServer;
use proxmox_api::Client;
use proxmox_sim::{ClusterConfig, Durations, Running, Server, ServerOptions};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use store_sqlite::SqliteStore;
use tempfile::TempDir;

/// What is ordered: a machine on another node than its template, with addresses of both families, a firewall, a limit and keys.
const MACHINE: &str = r#"
[[machines]]
reference = "web-1"
package = "small"
node = "pve2"

[[machines.nics]]
bridge = "vmbr0"
firewall = true
rate_mibps = 12.5
v4 = { count = 1, pools = ["public-v4"] }
v6 = { count = 1, pools = ["public-v6"] }

[machines.firewall]
policy_in = "DROP"
policy_out = "ACCEPT"
anti_spoofing = true
rules = [{ direction = "in", action = "ACCEPT", macro = "SSH" }]
"#;

/// So long is an outcome waited for before something is wrong.
const PATIENCE: Duration = Duration::from_secs(60);

/// A machine, and everything around it: a simulated cluster, a database in a temporary folder, a worker, a name server in memory,
/// and the front door.
pub struct Life {
    /// The front door.
    pub panel: Deployments,
    /// The machine.
    pub key: VmKey,
    cluster: Running,
    client: Client,
    engine: Engine,
    server: Arc<NameServer>,
    named: RunningDns,
    told: Vec<Told>,
    before: Scene,
    _folder: TempDir,
}

/// What became of one command.
#[derive(Debug)]
pub struct Told {
    /// The command, in words.
    pub command: String,
    /// What became of it.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
    /// The machine before it.
    pub before: Scene,
    /// The machine after it.
    pub after: Scene,
}

/// What became of a command, at once or later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was refused when it was given; nothing was written.
    Denied(String),
    /// It was taken, and this came of it.
    Settled(CommandOutcome),
}

impl Life {
    /// Starts cluster, worker and all, and orders the machine; answers when it is ready.
    ///
    /// # Errors
    /// What cannot be started.
    pub async fn begin() -> anyhow::Result<Self> {
        let begun = Instant::now();
        let cluster = Server::start(config(), ServerOptions::default()).await?;
        let trust = access::fingerprints(&[cluster.fingerprint().to_owned()])?;
        let client = access::client(&[cluster.url().to_owned()], cluster.token().parse()?, trust)?;
        let orders = orders("web-1")?;
        let folder = TempDir::with_prefix("life-")?;
        let store = SqliteStore::open(folder.path().join("life.db"), Arc::new(SystemClock)).await?;
        let store: Arc<dyn crate::database::Store> = Arc::new(store);
        engine::define(&store, &orders.cluster).await?;
        let reached = [(orders.cluster.settings.name.clone(), client.clone())];
        let server = Arc::new(NameServer::default());
        let (named, desk) = server.keep(Arc::clone(&store) as _, Arc::new(SystemClock))?;
        let engine = Engine::start(store, Arc::new(SystemClock), reached, |worker| {
            worker.with_policy(policy()).with_dns(desk.desk())
        });
        let key = engine.order(&orders.machines).await?[0];
        let panel = engine.deployments.clone();
        let before = Scene::nothing(&engine, key).await?;
        let told = Vec::new();
        let mut life =
            Self { panel, key, cluster, client, engine, server, named, told, before, _folder: folder };
        life.until("the machine does not become ready", |record| record.step == Step::Ready).await?;
        life.tell("(ordered)".to_owned(), Outcome::Settled(CommandOutcome::Done), begun.elapsed()).await?;
        Ok(life)
    }

    /// Orders another machine, which commands go to from now on.
    async fn order_another(&mut self, reference: &str) -> anyhow::Result<()> {
        self.key = self.engine.order(&orders(reference)?.machines).await?[0];
        self.before = self.scene().await?;
        Ok(())
    }

    /// Gives the machine a command, and waits for what becomes of it.
    async fn give(&mut self, command: Command) -> anyhow::Result<()> {
        let (words, begun) = (command.to_string(), Instant::now());
        let given = self.panel.command(self.key, command).await;
        self.hear(words, begun, given).await
    }

    /// Makes it what its order says with this changed.
    async fn change(&mut self, words: &str, change: impl FnOnce(&mut VmSpec)) -> anyhow::Result<()> {
        let mut spec = self.scene().await?.record.spec;
        change(&mut spec);
        let begun = Instant::now();
        let given = self.panel.change_package(self.key, spec).await;
        self.hear(format!("change_package: {words}"), begun, given).await
    }

    async fn hear(
        &mut self,
        words: String,
        begun: Instant,
        given: Result<Commanded, CommandError>,
    ) -> anyhow::Result<()> {
        let outcome = match given {
            Ok(commanded) => Outcome::Settled(outcome(&commanded).await.with_context(|| words.clone())?),
            Err(CommandError::Denied(why)) => Outcome::Denied(why.to_string()),
            Err(error) => return Err(error).context(words),
        };
        self.tell(words, outcome, begun.elapsed()).await
    }

    async fn tell(&mut self, command: String, outcome: Outcome, took: Duration) -> anyhow::Result<()> {
        self.is_named().await?;
        let after = self.scene().await?;
        let before = std::mem::replace(&mut self.before, after.clone());
        self.told.push(Told { command, outcome, took, before, after });
        Ok(())
    }

    /// The machine as it is at this moment.
    ///
    /// # Errors
    /// That it cannot be seen.
    pub async fn scene(&self) -> anyhow::Result<Scene> {
        let mut scene = Scene::of(&self.engine, self.key, &self.cluster.state()).await?;
        scene.names = self.server.records(&scene.record.numbered.fqdn);
        Ok(scene)
    }

    /// Waits until the name server has heard of what was done: it does on its own, and holds nothing up.
    async fn is_named(&self) -> anyhow::Result<()> {
        self.named.doorbell().wake();
        let heard = async {
            while self.engine.store.dns_status(self.key).await?.is_some_and(|status| !status.is_settled()) {
                sleep(SignedDuration::from_millis(20)).await;
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(PATIENCE, heard).await.context("its names are not kept")?
    }

    /// Waits until the record is so; otherwise says what `does not` happen.
    async fn until(&self, does_not: &'static str, is_so: impl Fn(&VmRecord) -> bool) -> anyhow::Result<()> {
        let waited = async {
            while self.panel.status(self.key).await?.is_none_or(|record| !is_so(&record)) {
                sleep(SignedDuration::from_millis(20)).await;
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(PATIENCE, waited).await.context(does_not)?
    }

    /// Everything that was told so far.
    pub fn told(&self) -> &[Told] {
        &self.told
    }

    /// What was asked of the cluster that no server takes.
    pub fn off_schema(&self) -> usize {
        self.cluster.counters().off_schema.len()
    }

    /// Ends worker and cluster.
    ///
    /// # Errors
    /// That the worker does not end well.
    pub async fn end(self) -> anyhow::Result<()> {
        self.engine.stop().await?;
        self.named.drain().await;
        self.cluster.shutdown().await;
        Ok(())
    }
}

async fn outcome(commanded: &Commanded) -> anyhow::Result<CommandOutcome> {
    let settled = tokio::time::timeout(PATIENCE, commanded.await_outcome(sleep)).await;
    Ok(settled.context("nothing becomes of it")??)
}

fn id(commanded: &Commanded) -> anyhow::Result<CommandId> {
    match commanded.id() {
        Some(id) => Ok(id),
        None => bail!("it is so already"),
    }
}

/// The demonstration's cluster and packages, and one machine.
fn orders(reference: &str) -> anyhow::Result<orders::Orders> {
    let (demonstration, _) =
        orders::DEMO.split_once("# --- Machines").context("the demonstration's order file")?;
    let machine = MACHINE.replace("web-1", reference);
    Ok(orders::parse("orders.toml", &format!("{demonstration}{machine}"))?)
}

fn config() -> ClusterConfig {
    // A guest that boots does not shut down when asked; a shutdown is long enough for another command to come in between.
    let durations = Durations { guest_boot: 0.1, guest_shutdown: 1.0, ..Durations::default() };
    ClusterConfig { durations, ..ClusterConfig::demo() }
}

/// Delays for a simulated cluster, where a second is long. What has no space is tried again after a minute, or on command.
fn policy() -> RetryPolicy {
    let quick = Backoff::millis(100, 1_000);
    RetryPolicy {
        unreachable: quick,
        busy: quick,
        unknown: quick,
        failed: quick,
        exhausted: Backoff::millis(60_000, 60_000),
        refused: quick,
        poll: Backoff::millis(100, 500),
        late_arrival: SignedDuration::from_secs(1),
        shutdown_patience: 5,
        ..RetryPolicy::default()
    }
}
