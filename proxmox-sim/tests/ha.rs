//! The HA manager, which does what it is told a while later, and undoes what it was not told.

mod support;

use proxmox_sim::Switch;
use support::Lab;
use support::meet::{MACHINE, lab};

const RESOURCE: &str = "/cluster/ha/resources/vm:100";

fn managed(state: &str) -> Lab {
    let mut lab = lab(1);
    lab.ok("POST", "/cluster/ha/resources", &[("sid", "vm:100"), ("state", state)]);
    lab
}

fn status(lab: &mut Lab) -> (String, String) {
    let status = lab.get(&format!("{MACHINE}/status/current"));
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    (text(&status["status"]), text(&status["ha"]["state"]))
}

fn is(lab: &mut Lab, power: &str, state: &str) {
    assert_eq!(status(lab), (power.to_owned(), state.to_owned()));
}

#[test]
fn a_wish_is_taken_at_once_and_done_later() {
    let mut lab = managed("stopped");
    let upid = lab.ok("POST", &format!("{MACHINE}/status/start"), &[]);
    assert!(upid.as_str().expect("a UPID").contains(":hastart:100:"));
    lab.pass(0.1);
    assert_eq!(lab.exit_status(upid.as_str().expect("a UPID")), "OK");
    is(&mut lab, "stopped", "started");
    lab.pass(12.0);
    is(&mut lab, "running", "started");
    assert_eq!(lab.task("POST", &format!("{MACHINE}/status/stop"), &[]), "OK");
    is(&mut lab, "running", "stopped");
    lab.pass(15.0);
    is(&mut lab, "stopped", "stopped");
}

#[test]
fn what_was_stopped_otherwise_is_started_again_until_it_has_left() {
    let mut lab = managed("started");
    lab.pass(12.0);
    is(&mut lab, "running", "started");
    lab.cluster.switch(Switch::PowerOff { vmid: 100 }).expect("a machine");
    lab.pass(12.0);
    is(&mut lab, "running", "started");
    lab.ok("DELETE", RESOURCE, &[]);
    lab.cluster.switch(Switch::PowerOff { vmid: 100 }).expect("a machine");
    lab.pass(60.0);
    is(&mut lab, "stopped", "");
    assert_eq!(lab.cluster.next_event(), None, "nobody looks any more");
}

#[test]
fn a_machine_that_is_ignored_is_everybodys() {
    let mut lab = managed("ignored");
    let upid = lab.ok("POST", &format!("{MACHINE}/status/start"), &[]);
    assert!(upid.as_str().expect("a UPID").contains(":qmstart:100:"));
    lab.pass(60.0);
    is(&mut lab, "running", "ignored");
}

#[test]
fn a_managed_machine_is_destroyed_only_with_a_purge() {
    let mut lab = managed("stopped");
    let text = "unable to remove VM 100 - used in HA resources and purge parameter not set.";
    assert_eq!(lab.call("DELETE", MACHINE, &[]).reason, text);
    assert_eq!(lab.task("DELETE", MACHINE, &[("purge", "1")]), "OK");
    assert_eq!(lab.get("/cluster/ha/resources"), serde_json::json!([]));
}

/// The button, not a restart: the process is the same one, and what waits goes on waiting.
#[test]
fn a_reset_keeps_the_process() {
    let mut lab = lab(1);
    assert_eq!(lab.call("POST", &format!("{MACHINE}/status/reset"), &[]).reason, "VM 100 not running");
    assert_eq!(lab.task("POST", &format!("{MACHINE}/status/start"), &[]), "OK");
    lab.pass(20.0);
    let before = lab.get(&format!("{MACHINE}/status/current"));
    assert_eq!(lab.task("POST", &format!("{MACHINE}/config"), &[("sockets", "2")]), "OK");
    assert_eq!(lab.call("POST", &format!("{MACHINE}/agent/ping"), &[]).status, 200);
    assert_eq!(lab.task("POST", &format!("{MACHINE}/status/reset"), &[]), "OK");
    assert_eq!(lab.call("POST", &format!("{MACHINE}/agent/ping"), &[]).status, 500, "it boots");
    let after = lab.get(&format!("{MACHINE}/status/current"));
    assert_eq!(after["pid"], before["pid"]);
    assert!(after["uptime"].as_u64() >= before["uptime"].as_u64());
    let waiting = lab.get(&format!("{MACHINE}/pending"));
    assert!(
        waiting.as_array().expect("rows").iter().any(|row| row["key"] == "sockets" && row["pending"] == 2)
    );
}
