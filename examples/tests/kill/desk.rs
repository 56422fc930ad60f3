//! The files of the workers: what they are told, and what they tell.

use crate::{
    cluster::Cluster,
    orders::{self, Orders},
    server::Server,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// How long leases outlive a worker's last sign of life.
pub(crate) const LEASE: Duration = Duration::from_secs(1);

/// How a worker works.
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
    orders: Option<&'a str>,
    terminate: Option<&'a BTreeSet<String>>,
    lease_seconds: f64,
    cluster: [Reached<'a>; 1],
}

/// A cluster, defined here or in the database.
#[derive(Serialize)]
#[serde(untagged)]
enum Reached<'a> {
    Defined {
        #[serde(flatten)]
        definition: &'a orders::Cluster,
        access: Access<'a>,
    },
    Known {
        name: &'a str,
        access: Access<'a>,
    },
}

#[derive(Serialize)]
struct Access<'a> {
    urls: [&'a str; 1],
    token_file: &'a str,
    fingerprints: [&'a str; 1],
}

/// The folder of the workers.
pub(crate) struct Desk {
    folder: PathBuf,
}

/// A line that a worker tells.
#[derive(Deserialize)]
struct Notice {
    id: i64,
    reference: String,
    #[serde(rename = "notice")]
    kind: String,
    message: Option<String>,
}

impl Desk {
    /// With a server, the workers learn what is ordered from it.
    pub(crate) fn new(folder: &Path, cluster: &Cluster, orders: &Orders, server: Option<&Server>) -> Self {
        let desk = Self { folder: folder.to_owned() };
        desk.write("token", &cluster.token);
        if let Some(server) = server {
            let (name, access) = (orders.cluster.name, Access::of(cluster));
            let lease_seconds = LEASE.as_secs_f64();
            let cluster = [Reached::Known { name, access }];
            desk.tell(&Told {
                database: server.url(),
                orders: None,
                terminate: None,
                lease_seconds,
                cluster,
            });
        }
        desk
    }

    /// Writes what the next worker is told, where it is told by files.
    pub(crate) fn configure(
        &self,
        cluster: &Cluster,
        orders: &Orders,
        machines: usize,
        terminate: &BTreeSet<String>,
    ) {
        self.write("orders.toml", &orders.text(machines));
        self.tell(&Told {
            database: "deploy.db",
            orders: Some("orders.toml"),
            terminate: Some(terminate),
            lease_seconds: LEASE.as_secs_f64(),
            cluster: [Reached::Defined { definition: &orders.cluster, access: Access::of(cluster) }],
        });
    }

    fn tell(&self, told: &Told<'_>) {
        self.write("worker.toml", &format!("{}\n{PACE}", toml::to_string(told).unwrap()));
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.join(name), text).unwrap();
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.folder.join("deploy.db")
    }

    /// Starts a worker; each of several has files of its own.
    pub(crate) fn spawn(&self, slot: usize) -> Child {
        let append = |file: PathBuf| File::options().create(true).append(true).open(file).unwrap();
        self.command()
            .stdout(append(self.notices_of(slot)))
            .stderr(append(self.log_of(slot)))
            .spawn()
            .unwrap()
    }

    /// Asserts that a second worker is refused while another one has the database, and says why.
    pub(crate) fn assert_taken(&self) {
        let second = self.command().output().unwrap();
        let said = String::from_utf8_lossy(&second.stderr);
        assert_eq!(second.status.code(), Some(2), "{said}");
        assert!(said.contains("is in use by process") && second.stdout.is_empty(), "{said}");
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_worker"));
        command.arg(self.folder.join("worker.toml")).stdin(Stdio::null());
        command
    }

    fn notices_of(&self, slot: usize) -> PathBuf {
        self.folder.join(format!("notices-{slot}"))
    }

    fn log_of(&self, slot: usize) -> PathBuf {
        self.folder.join(format!("log-{slot}"))
    }

    /// What the workers of a slot logged from this byte on.
    pub(crate) fn log(&self, slot: usize, from: usize) -> String {
        let text = fs::read(self.log_of(slot)).unwrap_or_default();
        String::from_utf8_lossy(&text[from.min(text.len())..]).into_owned()
    }

    /// The notices of one kind by reference, each counted once: after a crash one may be told again, under the same number.
    pub(crate) fn notices(&self, kind: &str) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for notice in self.told(kind) {
            *counts.entry(notice.reference).or_default() += 1;
        }
        counts
    }

    /// What the notices of one kind say, each with its number.
    pub(crate) fn messages(&self, kind: &str) -> impl Iterator<Item = (i64, String)> {
        self.told(kind).filter_map(|notice| Some((notice.id, notice.message?)))
    }

    fn told(&self, kind: &str) -> impl Iterator<Item = Notice> {
        let mut by_id = BTreeMap::new();
        for file in (0..).map(|slot| self.notices_of(slot)).take_while(|file| file.exists()) {
            let text = fs::read_to_string(file).unwrap();
            // What stands after the last end of a line is just being written.
            let (whole, _) = text.rsplit_once('\n').unwrap_or_default();
            let told = whole.lines().map(|line| serde_json::from_str::<Notice>(line).expect(line));
            by_id.extend(told.map(|notice| (notice.id, notice)));
        }
        by_id.into_values().filter(move |notice| notice.kind == kind)
    }

    /// Whether a worker logged this of a machine.
    pub(crate) fn said(&self, what: &str, vmid: u32) -> bool {
        let of_machine = format!(" vmid={vmid} ");
        self.lines().any(|line| line.contains(what) && line.contains(&of_machine))
    }

    /// How often workers logged this.
    pub(crate) fn times(&self, what: &str) -> usize {
        self.lines().filter(|line| line.contains(what)).count()
    }

    fn lines(&self) -> impl Iterator<Item = String> {
        let logs = (0..).take_while(|slot| self.log_of(*slot).exists()).map(|slot| self.log(slot, 0));
        logs.flat_map(|log| log.lines().map(str::to_owned).collect::<Vec<_>>())
    }

    /// The last lines of what the workers of each slot logged.
    pub(crate) fn log_tail(&self) -> String {
        let logs = (0..).take_while(|slot| self.log_of(*slot).exists()).map(|slot| self.log(slot, 0));
        let tails = logs.map(|log| {
            let lines: Vec<_> = log.lines().collect();
            lines[lines.len().saturating_sub(40)..].join("\n")
        });
        tails.collect::<Vec<_>>().join("\n--\n")
    }
}

impl<'a> Access<'a> {
    fn of(cluster: &'a Cluster) -> Self {
        Self { urls: [&cluster.url], token_file: "token", fingerprints: [&cluster.fingerprint] }
    }
}
