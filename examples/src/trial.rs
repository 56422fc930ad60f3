//! Several workers on one PostgreSQL server, with a simulated cluster, all on this machine: for demonstrations and tests.
//!
//! Whoever orders is this process: as a panel does, it writes into the database and knows nothing of the workers.

use crate::{
    database::Store,
    engine,
    orders::{self, Orders},
};
use anyhow::{Context as _, ensure};
use deploy_core::{Deployments, VmKey};
use deploy_worker::SystemEntropy;
use proxmox_sim::{ClusterConfig, Durations, Running, ServerOptions};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};
use store_postgres::{PostgresStore, Settings};
use tempfile::TempDir;
use throwaway_postgres::Server;
use tokio_postgres::NoTls;

/// Which worker has which machine in hand, as anybody can ask the database: with `psql`, too.
pub const HOLDINGS: &str = "\
    SELECT external_ref, step, info
    FROM pve_deploy.vm JOIN pve_deploy.vm_state USING (key) LEFT JOIN pve_deploy.worker ON worker.id = owner
    ORDER BY external_ref";

/// A server, a cluster, and what workers are told of them. All of it goes when it is dropped.
pub struct Trial {
    /// The cluster.
    pub cluster: Running,
    /// The server.
    pub postgres: Server,
    /// Who orders.
    pub panel: Deployments,
    /// What is ordered, and where.
    pub orders: Orders,
    database: String,
    program: PathBuf,
    lease: Duration,
    folder: TempDir,
}

/// A machine, and the worker that has it in hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// The machine.
    pub reference: String,
    /// Its step.
    pub step: String,
    /// The worker's name; `None` for a machine that waits for one, or rests.
    pub worker: Option<String>,
}

/// A notice, as a worker tells it.
#[derive(Deserialize)]
struct Told {
    id: i64,
    notice: String,
    reference: String,
}

/// A worker's process; killed where it is dropped.
pub struct Hired {
    /// Its name.
    pub name: String,
    process: Child,
}

impl Trial {
    /// Starts server and cluster and writes down the cluster and its pools; nothing is ordered yet. `program` is the worker, whose
    /// leases outlive its last sign of life for so long.
    ///
    /// # Errors
    /// What cannot be started; where the machine has no PostgreSQL, how to get it.
    pub async fn begin(program: &Path, machines: usize, lease: Duration) -> anyhow::Result<Self> {
        ensure!(
            program.exists(),
            "{} is missing; build it first: cargo build --bin worker",
            program.display()
        );
        let folder = TempDir::with_prefix("workers-")?;
        let (postgres, database) = tokio::task::spawn_blocking(|| {
            let postgres = Server::start()?;
            let database = postgres.create_database("panel")?;
            Ok::<_, throwaway_postgres::ServerError>((postgres, database))
        })
        .await??;
        // Slow enough to watch.
        let durations = Durations { clone_linked: 1.0, resize: 0.5, ..Durations::default() };
        let config = ClusterConfig { pools: vec!["demo".to_owned()], durations, ..ClusterConfig::demo() };
        let cluster = proxmox_sim::Server::start(config, ServerOptions::default()).await?;
        let orders = orders::parse("orders.toml", &many(machines))?;
        let store = PostgresStore::connect(Settings::parse(&database)?).await?;
        let shared: Arc<dyn Store> = Arc::new(store.clone());
        engine::define(&shared, &orders.cluster).await?;
        let panel = Deployments::new(Arc::new(store.clone()), store.clock(), Arc::new(SystemEntropy));
        fs::write(folder.path().join("token"), cluster.token())?;
        let program = program.to_owned();
        Ok(Self { cluster, postgres, panel, orders, database, program, lease, folder })
    }

    /// Starts a worker.
    ///
    /// # Errors
    /// That its files cannot be written, or that it cannot be started.
    pub fn hire(&self, name: &str) -> anyhow::Result<Hired> {
        let file = |ending: &str| self.folder.path().join(format!("{name}.{ending}"));
        let Self { cluster, orders, database, lease, .. } = self;
        let text = format!(
            r#"
name = "{name}"
database = "{database}"
lease_seconds = {}

[[cluster]]
name = "{}"
access = {{ urls = ["{}"], token_file = "token", fingerprints = ["{}"] }}

# Three workers of two clones each are as much as the template bears.
[concurrency]
template = 2

# A second is long here. The cluster delivers nothing later than half a second after it was sent.
[delays]
unreachable = {{ first_seconds = 0.1, longest_seconds = 1 }}
busy = {{ first_seconds = 0.1, longest_seconds = 1 }}
unknown = {{ first_seconds = 0.1, longest_seconds = 1 }}
failed = {{ first_seconds = 0.2, longest_seconds = 2 }}
poll = {{ first_seconds = 0.25, longest_seconds = 1 }}
late_arrival_seconds = 2
"#,
            lease.as_secs_f64(),
            orders.cluster.settings.name,
            cluster.url(),
            cluster.fingerprint(),
        );
        fs::write(file("toml"), text)?;
        let process = Command::new(&self.program)
            .arg(file("toml"))
            .stdin(Stdio::null())
            .stdout(File::create(file("notices"))?)
            .stderr(File::create(file("log"))?)
            .spawn()
            .with_context(|| self.program.display().to_string())?;
        Ok(Hired { name: name.to_owned(), process })
    }

    /// What a worker logged.
    ///
    /// # Errors
    /// That it cannot be read.
    pub fn log(&self, worker: &str) -> anyhow::Result<String> {
        Ok(fs::read_to_string(self.folder.path().join(format!("{worker}.log")))?)
    }

    /// How many notices of a kind the workers told of each machine; one that was told again counts once.
    ///
    /// # Errors
    /// That they cannot be read.
    pub fn notices(&self, kind: &str) -> anyhow::Result<BTreeMap<String, usize>> {
        let mut seen = BTreeSet::new();
        let mut counts = BTreeMap::new();
        for file in fs::read_dir(self.folder.path())? {
            let path = file?.path();
            if path.extension().is_some_and(|ending| ending == "notices") {
                for line in fs::read_to_string(&path)?.lines() {
                    let told: Told = serde_json::from_str(line).with_context(|| line.to_owned())?;
                    if told.notice == kind && seen.insert(told.id) {
                        *counts.entry(told.reference).or_default() += 1;
                    }
                }
            }
        }
        Ok(counts)
    }

    /// Orders all machines.
    ///
    /// # Errors
    /// The first that cannot be ordered.
    pub async fn order(&self) -> anyhow::Result<Vec<VmKey>> {
        let mut keys = Vec::new();
        for order in &self.orders.machines {
            let (reference, spec) = (order.reference.clone(), order.spec.clone());
            keys.push(self.panel.create(reference, spec, serde_json::Value::Null).await?.record().key);
        }
        Ok(keys)
    }

    /// Who has what in hand at this moment; see [`HOLDINGS`].
    ///
    /// # Errors
    /// The server's.
    pub async fn holdings(&self) -> anyhow::Result<Vec<Holding>> {
        let (client, connection) = tokio_postgres::connect(&self.database, NoTls).await?;
        let connection = tokio::spawn(connection);
        let rows = client.query(HOLDINGS, &[]).await;
        connection.abort();
        let holding = |row: &tokio_postgres::Row| {
            Ok(Holding { reference: row.try_get(0)?, step: row.try_get(1)?, worker: row.try_get(2)? })
        };
        rows?.iter().map(holding).collect()
    }
}

impl Hired {
    /// `kill -9`.
    ///
    /// # Errors
    /// That it was gone already.
    pub fn kill(mut self) -> anyhow::Result<()> {
        ensure!(self.process.try_wait()?.is_none(), "{} had ended by itself", self.name);
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }

    /// Asks it to end, and waits until it did.
    ///
    /// # Errors
    /// That it does not.
    pub async fn stop(mut self) -> anyhow::Result<ExitStatus> {
        let asked = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status()?;
        ensure!(asked.success(), "{} cannot be asked to end: {asked}", self.name);
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.process.try_wait()? {
                return Ok(status);
            }
            ensure!(Instant::now() < until, "{} did not end when asked", self.name);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Hired {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The demonstration's cluster with so many small machines.
fn many(machines: usize) -> String {
    let (packages, _) = orders::DEMO.split_once("# --- Machines").unwrap_or((orders::DEMO, ""));
    let machines =
        (1..=machines).map(|n| format!("[[machines]]\nreference = \"vm-{n:02}\"\npackage = \"small\"\n"));
    format!("{packages}\n{}", machines.collect::<String>())
}
