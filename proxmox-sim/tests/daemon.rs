//! The three workers of a node's daemon.

mod support;

use std::time::Duration;

use proxmox_sim::{Answer, CallId, ClusterConfig, Handled, Request, Switch};
use support::Lab;
use support::meet::MACHINE;

fn lab(daemon_workers: usize, proxy_timeout: f64) -> Lab {
    let mut lab = Lab::with(ClusterConfig { daemon_workers, proxy_timeout, ..ClusterConfig::quick() });
    for vmid in [100, 101] {
        lab.clone_to(vmid);
    }
    let hold = Switch::HoldLock { vmid: 100, seconds: 60.0 };
    lab.cluster.switch(hold).expect("a machine");
    lab
}

/// Sends a request that is not answered yet.
fn begin(lab: &mut Lab, method: &str, path: &str, params: &[(&str, &str)]) -> CallId {
    let request = lab.request(method, path, params);
    match lab.cluster.handle(lab.now, request) {
        Handled::Later(call) => call,
        Handled::Now(answer) => panic!("answered at once: {answer:?}"),
    }
}

/// The answers by the end of that many seconds.
fn answers(lab: &mut Lab, seconds: f64) -> Vec<(CallId, u16, String)> {
    lab.pass(seconds);
    let text = |answer: Answer| answer.reply.map(|reply| (reply.status, reply.reason)).expect("an answer");
    let answers = lab.cluster.take_answers().into_iter();
    answers
        .map(|(call, answer)| (call, text(answer)))
        .map(|(call, (status, text))| (call, status, text))
        .collect()
}

/// Calls that wait for the lock of a machine.
fn block(lab: &mut Lab) -> Vec<CallId> {
    let path = format!("{MACHINE}/config");
    (0..3).map(|_| begin(lab, "PUT", &path, &[("cores", "2")])).collect()
}

const OTHER: &str = "/nodes/pve1/qemu/101/config";

#[test]
fn calls_that_wait_keep_others_out() {
    let mut lab = lab(3, 30.0);
    let blocked = block(&mut lab);
    let other = begin(&mut lab, "PUT", OTHER, &[("cores", "3")]);
    let answered =
        |lab: &mut Lab, request: Request| matches!(lab.cluster.handle(lab.now, request), Handled::Now(_));
    let read = lab.request("GET", OTHER, &[]);
    assert!(answered(&mut lab, read), "reading needs no daemon");
    let elsewhere = begin(&mut lab, "PUT", "/nodes/pve2/qemu/9001/config", &[("description", "x")]);
    let stranger = Request::new("PUT", OTHER).token("no@pve!one=x");
    assert!(answered(&mut lab, stranger), "whoever is not known does not get that far");
    let early = answers(&mut lab, 9.0);
    assert_eq!(early, [(elsewhere, 200, "OK".to_owned())], "the other node has its own");
    let answers = answers(&mut lab, 2.0);
    let text = "can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout";
    for call in blocked {
        assert!(answers.contains(&(call, 500, text.to_owned())), "{answers:?}");
    }
    assert!(answers.contains(&(other, 200, "OK".to_owned())), "{answers:?}");
}

#[test]
fn who_gave_up_is_served_all_the_same() {
    let mut lab = lab(3, 5.0);
    block(&mut lab);
    let other = begin(&mut lab, "PUT", OTHER, &[("cores", "3")]);
    let early = answers(&mut lab, 6.0);
    assert!(early.contains(&(other, 596, "Connection timed out".to_owned())), "{early:?}");
    assert_ne!(lab.config(101)["cores"], 3);
    lab.pass(5.0);
    assert_eq!(lab.config(101)["cores"], 3, "it was carried out when there was a worker");
}

#[test]
fn a_crash_ends_the_queue() {
    let mut lab = lab(3, 30.0);
    block(&mut lab);
    let other = begin(&mut lab, "PUT", OTHER, &[("cores", "3")]);
    lab.cluster.switch(Switch::Crash { node: "pve1".into() }).expect("a node");
    let answers = answers(&mut lab, 1.0);
    assert!(answers.contains(&(other, 596, "Broken pipe".to_owned())), "{answers:?}");
}

#[test]
fn with_enough_workers_nobody_waits() {
    let mut lab = lab(0, 30.0);
    block(&mut lab);
    lab.ok("PUT", OTHER, &[("cores", "3")]);
}

#[test]
fn answers_on_the_way_keep_no_worker_busy() {
    let config =
        ClusterConfig { daemon_workers: 1, read_latency: 0.02, write_latency: 0.1, ..ClusterConfig::quick() };
    let mut lab = Lab::with(config);
    lab.clone_to(100);
    let delay = |lab: &mut Lab, method: &str| {
        let request = lab.request(method, &format!("{MACHINE}/firewall/options"), &[]);
        match lab.cluster.handle(lab.now, request) {
            Handled::Now(answer) => answer.delay,
            Handled::Later(_) => panic!("the worker is busy"),
        }
    };
    assert_eq!(delay(&mut lab, "GET"), Duration::from_millis(20));
    for _ in 0..3 {
        assert_eq!(delay(&mut lab, "PUT"), Duration::from_millis(100));
        // Without any delay of its own, the worker is free as soon as time goes on.
        lab.pass(0.0);
    }
}

#[test]
fn locks_that_were_not_to_be_had_are_counted() {
    let mut lab = lab(3, 30.0);
    block(&mut lab);
    lab.pass(9.0);
    assert_eq!(lab.cluster.counters().lock_timeouts, 0);
    lab.pass(2.0);
    assert_eq!(lab.cluster.counters().lock_timeouts, 3);
}
