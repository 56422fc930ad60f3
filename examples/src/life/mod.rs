//! The whole life of one machine on a simulated cluster: every command, one after the other, each awaited, with what it changed.

mod scene;
mod script;

pub use scene::Scene;
pub use script::play;

use crate::{access, engine, engine::Engine, orders};
use anyhow::{Context as _, bail};
use deploy_core::{
    Backoff, Command, CommandError, CommandId, CommandOutcome, Commanded, Deployments, RetryPolicy, Step,
    VmKey, VmSpec,
};
use deploy_worker::{SystemClock, sleep};
use jiff::SignedDuration;
use proxmox_api::{Client, Params};
use proxmox_sim::{ClusterConfig, Durations, Running, Server, ServerOptions, Switch};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use store_sqlite::SqliteStore;
use tempfile::TempDir;

/// What is ordered: one machine with addresses of both families, a firewall, a limit and keys.
const MACHINE: &str = r#"
[[machines]]
reference = "web-1"
package = "small"

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

/// A machine, and everything around it: a simulated cluster, a database in a temporary folder, a worker, and the front door.
pub struct Life {
    /// The front door.
    pub panel: Deployments,
    /// The machine.
    pub key: VmKey,
    cluster: Running,
    client: Client,
    engine: Engine,
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
        let (demonstration, _) =
            orders::DEMO.split_once("# --- Machines").context("the demonstration's order file")?;
        let orders = orders::parse("orders.toml", &format!("{demonstration}{MACHINE}"))?;
        let folder = TempDir::with_prefix("life-")?;
        let store = SqliteStore::open(folder.path().join("life.db"), Arc::new(SystemClock)).await?;
        let store: Arc<dyn crate::database::Store> = Arc::new(store);
        engine::define(&store, &orders.cluster).await?;
        let reached = [(orders.cluster.settings.name.clone(), client.clone())];
        let engine =
            Engine::start(store, Arc::new(SystemClock), reached, |worker| worker.with_policy(policy()));
        let key = engine.order(&orders.machines).await?[0];
        let panel = engine.deployments.clone();
        let before = Scene::nothing(&engine, key).await?;
        let mut life =
            Self { panel, key, cluster, client, engine, told: Vec::new(), before, _folder: folder };
        let ready = async {
            while life.panel.status(key).await?.is_none_or(|machine| machine.step != Step::Ready) {
                sleep(SignedDuration::from_millis(50)).await;
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(PATIENCE, ready).await.context("the machine does not become ready")??;
        life.tell("(ordered)".to_owned(), Outcome::Settled(CommandOutcome::Done), begun.elapsed()).await?;
        Ok(life)
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
        Scene::of(&self.engine, self.key, &self.client).await
    }

    /// What somebody does to the machine behind our back.
    async fn by_hand(&mut self, setting: &'static str, value: &str) -> anyhow::Result<()> {
        let record = self.scene().await?.record;
        let path = format!("/nodes/{}/qemu/{}/config", record.node, record.numbered.vmid);
        let _: serde_json::Value = self.client.put(&path, &Params::new().set(setting, value)).await?;
        self.before = self.scene().await?;
        Ok(())
    }

    /// Lets the storage run full, or have space again.
    fn storage_full(&self, full: bool) -> anyhow::Result<()> {
        let switch = Switch::StorageFull { storage: "shared".to_owned(), full };
        self.cluster.switch(switch).map_err(anyhow::Error::msg)
    }

    /// Waits until the machine has failed at what is due.
    async fn failed(&self) -> anyhow::Result<()> {
        let failed = async {
            while self.panel.status(self.key).await?.is_none_or(|record| record.failures == 0) {
                sleep(SignedDuration::from_millis(50)).await;
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(PATIENCE, failed).await.context("nothing fails")?
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
