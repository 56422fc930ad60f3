//! The worker: a process that is started, killed and frozen.

use crate::{
    cluster::Cluster,
    orders::{self, Orders},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

/// How long its leases outlive its last sign of life.
pub(crate) const LEASE: Duration = Duration::from_secs(1);

/// How the worker works.
const PACE: &str = r"
# So few that kills fall into the middle of everything.
[concurrency]
cluster = 8

# A second is long here. The cluster delivers nothing later than half a second after it was sent.
[delays]
unreachable = { first_seconds = 0.1, longest_seconds = 1 }
busy = { first_seconds = 0.1, longest_seconds = 1 }
unknown = { first_seconds = 0.1, longest_seconds = 1 }
failed = { first_seconds = 0.2, longest_seconds = 2 }
exhausted = { first_seconds = 1, longest_seconds = 2 }
refused = { first_seconds = 1, longest_seconds = 2 }
poll = { first_seconds = 0.25, longest_seconds = 1 }
patience_seconds = 10
stale_lock_seconds = 2
late_arrival_seconds = 2
attention_after = 30
shutdown_seconds = 5
";

/// What its file says beside that.
#[derive(Serialize)]
struct Told<'a> {
    database: &'a str,
    orders: &'a str,
    terminate: &'a BTreeSet<String>,
    lease_seconds: f64,
    cluster: [Clusters<'a>; 1],
}

#[derive(Serialize)]
struct Clusters<'a> {
    #[serde(flatten)]
    definition: &'a orders::Cluster,
    access: Access<'a>,
}

#[derive(Serialize)]
struct Access<'a> {
    urls: [&'a str; 1],
    token_file: &'a str,
    fingerprints: [&'a str; 1],
}

/// The files of a worker.
pub(crate) struct Desk {
    folder: PathBuf,
}

/// A worker at work; killed where it is dropped.
pub(crate) struct Worker(Child);

/// A line that it tells.
#[derive(Deserialize)]
struct Notice {
    id: i64,
    reference: String,
    #[serde(rename = "notice")]
    kind: String,
    message: Option<String>,
}

impl Desk {
    pub(crate) fn new(folder: &Path, cluster: &Cluster) -> Self {
        fs::write(folder.join("token"), &cluster.token).unwrap();
        Self { folder: folder.to_owned() }
    }

    /// Writes what the next worker is told.
    pub(crate) fn configure(
        &self,
        cluster: &Cluster,
        orders: &Orders,
        machines: usize,
        terminate: &BTreeSet<String>,
    ) {
        let file = |name: &str| self.folder.join(name);
        fs::write(file("orders.toml"), orders.text(machines)).unwrap();
        let access =
            Access { urls: [&cluster.url], token_file: "token", fingerprints: [&cluster.fingerprint] };
        let told = Told {
            database: "deploy.db",
            orders: "orders.toml",
            terminate,
            lease_seconds: LEASE.as_secs_f64(),
            cluster: [Clusters { definition: &orders.cluster, access }],
        };
        let text = format!("{}\n{PACE}", toml::to_string(&told).unwrap());
        fs::write(file("worker.toml"), text).unwrap();
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.folder.join("deploy.db")
    }

    pub(crate) fn start(&self) -> Worker {
        let append = |name| File::options().create(true).append(true).open(self.folder.join(name)).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_worker"))
            .arg(self.folder.join("worker.toml"))
            .stdin(Stdio::null())
            .stdout(append("notices"))
            .stderr(append("log"))
            .spawn()
            .unwrap();
        Worker(child)
    }

    /// Waits until a worker has the database.
    pub(crate) async fn wait_for(&self, worker: &Worker) {
        let holder = format!("process {}\n", worker.0.id());
        let until = Instant::now() + Duration::from_secs(60);
        while fs::read_to_string(self.folder.join("deploy.db.lock")).ok().as_ref() != Some(&holder) {
            assert!(Instant::now() < until, "it did not take the database:\n{}", self.log_tail());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Asserts that a second worker is refused while another one has the database, and says why.
    pub(crate) fn assert_taken(&self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_worker"));
        let second = command.arg(self.folder.join("worker.toml")).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&second.stderr);
        assert_eq!(second.status.code(), Some(2), "{said}");
        assert!(said.contains("is in use by process") && second.stdout.is_empty(), "{said}");
    }

    /// The notices of one kind by reference, each counted once: after a crash one may be told again, under the same number.
    pub(crate) fn notices(&self, kind: &str) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for notice in self.told(kind) {
            *counts.entry(notice.reference).or_default() += 1;
        }
        counts
    }

    /// What the notices of one kind say.
    pub(crate) fn messages(&self, kind: &str) -> impl Iterator<Item = String> {
        self.told(kind).filter_map(|notice| notice.message)
    }

    fn told(&self, kind: &str) -> impl Iterator<Item = Notice> {
        let text = fs::read_to_string(self.folder.join("notices")).unwrap();
        let told = text.lines().map(|line| serde_json::from_str::<Notice>(line).expect(line));
        let by_id: BTreeMap<i64, Notice> = told.map(|notice| (notice.id, notice)).collect();
        by_id.into_values().filter(move |notice| notice.kind == kind)
    }

    /// Whether a worker logged this of a machine.
    pub(crate) fn said(&self, what: &str, vmid: u32) -> bool {
        let log = fs::read_to_string(self.folder.join("log")).unwrap();
        log.lines().any(|line| line.contains(what) && line.contains(&format!(" vmid={vmid} ")))
    }

    /// The last lines of what all workers logged.
    pub(crate) fn log_tail(&self) -> String {
        let text = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

impl Worker {
    /// `kill -9`; says how it ended where it was quicker.
    pub(crate) fn kill(mut self) -> Option<ExitStatus> {
        let ended = self.0.try_wait().unwrap();
        self.0.kill().unwrap();
        self.0.wait().unwrap();
        ended
    }

    /// Stands still from now on.
    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Goes on.
    pub(crate) fn thaw(&self) {
        self.signal("-CONT");
    }

    /// Asks it to end, and waits until it did.
    pub(crate) fn stop(mut self) -> ExitStatus {
        self.signal("-TERM");
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "it did not end when asked");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn signal(&self, which: &str) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args([which, &pid]).status().unwrap().success());
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
