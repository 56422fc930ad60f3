//! What can be broken from outside, and accounts that are made through the API.

mod support;

use proxmox_sim::{Reply, Request, Switch};
use serde_json::Value;
use support::Lab;

fn flip(lab: &mut Lab, switch: Switch) {
    lab.cluster.advance(lab.now);
    lab.cluster.switch(switch).expect("there is such a thing");
}

fn get(lab: &mut Lab, path: &str) -> Reply {
    lab.call("GET", path, &[])
}

#[test]
fn a_frozen_node_is_given_up_after_half_a_minute() {
    let mut lab = Lab::new();
    flip(&mut lab, Switch::Freeze { node: "pve2".into(), frozen: true });
    let before = lab.now;
    let reply = get(&mut lab, "/nodes/pve2/qemu");
    assert_eq!((reply.status, reply.reason.as_str()), (596, "Connection timed out"));
    assert_eq!(lab.now.saturating_sub(before).as_secs(), 30);
    assert_eq!(get(&mut lab, "/nodes/pve1/qemu").status, 200, "the others go on");
    flip(&mut lab, Switch::Freeze { node: "pve2".into(), frozen: false });
    assert_eq!(get(&mut lab, "/nodes/pve2/qemu").status, 200);
}

#[test]
fn without_the_daemon_only_reads_work() {
    let mut lab = Lab::new();
    flip(&mut lab, Switch::Daemon { node: "pve1".into(), running: false });
    assert_eq!(get(&mut lab, "/nodes/pve1/qemu/9000/config").status, 200);
    let reply = lab.call("PUT", "/nodes/pve1/qemu/9000/config", &[("memory", "256")]);
    assert_eq!((reply.status, reply.reason.as_str()), (595, "Connection refused"));
}

#[test]
fn a_killed_clone_leaves_its_lock_behind() {
    let mut lab = Lab::new();
    let clone = [("newid", "100"), ("full", "1"), ("bwlimit", "10240")];
    let upid = lab.ok("POST", "/nodes/pve1/qemu/9000/clone", &clone);
    let upid = upid.as_str().expect("a UPID").to_owned();
    lab.pass(2.0);
    flip(&mut lab, Switch::KillTask { upid: upid.clone() });
    assert_eq!(lab.exit_status(&upid), "unexpected status");
    assert_eq!(lab.config(100)["lock"], "clone");
    assert_eq!(lab.task("DELETE", "/nodes/pve1/qemu/100", &[]), "VM is locked (clone)");
}

#[test]
fn a_copy_that_is_stopped_is_killed_after_five_seconds() {
    let mut lab = Lab::new();
    let clone = [("newid", "100"), ("full", "1"), ("bwlimit", "10240")];
    let upid = lab.ok("POST", "/nodes/pve1/qemu/9000/clone", &clone);
    let upid = upid.as_str().expect("a UPID").to_owned();
    lab.pass(2.0);
    let before = lab.now;
    assert_eq!(lab.call("DELETE", &format!("/nodes/pve1/tasks/{upid}"), &[]).status, 200);
    assert_eq!(lab.now.saturating_sub(before).as_secs(), 5);
    assert_eq!(lab.exit_status(&upid), "unexpected status");
    assert_eq!(lab.config(100)["lock"], "clone");
}

#[test]
fn a_lock_held_by_somebody_else_is_waited_for() {
    let mut lab = Lab::new();
    lab.clone_to(100);
    flip(&mut lab, Switch::HoldLock { vmid: 100, seconds: 3.0 });
    let before = lab.now;
    lab.ok("PUT", "/nodes/pve1/qemu/100/config", &[("memory", "256")]);
    assert!(lab.now.saturating_sub(before).as_secs() >= 3);
    flip(&mut lab, Switch::HoldLock { vmid: 100, seconds: 30.0 });
    let reply = lab.call("PUT", "/nodes/pve1/qemu/100/config", &[("memory", "300")]);
    assert_eq!(reply.reason, "can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout");
}

#[test]
fn a_change_that_the_process_refuses_stays_pending() {
    let mut lab = Lab::new();
    lab.clone_to(100);
    assert_eq!(lab.task("POST", "/nodes/pve1/qemu/100/status/start", &[]), "OK");
    let (option, text) = ("description".to_owned(), "no".to_owned());
    flip(&mut lab, Switch::HotplugFails { vmid: 100, option, text });
    let reply = lab.call("PUT", "/nodes/pve1/qemu/100/config", &[("description", "x"), ("name", "y")]);
    assert_eq!((reply.status, reply.error("description")), (400, Some("hotplug problem - no\n")));
    let pending = lab.get("/nodes/pve1/qemu/100/pending");
    let of = |key: &str| pending.as_array().and_then(|rows| rows.iter().find(|row| row["key"] == key));
    assert_eq!(of("description").map(|row| row["pending"].clone()), Some(Value::from("x")));
    assert_eq!(of("name").map(|row| row["value"].clone()), Some(Value::from("y")), "the rest is done");
}

#[test]
fn a_token_with_rights_of_its_own_has_those_that_its_user_has_too() {
    let mut lab = Lab::new();
    lab.ok("POST", "/access/users", &[("userid", "web@pve"), ("password", "secret-1")]);
    let token = lab.ok("POST", "/access/users/web@pve/token/t", &[("privsep", "1")]);
    let credential = format!("web@pve!t={}", token["value"].as_str().expect("a secret"));
    let look = |lab: &mut Lab| {
        let request = Request::new("GET", "/nodes/pve1/qemu/9000/config").token(&credential);
        lab.cluster.complete(lab.now, request).1.status
    };
    let grant = |lab: &mut Lab, who: (&str, &str)| {
        lab.ok("PUT", "/access/acl", &[("path", "/vms"), ("roles", "PVEAuditor"), who]);
    };
    assert_eq!(look(&mut lab), 403);
    grant(&mut lab, ("tokens", "web@pve!t"));
    assert_eq!(look(&mut lab), 403, "its user may not");
    grant(&mut lab, ("users", "web@pve"));
    assert_eq!(look(&mut lab), 200);
    let again = lab.call("POST", "/access/users/web@pve/token/t", &[]);
    assert_eq!(again.error("tokenid"), Some("Token already exists."));
}

#[test]
fn the_web_interface_is_always_told_200() {
    let mut lab = Lab::new();
    let mut request = lab.request("GET", "/nodes/pve1/qemu/100/config", &[]);
    request.path = request.path.replace("/api2/json", "/api2/extjs");
    let reply = lab.cluster.complete(lab.now, request).1;
    let body = reply.body.expect("a body");
    assert_eq!(
        (reply.status, &body["success"], &body["status"]),
        (200, &Value::from(0), &Value::from("500"))
    );
}

#[test]
fn a_number_can_be_taken() {
    let mut lab = Lab::new();
    let take = Switch::TakeNumber { vmid: 100, node: "pve3".into(), storage: Some("shared".into()) };
    flip(&mut lab, take.clone());
    let config = lab.get("/nodes/pve3/qemu/100/config");
    assert_eq!((&config["name"], config["scsi0"].is_string()), (&"stranger-100".into(), true));
    assert_eq!(lab.cluster.state()["vms"]["100"]["stranger"], true);
    assert_eq!(lab.cluster.switch(take), Err("there is a machine 100 already".to_owned()));
}

#[test]
fn a_migration_ends_when_its_target_dies() {
    let mut lab = Lab::new();
    lab.clone_to(100);
    let upid = lab.ok("POST", "/nodes/pve1/qemu/100/migrate", &[("target", "pve2")]);
    lab.pass(0.5);
    assert_eq!(lab.config(100)["lock"], "migrate");
    flip(&mut lab, Switch::Crash { node: "pve2".into() });
    lab.now = lab.cluster.settle(lab.now);
    assert_eq!(lab.exit_status(upid.as_str().expect("a UPID")), "migration aborted");
    assert!(lab.config(100)["lock"].is_null(), "it is where it was, and free");
}

#[test]
fn a_long_rest_does_not_hide_what_changes_then() {
    let mut lab = Lab::new();
    lab.clone_to(100);
    assert_eq!(lab.task("POST", "/nodes/pve1/qemu/100/status/start", &[]), "OK");
    let status = |lab: &mut Lab| lab.get("/cluster/resources?type=vm")[0]["status"].clone();
    lab.pass(1000.0);
    assert_eq!(status(&mut lab), "running");
    flip(&mut lab, Switch::PowerOff { vmid: 100 });
    assert_eq!(status(&mut lab), "running", "until the next broadcast");
    lab.pass(10.0);
    assert_eq!(status(&mut lab), "stopped");
}

#[test]
fn what_a_dead_node_said_is_forgotten_after_five_minutes() {
    let mut lab = Lab::new();
    lab.pass(20.0);
    let status = |lab: &mut Lab| {
        let rows = lab.get("/cluster/resources?type=vm");
        let row = rows.as_array().and_then(|rows| rows.iter().find(|row| row["vmid"] == 9001)).cloned();
        row.expect("a row")["status"].clone()
    };
    flip(&mut lab, Switch::Node { node: "pve2".into(), online: false });
    lab.pass(200.0);
    assert_eq!(status(&mut lab), "stopped", "still what it last said");
    lab.pass(200.0);
    assert_eq!(status(&mut lab), "unknown");
}

#[test]
fn a_live_phase_that_fails_leaves_the_machine_where_it_is() {
    let mut lab = Lab::new();
    lab.clone_to(100);
    assert_eq!(lab.task("POST", "/nodes/pve1/qemu/100/status/start", &[]), "OK");
    flip(&mut lab, Switch::LiveMigrationFails { vmid: 100, text: "out of luck".into() });
    let migrate = |lab: &mut Lab| {
        lab.task("POST", "/nodes/pve1/qemu/100/migrate", &[("target", "pve2"), ("online", "1")])
    };
    assert_eq!(migrate(&mut lab), "migration problems");
    let status = lab.get("/nodes/pve1/qemu/100/status/current");
    assert_eq!((&status["status"], status.get("lock")), (&"running".into(), None));
    assert_eq!(migrate(&mut lab), "OK", "only the next one fails");
    assert_eq!(lab.get("/nodes/pve2/qemu/100/status/current")["status"], "running");
}
