//! The `load` binary, on a small scale.

use proxmox_sim::{ClusterConfig, Durations, Server, ServerOptions};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::{
    fs,
    path::Path,
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

const QUICK: [&str; 6] = ["--clone", "0.05", "--migrate", "0.05", "--start", "0.02"];
/// Longer than any test waits.
const ENDLESS: [&str; 2] = ["--clone", "3600"];

fn load() -> Command {
    Command::new(env!("CARGO_BIN_EXE_load"))
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn a_small_run_tells_what_it_took() {
    let folder = tempfile::tempdir().expect("a folder");
    let (json, plot) = (folder.path().join("load.json"), folder.path().join("load.svg"));
    let output = load()
        .args(["--machines", "1,3", "--repeat", "1"])
        .args(QUICK)
        .arg("--json")
        .arg(&json)
        .arg("--plot")
        .arg(&plot)
        .output()
        .expect("the binary starts");
    assert!(output.status.success(), "{}", said(&output));
    let document: Value = serde_json::from_str(&fs::read_to_string(json).expect("a file")).expect("JSON");
    for (at, machines) in [1_u64, 3].into_iter().enumerate() {
        judge(&document["runs"][at], &document["medians"][at], machines);
    }
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(table.contains("N = 3") && table.contains("POST /nodes/{node}/qemu/{vmid}/clone"), "{table}");
    let plot = fs::read_to_string(plot).expect("a file");
    assert!(plot.starts_with("<svg") && plot.contains("Requests per machine"), "{plot}");
}

fn judge(run: &Value, medians: &Value, machines: u64) {
    assert_eq!((&run["machines"], &run["ready"]), (&machines.into(), &machines.into()), "{run}");
    let requests = run["requests"].as_object().expect("requests by endpoint");
    assert_eq!(requests["POST /nodes/{node}/qemu/{vmid}/clone"], machines, "each is cloned once");
    assert_eq!(requests["POST /nodes/{node}/qemu/{vmid}/migrate"], machines, "the template is elsewhere");
    assert_eq!(requests["POST /nodes/{node}/qemu/{vmid}/firewall/rules"], 3 * machines);
    assert_eq!(requests["PUT /nodes/{node}/qemu/{vmid}/resize"], machines);
    let total: u64 = requests.values().filter_map(Value::as_u64).sum();
    #[expect(clippy::cast_precision_loss, reason = "there are not that many")]
    let each = total as f64 / machines as f64;
    assert!((number(&medians["requests_per_machine"]) - each).abs() < 1e-9, "{medians}");
    assert!((10.0..60.0).contains(&each), "{each} requests for a machine: {requests:?}");
    let (wall, ideal) = (number(&run["wall"]), number(&run["ideal"]));
    // At most 30 % less than they were said to take.
    assert!((0.084..0.3).contains(&ideal), "an ideal path of {ideal} s");
    assert!(wall > ideal && (number(&medians["over_ideal"]) - (wall - ideal)).abs() < 1e-9, "{run}");
    assert!((3.0..500.0).contains(&number(&run["peak_rss"])), "{run}");
    let (before, cpu) = (number(&run["cpu_before"]), number(&run["cpu"]));
    assert!(0.0 < before && before < cpu && cpu < 60.0, "{run}");
    assert_eq!((&run["lock_timeouts"], &run["stuck"]), (&0.into(), &Value::Array(Vec::new())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_is_there_gets_the_machines_of_a_file() {
    // Another test of this process may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let durations = Durations { scale: 0.05, ..Durations::default() };
    let config = ClusterConfig { durations, ..ClusterConfig::quick() };
    let running = Server::start(config, ServerOptions::default()).await.expect("a cluster");
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("token"), running.token()).expect("a file");
    let mut command = load();
    command.args([
        "--url",
        running.url(),
        "--fingerprint",
        running.fingerprint(),
        "--token-file",
        &path("token"),
    ]);
    command.args([
        "--orders",
        concat!(env!("CARGO_MANIFEST_DIR"), "/load/order.toml"),
        "--db",
        &path("load.db"),
    ]);
    command.args(["--json", &path("load.json")]);
    let output = command.output().expect("the binary starts");
    assert!(output.status.success(), "{}", said(&output));
    let document = fs::read_to_string(path("load.json")).expect("a file");
    let document: Value = serde_json::from_str(&document).expect("JSON");
    let run = &document["runs"][0];
    assert_eq!((&run["machines"], &run["ready"]), (&1.into(), &1.into()), "{run}");
    let counters = running.counters();
    assert_eq!(
        run["requests"],
        serde_json::to_value(&counters.requests).expect("JSON"),
        "counted on both ends"
    );
    assert_eq!(counters.clones.len(), 1);
    let again = command.output().expect("the binary starts");
    assert_eq!(again.status.code(), Some(2), "that database has machines already");
    assert!(said(&again).contains("is there already"), "{}", said(&again));
}

#[test]
fn machines_that_do_not_become_ready_are_named() {
    let output = load()
        .args(["--machines", "2", "--repeat", "1", "--patience", "1"])
        .args(ENDLESS)
        .output()
        .expect("the binary starts");
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let told = said(&output);
    assert!(told.contains("2 machines did not become ready"), "{told}");
    assert!(told.contains("load-1 at clone: "), "{told}");
}

#[test]
fn what_it_started_ends_with_it() {
    for (signal, status) in [(Signal::INT, Some(130)), (Signal::KILL, None)] {
        let mut parent = load()
            .args(["--machines", "1", "--repeat", "1"])
            .args(ENDLESS)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary starts");
        let children = both_children(&parent);
        kill_process(Pid::from_child(&parent), signal).expect("a signal");
        let ended = parent.wait().expect("an end");
        assert_eq!(ended.code(), status);
        within_time("the children to end", || {
            children.iter().all(|pid| !Path::new(&format!("/proc/{pid}")).exists()).then_some(())
        });
    }
}

/// The simulator and the run, once both are there.
fn both_children(parent: &Child) -> Vec<u32> {
    let tasks = format!("/proc/{}/task", parent.id());
    within_time("two children", || {
        // A child belongs to the thread that started it.
        let threads =
            fs::read_dir(&tasks).ok()?.filter_map(|thread| Some(thread.ok()?.path().join("children")));
        let text: String = threads.filter_map(|file| fs::read_to_string(file).ok()).collect();
        let children: Vec<u32> = text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect();
        (children.len() == 2).then_some(children)
    })
}

fn within_time<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(20));
    }
}
