//! Starting and stopping in odd states: paused, asleep, or locked by a backup.

mod support;

use proxmox_sim::Switch;
use support::Lab;
use support::meet::{MACHINE, lab};

fn running() -> Lab {
    let mut lab = lab(1);
    assert_eq!(power(&mut lab, "start", &[]), "OK");
    lab
}

fn power(lab: &mut Lab, what: &str, params: &[(&str, &str)]) -> String {
    lab.task("POST", &format!("{MACHINE}/status/{what}"), params)
}

fn refusal(lab: &mut Lab, what: &str) -> String {
    lab.call("POST", &format!("{MACHINE}/status/{what}"), &[]).reason
}

fn lock(lab: &mut Lab, value: Option<&str>) {
    let (key, value) = ("lock".to_owned(), value.map(str::to_owned));
    lab.cluster.switch(Switch::Option { vmid: 100, key, value }).expect("a machine");
}

/// What is shown of the process, and the lock.
fn state(lab: &mut Lab) -> (String, Option<String>) {
    let current = lab.get(&format!("{MACHINE}/status/current"));
    let text = |key: &str| current[key].as_str().map(str::to_owned);
    (text("qmpstatus").expect("a state"), text("lock"))
}

#[test]
fn a_paused_machine_does_not_shut_down() {
    let mut lab = running();
    assert_eq!(power(&mut lab, "suspend", &[]), "OK");
    assert_eq!(state(&mut lab).0, "paused");
    assert_eq!(refusal(&mut lab, "shutdown"), "VM is paused - cannot shutdown");
    assert_eq!(power(&mut lab, "resume", &[]), "OK");
    assert_eq!(state(&mut lab).0, "running");
    assert_eq!(power(&mut lab, "suspend", &[]), "OK");
    let before = lab.now;
    assert_eq!(power(&mut lab, "shutdown", &[("forceStop", "1"), ("timeout", "600")]), "OK");
    assert!(lab.now.saturating_sub(before).as_secs() < 30, "it is stopped, and nobody is waited for");
    assert_eq!(state(&mut lab).0, "stopped");
}

#[test]
fn a_machine_sleeps_on_a_disk_and_wakes_up() {
    for waking in ["start", "resume"] {
        let mut lab = running();
        lab.ok("POST", &format!("{MACHINE}/status/suspend"), &[("todisk", "1")]);
        lab.pass(0.1);
        assert_eq!(lab.config(100)["lock"], "suspending");
        lab.now = lab.cluster.settle(lab.now);
        assert_eq!(state(&mut lab), ("stopped".to_owned(), Some("suspended".to_owned())));
        let change = lab.call("PUT", &format!("{MACHINE}/config"), &[("cores", "2")]);
        assert_eq!(change.reason, "VM is locked (suspended)");
        assert_eq!(power(&mut lab, waking, &[]), "OK");
        assert_eq!(state(&mut lab), ("running".to_owned(), None));
    }
}

#[test]
fn a_backup_lets_its_machine_pause_and_go_on() {
    let mut lab = running();
    lock(&mut lab, Some("backup"));
    assert_eq!(power(&mut lab, "suspend", &[]), "OK");
    assert_eq!(power(&mut lab, "start", &[]), "OK", "it goes on");
    assert_eq!(state(&mut lab).0, "running");
    assert_eq!(power(&mut lab, "suspend", &[]), "OK");
    assert_eq!(power(&mut lab, "resume", &[]), "OK");
    assert_eq!(refusal(&mut lab, "reset"), "VM is locked (backup)");
    assert_eq!(power(&mut lab, "stop", &[]), "VM is locked (backup)");
    lock(&mut lab, None);
    assert_eq!(power(&mut lab, "stop", &[]), "OK");
    lock(&mut lab, Some("backup"));
    assert_eq!(power(&mut lab, "start", &[]), "VM is locked (backup)", "a stopped one does not start");
}

#[test]
fn a_stop_can_end_the_shutdown_before_it() {
    let mut lab = running();
    lab.cluster.switch(Switch::Deaf { vmid: 100 }).expect("a running machine");
    let shutdown = lab.ok("POST", &format!("{MACHINE}/status/shutdown"), &[("timeout", "600")]);
    let shutdown = shutdown.as_str().expect("a UPID");
    lab.pass(1.0);
    let stop = lab.ok("POST", &format!("{MACHINE}/status/stop"), &[("overrule-shutdown", "1")]);
    let stop = stop.as_str().expect("a UPID");
    lab.pass(8.0);
    assert_eq!(lab.exit_status(stop), "OK");
    assert_eq!(lab.exit_status(shutdown), "VM quit/powerdown failed - got timeout");
    let log = lab.get(&format!("/nodes/pve1/tasks/{stop}/log"));
    assert_eq!(log[0]["t"], format!("overruled qmshutdown tasks: {shutdown}"));
    assert_eq!(state(&mut lab).0, "stopped");
}
