//! What an operator finds and does after workers were killed.

mod support;

use proxmox_sim::{ClusterConfig, Faults, Reply, Request, StaleLock, Switch, Version};
use serde_json::Value;
use support::Lab;

/// root@pam with a ticket: neither a token nor anybody else may do what it may.
struct Operator {
    ticket: String,
    csrf: String,
}

impl Operator {
    fn login(lab: &mut Lab) -> Self {
        let login = Request::new("POST", "/access/ticket");
        let login = login.param("username", "root@pam").param("password", "simulated");
        let (now, reply) = lab.cluster.complete(lab.now, login);
        lab.now = now;
        let data = reply.payload();
        let text = |key: &str| data[key].as_str().expect("a text").to_owned();
        Self { ticket: text("ticket"), csrf: text("CSRFPreventionToken") }
    }

    fn call(&self, lab: &mut Lab, method: &str, path: &str, params: &[(&str, &str)]) -> Reply {
        let request = params.iter().fold(Request::new(method, path), |r, (name, value)| r.param(name, value));
        let request = request.ticket(&self.ticket, &self.csrf);
        let (now, reply) = lab.cluster.complete(lab.now, request);
        lab.now = now;
        reply
    }

    fn task(&self, lab: &mut Lab, method: &str, path: &str, params: &[(&str, &str)]) -> String {
        let reply = self.call(lab, method, path, params);
        assert_eq!(reply.status, 200, "{method} {path}: {}", reply.reason);
        lab.now = lab.cluster.settle(lab.now);
        lab.exit_status(reply.payload().as_str().expect("a UPID"))
    }
}

/// A clone to 100 that was killed half-way: locked, with volumes that nothing names.
fn half_a_clone(version: Version) -> Lab {
    for seed in 0..100 {
        let config = ClusterConfig { seed, version, ..ClusterConfig::quick() };
        let mut lab = Lab::with(config);
        lab.cluster.set_faults(Faults { killed: 1, ..Faults::unweighted(1.0) });
        lab.ok("POST", "/nodes/pve1/qemu/9000/clone", &[("newid", "100")]);
        lab.now = lab.cluster.settle(lab.now);
        lab.cluster.set_faults(Faults::none());
        if lab.cluster.stale_locks().len() == 1 && !orphans(&lab).is_empty() {
            return lab;
        }
    }
    panic!("no clone is killed between two volumes");
}

fn orphans(lab: &Lab) -> Vec<Value> {
    let state = lab.cluster.state();
    let volumes = state["volumes"].as_array().expect("volumes").iter();
    volumes.filter(|volume| volume["content"] == "images" && volume["referenced"] == false).cloned().collect()
}

#[test]
fn a_stale_lock_is_found_and_the_machine_destroyed() {
    for version in [Version::V8_4, Version::V9_2] {
        let mut lab = half_a_clone(version);
        let found = lab.cluster.stale_locks();
        let [StaleLock { vmid: 100, node, lock, since, .. }] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((node.as_str(), lock.as_str()), ("pve1", "clone"));
        assert!(*since <= lab.now);
        let path = "/nodes/pve1/qemu/100?skiplock=1&purge=1&destroy-unreferenced-disks=1";
        let token = lab.call("DELETE", path, &[]);
        assert_eq!((token.status, token.error("skiplock")), (400, Some("Only root may use this option.")));
        let root = Operator::login(&mut lab);
        assert_eq!(root.task(&mut lab, "DELETE", path, &[]), "OK");
        assert!(lab.cluster.state()["vms"]["100"].is_null());
        assert_eq!((lab.cluster.stale_locks(), orphans(&lab)), (Vec::new(), Vec::new()));
    }
}

#[test]
fn without_asking_for_it_orphans_stay() {
    let mut lab = half_a_clone(Version::V9_2);
    let root = Operator::login(&mut lab);
    let path = "/nodes/pve1/qemu/100?skiplock=1&purge=1";
    assert_eq!(root.task(&mut lab, "DELETE", path, &[]), "OK");
    let orphans = orphans(&lab);
    assert!(!orphans.is_empty());
    for orphan in orphans {
        let volid = orphan["volid"].as_str().expect("an id").replace('/', "%2F");
        let path = format!("/nodes/pve1/storage/shared/content/{volid}");
        assert_eq!(root.task(&mut lab, "DELETE", &path, &[]), "OK");
    }
    assert!(self::orphans(&lab).is_empty());
}

#[test]
fn unlocking_is_a_change_of_the_configuration() {
    for version in [Version::V8_4, Version::V9_2] {
        let mut lab = half_a_clone(version);
        let path = "/nodes/pve1/qemu/100/config";
        let unlock = [("delete", "lock"), ("skiplock", "1")];
        assert_eq!(lab.call("PUT", path, &unlock).status, 400, "not with a token");
        let root = Operator::login(&mut lab);
        assert_eq!(root.call(&mut lab, "PUT", path, &unlock).status, 200);
        assert!(lab.config(100)["lock"].is_null());
        assert!(lab.cluster.stale_locks().is_empty());
        lab.pass(100.0);
        let (key, value) = ("lock".to_owned(), Some("backup".to_owned()));
        lab.cluster.switch(Switch::Option { vmid: 100, key, value }).expect("a machine");
        assert_eq!(lab.cluster.stale_locks()[0].since, lab.now, "a new lock is a young one");
        assert_eq!(root.call(&mut lab, "PUT", path, &unlock).status, 200);
        assert_eq!(lab.task("DELETE", "/nodes/pve1/qemu/100", &[]), "OK", "whoever may destroy it, can");
    }
}

#[test]
fn what_is_worked_on_is_not_stale() {
    let mut lab = Lab::new();
    lab.clone_to(101);
    lab.ok("POST", "/nodes/pve1/qemu/9000/clone", &[("newid", "100")]);
    lab.pass(0.2);
    assert_eq!(lab.config(100)["lock"], "clone");
    assert!(lab.cluster.stale_locks().is_empty(), "the clone is under way");
    let (key, value) = ("lock".to_owned(), Some("backup".to_owned()));
    lab.cluster.switch(Switch::Option { vmid: 101, key, value }).expect("a machine");
    let set = lab.now;
    lab.pass(100.0);
    let stale: Vec<_> = lab.cluster.stale_locks().into_iter().map(|s| (s.vmid, s.lock, s.since)).collect();
    assert_eq!(stale, [(101, "backup".to_owned(), set)]);
    assert_eq!(lab.task("POST", "/nodes/pve1/qemu/101/status/start", &[]), "VM is locked (backup)");
    assert_eq!(lab.cluster.stale_locks()[0].since, set, "what is refused does not make it younger");
}

#[test]
fn a_crash_makes_locks_stale() {
    let mut lab = Lab::new();
    lab.clone_to(100);
    lab.ok("POST", "/nodes/pve1/qemu/100/migrate", &[("target", "pve2")]);
    lab.pass(0.5);
    assert!(lab.cluster.stale_locks().is_empty());
    lab.cluster.switch(Switch::Crash { node: "pve1".into() }).expect("a node");
    let stale = lab.cluster.stale_locks();
    assert_eq!((stale[0].vmid, stale[0].lock.as_str(), stale[0].since), (100, "migrate", lab.now));
}
