//! A worker's folder: a simulated cluster, machines, and DNS servers.

use proxmox_sim::{ClusterConfig, Running, ServerOptions};
use std::{
    fs,
    process::{Child, Command, Output, Stdio},
    time::Duration,
};
use tempfile::TempDir;
use throwaway_dns::{Bind, PowerDns};

pub(crate) const FORWARD: &str = "example.net";
pub(crate) const REVERSE: &str = "113.0.203.in-addr.arpa";

pub(crate) struct Desk {
    folder: TempDir,
    pub(crate) powerdns: PowerDns,
    pub(crate) bind: Bind,
    cluster: String,
    sim: Running,
}

/// A worker's process, killed at the end.
pub(crate) struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A pool of one address.
fn pool(name: &str, octet: u8) -> String {
    format!(
        "[[cluster.pools]]\nname = \"{name}\"\nbridge = \"vmbr0\"\nranges = [\"203.0.113.{octet}-203.0.113.{octet}\"]\n\
         prefix_len = 24\ngateway = \"203.0.113.1\"\n"
    )
}

impl Desk {
    /// Names go to PowerDNS, names of addresses to BIND.
    pub(crate) async fn new() -> Self {
        let sim = proxmox_sim::Server::start(ClusterConfig::quick(), ServerOptions::default()).await.unwrap();
        let (powerdns, bind) = (PowerDns::start(&[FORWARD]).unwrap(), Bind::start(&[REVERSE]).unwrap());
        let cluster = format!(
            "[[cluster]]\nname = \"demo\"\nvmids = {{ first = 1000, last = 1999 }}\nquarantine_minutes = 60\n\
             [cluster.access]\nurls = [\"{}\"]\ntoken_file = \"token\"\nfingerprints = [\"{}\"]\n\
             {}{}",
            sim.url(),
            sim.fingerprint(),
            pool("one", 2),
            pool("two", 3)
        );
        let desk = Self { folder: TempDir::new().unwrap(), powerdns, bind, cluster, sim };
        desk.write("token", desk.sim.token());
        desk.write("powerdns-key", desk.powerdns.key());
        desk.write("tsig-secret", &desk.bind.key().secret);
        let machine = |name: &str, pool: &str| {
            format!(
                "[[machines]]\nreference = \"{name}\"\npackage = \"small\"\nnode = \"pve1\"\n\
                 [[machines.nics]]\nbridge = \"vmbr0\"\nv4 = {{ count = 1, pools = [\"{pool}\"] }}\n"
            )
        };
        desk.write(
            "machines.toml",
            &format!(
                "[packages.small]\ndomain = \"{{reference}}.example.net\"\n\
                 template = {{ vmid = 9000, node = \"pve1\" }}\nclone = {{ mode = \"linked\" }}\ncores = 1\n\
                 memory_mib = 1024\nsystem_disk = {{ size_gib = 8 }}\n{}{}",
                machine("web-1", "one"),
                machine("web-2", "two")
            ),
        );
        desk.configure("[]", "deploy");
        desk
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// Writes the worker's file: what is to be terminated, and the key that BIND is asked with.
    pub(crate) fn configure(&self, terminate: &str, key: &str) {
        self.write(
            "worker.toml",
            &format!(
                "database = \"deploy.db\"\norders = \"machines.toml\"\nterminate = {terminate}\n\
                 [[dns.provider]]\nname = \"names\"\nzones = [\"{FORWARD}\"]\nat_once = 1\n\
                 powerdns = {{ url = \"{}\", key_file = \"powerdns-key\" }}\n\
                 [[dns.provider]]\nname = \"addresses\"\nzones = [\"{REVERSE}\"]\nttl_seconds = 300\n\
                 rfc2136 = {{ server = \"{}\", key = \"{key}\", secret_file = \"tsig-secret\" }}\n{}",
                self.powerdns.url(),
                self.bind.address(),
                self.cluster
            ),
        );
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_worker"));
        command.arg(self.folder.path().join("worker.toml")).stdin(Stdio::null());
        command
    }

    pub(crate) fn work(&self) -> Process {
        Process(self.command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// Makes one pass.
    pub(crate) fn tick(&self) -> Output {
        self.command().arg("--tick").output().unwrap()
    }

    pub(crate) fn check(&self) -> Output {
        self.command().arg("--check-dns").output().unwrap()
    }

    /// The records that PowerDNS has.
    pub(crate) fn names(&self) -> Vec<String> {
        let rows = self.powerdns.rows().unwrap();
        rows.iter().map(|row| format!("{} {} {} {}", row.name, row.kind, row.content, row.ttl)).collect()
    }

    /// Waits until PowerDNS has exactly these records.
    pub(crate) async fn until_names_are(&self, expected: &[&str]) {
        for _ in 0..3000 {
            if self.names() == expected {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("there is {:?}, and not {expected:?}", self.names());
    }
}
