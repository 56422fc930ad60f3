//! A worker with its files, and nobody who listens at the cluster's address.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Command, Output, Stdio},
};
use tempfile::TempDir;

/// A folder with all that a worker is given; nobody listens at the address.
pub(crate) struct Desk(TempDir);

impl Desk {
    pub(crate) fn new() -> Self {
        let desk = Self(TempDir::new().unwrap());
        desk.write("token", "deploy@pve!panel=3f0c");
        // The machines alone: the cluster is in the worker's own file.
        let (_, machines) = include_str!("../../orders.toml").split_once("# --- Packages").unwrap();
        desk.write("machines.toml", &format!("#{machines}"));
        desk.write("worker.toml", include_str!("../../worker.toml"));
        desk.change("worker.toml", "ca = \"pve-root-ca.pem\"\n", "");
        let nodes = "\"https://pve1.example.com:8006\", \"https://pve2.example.com:8006\"";
        desk.change("worker.toml", nodes, "\"https://127.0.0.1:1\"");
        desk
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).unwrap();
    }

    pub(crate) fn change(&self, name: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.0.path().join(name)).unwrap();
        assert!(text.contains(from), "{from:?} is not in {name}");
        self.write(name, &text.replacen(from, to, 1));
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_worker"));
        command.arg(self.0.path().join("worker.toml"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs it until it works, and asks it to end.
    pub(crate) fn work_and_stop(&self) -> String {
        let mut child = self.command().spawn().unwrap();
        let mut said = String::new();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        for line in lines.by_ref() {
            said.push_str(&line);
            if line.contains(" working ") {
                break;
            }
        }
        assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
        said.extend(lines);
        let status = child.wait().unwrap();
        assert!(status.success(), "{status}: {said}");
        said
    }

    /// Runs it, and asserts that it does nothing, ends with this status, and says why.
    #[track_caller]
    pub(crate) fn refused(&self, status: i32, expected: &str) -> String {
        let Output { status: ended, stdout, stderr } = self.command().output().unwrap();
        let said = String::from_utf8_lossy(&stderr).into_owned();
        assert_eq!((ended.code(), stdout.as_slice()), (Some(status), b"".as_slice()), "{said}");
        assert!(said.contains(expected), "{expected:?} is not in:\n{said}");
        said
    }

    /// Runs it with these arguments until it ends: its exit status, and what it wrote.
    pub(crate) fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let Output { status, stdout, stderr } = self.command().args(arguments).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (status.code(), text(&stdout), text(&stderr))
    }

    /// Writes down how a simulated cluster is reached.
    pub(crate) fn connect(&self, sim: &proxmox_sim::Running) {
        self.write("token", sim.token());
        self.change("worker.toml", "\"https://127.0.0.1:1\"", &format!("{:?}", sim.url()));
        self.change(
            "worker.toml",
            "# fingerprints = []",
            &format!("fingerprints = [{:?}]", sim.fingerprint()),
        );
    }

    pub(crate) fn has_database(&self) -> bool {
        self.0.path().join("deploy.db").exists()
    }
}
