//! The worker as its operators run it: what it refuses before anything is done, and how it ends. What it does in between, also
//! when it is killed, is in the test `kill`.

#![allow(clippy::unwrap_used)] // in tests also outside of test functions

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Command, Output, Stdio},
};
use tempfile::TempDir;

/// A folder with all that a worker is given; nobody listens at the address.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
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

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).unwrap();
    }

    fn change(&self, name: &str, from: &str, to: &str) {
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
    fn work_and_stop(&self) -> String {
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

    #[track_caller]
    fn refused(&self, expected: &str) {
        let Output { status, stdout, stderr } = self.command().output().unwrap();
        let said = String::from_utf8_lossy(&stderr);
        assert_eq!((status.code(), stdout.as_slice()), (Some(2), b"".as_slice()), "{said}");
        assert!(said.contains(expected), "{expected:?} is not in:\n{said}");
    }
}

#[test]
fn wrong_input_is_told_and_creates_nothing() {
    for (file, from, to, expected) in [
        ("worker.toml", "turns = 64", "turns = -1", "worker.toml:"),
        ("worker.toml", "orders = \"machines.toml\"", "orders = \"none.toml\"", "none.toml cannot be read"),
        (
            "worker.toml",
            "token_file = \"token\"",
            "token_file = \"none\"",
            "cluster[0] (demo): access: token_file: ",
        ),
        ("worker.toml", "\"https://127.0.0.1:1\"", "", "cluster[0] (demo): access: urls: "),
        ("machines.toml", "vlan = 120\nrate", "vlan = 5000\nrate", "a VLAN tag from 1 to 4094"),
        (
            "machines.toml",
            "cores = 1",
            "cores = 1\ncluster = \"dmeo\"",
            "cluster: \"dmeo\" is not defined; defined: demo",
        ),
        (
            "machines.toml",
            "[packages.small]",
            "[cluster]\nname = \"demo\"\n[packages.small]",
            "machines.toml:",
        ),
    ] {
        let desk = Desk::new();
        desk.change(file, from, to);
        desk.refused(expected);
        assert!(!desk.0.path().join("deploy.db").exists(), "{to}");
    }
}

#[test]
fn it_orders_once_and_ends_when_asked() {
    let desk = Desk::new();
    assert!(desk.work_and_stop().contains("ordered=4 going=0"));
    // A machine that leaves the file stays as it is, and is ordered no more; nor is one that is to go.
    desk.change("worker.toml", "terminate = []", "terminate = [\"lab-1\", \"never-ordered\"]");
    assert!(desk.work_and_stop().contains("ordered=3 going=1"));
    desk.change("machines.toml", "memory_mib = 1024", "memory_mib = 3072");
    desk.refused("web-1: memory_mib (ordered 1024, in the file 3072)");
}
