//! Runs the program, within a bound of time.

use serde_json::Value;
use std::{
    collections::BTreeSet,
    ffi::OsStr,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Far longer than any run takes.
const BOUND: Duration = Duration::from_secs(120);

/// A directory with a database; the simulated cluster beside it ends when the directory goes.
pub(crate) struct Desk(TempDir);

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.0.path().join("demo.db")
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// What the simulator wrote down about itself, if it did.
    pub(crate) fn simulator(&self) -> Option<Value> {
        let text = std::fs::read(self.0.path().join("demo.db.simulator.json")).ok()?;
        Some(serde_json::from_slice(&text).unwrap())
    }
}

/// A command line of the program.
pub(crate) fn quickstart<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quickstart"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A command with one more argument.
pub(crate) fn and(mut command: Command, argument: impl AsRef<OsStr>) -> Command {
    command.arg(argument);
    command
}

/// Runs a command to its end.
pub(crate) fn run(mut command: Command) -> Ended {
    let mut child = command.spawn().unwrap();
    let (stdout, stderr) = (reader(child.stdout.take().unwrap()), reader(child.stderr.take().unwrap()));
    let status = wait(&mut child);
    Ended { status, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
}

/// Runs a command and does something to it after so many lines of progress (0 is at once, and where it is done before, at the
/// end); says how it ended.
pub(crate) fn interrupted(mut command: Command, lines: usize, how: impl FnOnce(&mut Child)) -> Option<i32> {
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let mut progress = BufReader::new(child.stderr.take().unwrap()).lines();
    let _ = progress.by_ref().take(lines).count();
    how(&mut child);
    // Read on, so that it can write on.
    let rest = thread::spawn(move || progress.map_while(Result::ok).count());
    let status = wait(&mut child);
    rest.join().unwrap();
    status
}

/// As `kill -INT`, which is what Ctrl-C sends.
pub(crate) fn interrupt(child: &mut Child) {
    signal("-INT", child.id());
}

pub(crate) fn signal(which: &str, pid: u32) {
    assert!(Command::new("kill").args([which, &pid.to_string()]).status().unwrap().success());
}

fn reader(mut from: impl std::io::Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut text = String::new();
        from.read_to_string(&mut text).unwrap();
        text
    })
}

fn wait(child: &mut Child) -> Option<i32> {
    let until = Instant::now() + BOUND;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if Instant::now() > until {
            child.kill().unwrap();
            panic!("still running after {BOUND:?}");
        }
        thread::sleep(Duration::from_millis(20));
    }
}

impl Ended {
    /// The document of a run that ended well.
    #[track_caller]
    pub(crate) fn document(&self) -> Value {
        assert_eq!(self.status, Some(0), "{}\n{}", self.stdout, self.stderr);
        serde_json::from_str(&self.stdout).unwrap()
    }
}

/// Asserts that the four machines of the demonstration are ready, and that nothing of them was made twice.
#[track_caller]
pub(crate) fn assert_ready_once(document: &Value) {
    assert_eq!(document["status"], "ready");
    let machines = document["machines"].as_array().unwrap();
    let references: Vec<_> = machines.iter().map(|machine| machine["reference"].as_str().unwrap()).collect();
    assert_eq!(references, ["web-1", "store-1", "mail-1", "lab-1"]);
    let mut addresses = BTreeSet::new();
    // What the order file wants of each: node, addresses, volumes with the cloud-init drive, firewall rules.
    let wanted = [("pve1", 1, 2, 0), ("pve3", 1, 3, 0), ("pve1", 4, 2, 3), ("pve2", 0, 2, 0)];
    for (machine, (node, held, volumes, rules)) in machines.iter().zip(wanted) {
        assert_eq!((&machine["status"], &machine["node"]), (&"ready".into(), &node.into()));
        assert!(machine["seconds"].as_f64().unwrap() > 0.0 && machine["attempts"].as_u64().unwrap() >= 1);
        let vmid = machine["vmid"].to_string();
        assert_eq!(document["clones"][&vmid], 1, "clones of {vmid}");
        let found = &document["found"]["machines"][&vmid];
        assert_eq!(found["node"], node);
        assert_eq!(distinct(&found["volumes"]), volumes, "{found}");
        assert_eq!(distinct(&found["firewall_rules"]), rules, "{found}");
        assert_eq!(distinct(&machine["addresses"]), held, "{machine}");
        addresses.extend(machine["addresses"].as_array().unwrap().iter().map(Value::to_string));
    }
    assert_eq!(addresses.len(), 6, "an address was given twice");
    assert_eq!(document["clones"].as_object().unwrap().len(), 4, "{}", document["clones"]);
    assert_eq!(document["found"]["machines"].as_object().unwrap().len(), 4);
}

/// The number of entries of a list, none of which may be there twice.
#[track_caller]
fn distinct(list: &Value) -> usize {
    let list = list.as_array().unwrap();
    let set: BTreeSet<_> = list.iter().map(Value::to_string).collect();
    assert_eq!(set.len(), list.len(), "something is there twice: {list:?}");
    set.len()
}

/// Asserts that nothing is left.
#[track_caller]
pub(crate) fn assert_gone(document: &Value) {
    assert_eq!(document["status"], "terminated");
    for what in ["machines", "volumes", "firewalls", "held_addresses"] {
        assert_eq!(document["left"][what], serde_json::json!([]), "{what}");
    }
    for machine in document["machines"].as_array().unwrap() {
        assert_eq!(machine["status"], "terminated");
        assert_eq!(document["clones"][machine["vmid"].to_string()], 1);
    }
}
