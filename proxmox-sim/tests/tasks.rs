//! Tasks: their lists, logs, owners and ends.

mod support;

use std::time::Duration;

use proxmox_sim::{ClusterConfig, Faults, Grant, TokenConfig, Version};
use serde_json::{Value, json};
use support::Lab;

fn kinds(rows: &Value) -> Vec<String> {
    let rows = rows.as_array().expect("rows");
    rows.iter()
        .map(|row| format!("{} {}", row["type"].as_str().unwrap_or(""), row["id"].as_str().unwrap_or("")))
        .collect()
}

#[test]
fn a_running_task_is_seen_only_when_asked_for() {
    let mut lab = Lab::new();
    let upid = lab.ok("POST", "/nodes/pve1/qemu/9000/clone", &[("newid", "100")]);
    let tasks = "/nodes/pve1/tasks";
    assert_eq!(lab.get(tasks), json!([]), "the default is finished ones");
    let running = lab.get(&format!("{tasks}?source=all"));
    assert_eq!((&running[0]["status"], &running[0]["user"]), (&json!("RUNNING"), &json!("root@pam!sim")));
    assert_eq!(running[0]["tokenid"], json!(null));
    lab.now = lab.cluster.settle(lab.now);
    let finished = lab.get(tasks);
    assert_eq!((&finished[0]["status"], &finished[0]["user"]), (&json!("OK"), &json!("root@pam")));
    assert_eq!((&finished[0]["tokenid"], &finished[0]["upid"]), (&json!("sim"), &upid));
    assert_eq!(lab.get(&format!("{tasks}?source=active")), json!([]));
}

#[test]
fn filters() {
    let mut lab = Lab::new();
    lab.clone_to(100);
    lab.task("POST", "/nodes/pve1/qemu/100/status/start", &[]);
    lab.task("POST", "/nodes/pve1/qemu/100/status/start", &[]);
    let mut list = |query: &str| kinds(&lab.get(&format!("/nodes/pve1/tasks?{query}")));
    assert_eq!(list(""), ["qmstart 100", "qmstart 100", "qmclone 9000"], "newest first");
    assert_eq!(list("vmid=100"), ["qmstart 100", "qmstart 100"]);
    assert_eq!(list("typefilter=qmclone"), ["qmclone 9000"]);
    assert_eq!(list("errors=1"), ["qmstart 100"]);
    assert_eq!(list("statusfilter=ok"), ["qmstart 100", "qmclone 9000"]);
    assert_eq!(list("start=1&limit=1"), ["qmstart 100"]);
    assert_eq!(list("since=99999"), Vec::<String>::new());
    let reply = lab.call("GET", "/nodes/pve1/tasks?limit=1", &[]);
    assert_eq!(reply.body.expect("a body")["total"], 3);
}

#[test]
fn unknown_tasks() {
    let mut lab = Lab::new();
    lab.clone_to(100);
    let upid = lab.get("/nodes/pve1/tasks")[0]["upid"].as_str().expect("a UPID").to_owned();
    let gone = upid.replace("qmclone", "qmstart");
    for path in [format!("/nodes/pve1/tasks/{gone}/status"), format!("/nodes/pve2/tasks/{upid}/status")] {
        assert_eq!(lab.call("GET", &path, &[]).error("upid"), Some("no such task"));
    }
    let garbage = lab.call("GET", "/nodes/pve1/tasks/garbage/status", &[]);
    assert_eq!(garbage.error("upid"), Some("unable to parse worker upid"));
    let log = lab.get(&format!("/nodes/pve1/tasks/{gone}/log"));
    assert_eq!(log[0]["t"], "unable to open file - No such file or directory");
    let page = lab.get(&format!("/nodes/pve1/tasks/{upid}/log?start=1&limit=1"));
    assert_eq!(
        page,
        json!([{"n": 2, "t": "create full clone of drive ide2 (shared:9000/vm-9000-cloudinit.qcow2)"}])
    );
}

#[test]
fn old_tasks_are_forgotten() {
    let mut lab = Lab::with(ClusterConfig { task_history: 2, ..ClusterConfig::quick() });
    lab.clone_to(100);
    let upid = lab.get("/nodes/pve1/tasks")[0]["upid"].as_str().expect("a UPID").to_owned();
    for _ in 0..2 {
        lab.task("POST", "/nodes/pve1/qemu/100/status/stop", &[]);
    }
    let reply = lab.call("GET", &format!("/nodes/pve1/tasks/{upid}/status"), &[]);
    assert_eq!(reply.error("upid"), Some("no such task"));
}

#[test]
fn a_stopped_clone_cleans_up() {
    let mut lab = Lab::new();
    let upid = lab.ok("POST", "/nodes/pve1/qemu/9000/clone", &[("newid", "100")]);
    let upid = upid.as_str().expect("a UPID").to_owned();
    lab.pass(0.2);
    assert_eq!(lab.config(100)["lock"], "clone");
    lab.ok("DELETE", &format!("/nodes/pve1/tasks/{upid}"), &[]);
    assert_eq!(lab.exit_status(&upid), "clone failed: received interrupt");
    assert_eq!(lab.call("GET", "/cluster/nextid", &[("vmid", "100")]).status, 200);
    lab.clone_to(100);
}

#[test]
fn a_token_sees_its_own_tasks_on_the_node_but_not_in_the_cluster() {
    let privileges = ["VM.Clone", "VM.Allocate", "Datastore.AllocateSpace", "SDN.Use"];
    let grant = Grant { path: "/".into(), privileges: privileges.map(str::to_owned).to_vec() };
    let token = TokenConfig { id: "web@pve!t".into(), secret: "s".into(), grants: Some(vec![grant]) };
    let mut lab = Lab::new();
    let root = lab.token.clone();
    let mut config = ClusterConfig::quick();
    config.tokens.insert(0, token);
    lab = Lab::with(ClusterConfig { ..config });
    lab.clone_to(100);
    assert_eq!(kinds(&lab.get("/nodes/pve1/tasks")), ["qmclone 9000"]);
    assert_eq!(lab.get("/cluster/tasks"), json!([]));
    lab.token = root;
    let upid = lab.ok("POST", "/nodes/pve1/qemu/100/status/stop", &[]);
    lab.now = lab.cluster.settle(lab.now);
    lab.token = "web@pve!t=s".into();
    assert_eq!(kinds(&lab.get("/nodes/pve1/tasks")), ["qmclone 9000"], "others' are not shown");
    let upid = upid.as_str().expect("a UPID");
    assert_eq!(lab.call("GET", &format!("/nodes/pve1/tasks/{upid}/status"), &[]).status, 403);
}

#[test]
fn a_call_can_wait_for_its_task() {
    let mut lab = Lab::new();
    lab.clone_to(100);
    let config = "/nodes/pve1/qemu/100/config";
    assert_eq!(lab.ok("POST", config, &[("cores", "2"), ("background_delay", "20")]), Value::Null);
    assert_eq!(lab.config(100)["cores"], 2);
    let missing = [("scsi1", "shared:100/vm-100-disk-9.raw"), ("background_delay", "20")];
    let reply = lab.call("POST", config, &missing);
    assert_eq!(reply.reason, "failed to update VM 100: volume 'shared:100/vm-100-disk-9.raw' does not exist");
    let mut slow = ClusterConfig::quick();
    slow.durations.config = 5.0;
    let mut lab = Lab::with(slow);
    lab.clone_to(100);
    let upid = lab.ok("POST", config, &[("cores", "2"), ("background_delay", "1")]);
    assert!(upid.as_str().expect("a UPID").contains(":qmconfig:100:"), "its patience was too short");
}

#[test]
fn a_crowd_waits_for_the_storage_and_some_give_up() {
    let mut config = ClusterConfig::quick();
    config.durations.clone_linked = 9.0;
    config.durations.storage_lock = 2.0;
    let mut lab = Lab::with(config);
    for vmid in 100..112 {
        lab.ok("POST", "/nodes/pve1/qemu/9000/clone", &[("newid", &vmid.to_string())]);
    }
    lab.now = lab.cluster.settle(lab.now);
    let count = lab.cluster.counters().tasks["qmclone"];
    assert!(count.ok >= 3 && count.failed >= 1, "{count:?}");
    let texts = lab.get("/nodes/pve1/tasks?errors=1").to_string();
    assert!(
        texts.contains("clone failed: cfs-lock 'storage-shared' error: got lock request timeout"),
        "{texts}"
    );
    let state = lab.cluster.state();
    for vmid in 100..112 {
        let made = lab.cluster.counters().clones.get(&vmid).copied().unwrap_or(0);
        assert_eq!(state["vms"][vmid.to_string()].is_object(), made == 1, "{vmid}: whole or not at all");
    }
}

#[test]
fn the_same_seed_lives_the_same_life() {
    let life = |seed| {
        let faults = Faults::at_rate(0.3);
        let mut lab = Lab::with(ClusterConfig { seed, faults, ..ClusterConfig::quick() });
        let mut seen = Vec::new();
        for vmid in 100..120 {
            let reply = lab.call("POST", "/nodes/pve1/qemu/9000/clone", &[("newid", &vmid.to_string())]);
            lab.now = lab.cluster.settle(lab.now);
            seen.push((reply.status, lab.now));
        }
        (seen, lab.cluster.state(), lab.cluster.counters().clone())
    };
    assert_eq!(life(11), life(11));
    assert_ne!(life(11).0, life(12).0);
}

#[test]
fn when_tasks_began_and_ended_is_known_to_the_fraction_of_a_second() {
    let mut lab = Lab::new();
    lab.now = Duration::from_millis(1_250);
    let cloning = lab.now;
    lab.clone_to(100);
    let starting = lab.now;
    lab.task("POST", "/nodes/pve1/qemu/100/status/start", &[]);
    lab.task("POST", "/nodes/pve1/qemu/100/status/start", &[]);
    let times: Vec<_> = lab.cluster.task_times().collect();
    let told: Vec<_> = times.iter().map(|t| (t.kind, t.vmid, t.node.as_str(), t.ok)).collect();
    let expected = [("qmclone", Some(100), "pve1", true), ("qmstart", Some(100), "pve1", true)];
    assert_eq!(told[..2], expected, "a clone is told with the number that it made");
    assert_eq!(told[2], ("qmstart", Some(100), "pve1", false));
    let span = |from: Duration, to: Duration| (from.as_secs_f64(), to.as_secs_f64());
    assert_eq!((times[0].began, times[0].ended), span(cloning, starting));
    assert!((0.3..0.4).contains(&(times[1].ended - times[1].began)), "{:?}", times[1]);
}

#[test]
fn a_call_that_becomes_a_task_counts_from_then_on() {
    let mut lab = Lab::with(ClusterConfig { version: Version::V8_4, ..ClusterConfig::quick() });
    lab.clone_to(100);
    let configuring = lab.now.as_secs_f64();
    lab.task("POST", "/nodes/pve1/qemu/100/config", &[("cores", "2")]);
    let last = lab.cluster.task_times().last().expect("a task");
    assert_eq!((last.kind, last.vmid, last.ok), ("qmconfig", Some(100), true));
    assert!(last.began >= configuring && last.ended > last.began, "{last:?} in a call at {configuring}");
}
