//! Cloning: what an observer sees when, and what a failure leaves.

mod support;

use proxmox_sim::{ClusterConfig, Faults, Switch};
use support::Lab;

#[test]
fn the_phases_of_a_linked_clone() {
    let mut lab = Lab::new();
    let clone = [("newid", "100"), ("name", "one.example.test"), ("description", "mark: 1")];
    let upid = lab.ok("POST", "/nodes/pve1/qemu/9000/clone", &clone);
    let upid = upid.as_str().expect("a UPID").to_owned();
    assert!(upid.contains(":qmclone:9000:root@pam!sim:"), "the id is the source's: {upid}");
    assert_eq!(
        lab.call("GET", "/cluster/nextid", &[("vmid", "100")]).status,
        200,
        "the number is still free"
    );
    let missing = lab.call("GET", "/nodes/pve1/qemu/100/config", &[]);
    assert_eq!(missing.reason, "Configuration file 'nodes/pve1/qemu-server/100.conf' does not exist");

    lab.pass(0.06);
    let config = lab.config(100);
    assert_eq!(config["description"], " qmclone temporary file");
    assert_eq!(config["lock"], "clone");
    assert_eq!(config["digest"], "eb54fb9d9f120ba0c3bdf694f73b10002c375c38");
    assert!(config["name"].is_null(), "no name before the first drive");
    let taken = lab.call("GET", "/cluster/nextid", &[("vmid", "100")]);
    assert_eq!((taken.status, taken.error("vmid")), (400, Some("VM 100 already exists")));

    lab.pass(0.17);
    let config = lab.config(100);
    assert_eq!(config["name"], "one.example.test");
    assert_eq!(config["description"], "mark: 1");
    assert!(config["ide2"].is_string() && config["scsi0"].is_null(), "one drive of two: {config}");
    assert_eq!(config["lock"], "clone");
    let identity = config["smbios1"].clone();
    assert_eq!(lab.exit_status(&upid), "running");

    lab.now = lab.cluster.settle(lab.now);
    assert_eq!(lab.exit_status(&upid), "OK");
    let config = lab.config(100);
    assert!(config["lock"].is_null());
    assert_eq!(config["smbios1"], identity, "the identity is final from the start");
    assert_eq!(
        config["scsi0"],
        "shared:9000/base-9000-disk-0.qcow2/100/vm-100-disk-0.qcow2,discard=on,iothread=1,size=2G,ssd=1"
    );
    assert_eq!(config["ide2"], "shared:100/vm-100-cloudinit.qcow2,media=cdrom,size=4M");
    assert_eq!(config["memory"], "512", "memory is text");
    assert_eq!(config["cores"], 1, "cores are a number");
    let template = lab.config(9000);
    assert_ne!(config["net0"], template["net0"], "a fresh MAC address");
    assert_ne!(config["smbios1"], template["smbios1"]);
    assert_eq!(lab.cluster.counters().clones[&100], 1);

    let log = lab.get(&format!("/nodes/pve1/tasks/{upid}/log"));
    assert_eq!(log[0]["t"], "creating a clone of VM 9000 with ID 100");
    assert_eq!(log.as_array().and_then(|l| l.last()).expect("lines")["t"], "TASK OK");
}

#[test]
fn resources_lag_behind() {
    let mut lab = Lab::new();
    lab.clone_to(100);
    let row = |lab: &mut Lab| {
        let rows = lab.get("/cluster/resources?type=vm");
        rows.as_array().expect("rows").iter().find(|row| row["vmid"] == 100).expect("a row").clone()
    };
    let row_now = row(&mut lab);
    assert_eq!((row_now["status"].as_str(), row_now["name"].as_str()), (Some("unknown"), None));
    assert_eq!(row_now["node"], "pve1");
    lab.pass(10.0);
    let row_later = row(&mut lab);
    assert_eq!(
        (row_later["status"].as_str(), row_later["name"].as_str()),
        (Some("stopped"), Some("one.example.test"))
    );
}

#[test]
fn what_is_refused_before_a_task() {
    let mut lab = Lab::new();
    lab.clone_to(101);
    for (params, text) in [
        (vec![("newid", "101")], "unable to create VM 101: config file already exists"),
        (
            vec![("newid", "103"), ("storage", "local-lvm")],
            "parameter 'storage' not allowed for linked clones",
        ),
        (vec![("newid", "103"), ("format", "raw")], "parameter 'format' not allowed for linked clones"),
        (vec![("newid", "103"), ("target", "nosuch")], "no such cluster node 'nosuch'"),
        (
            vec![("newid", "103"), ("full", "1"), ("storage", "local-lvm"), ("target", "pve2")],
            "can't clone to non-shared storage 'local-lvm'",
        ),
        (vec![("newid", "103"), ("snapname", "nosnap")], "snapshot 'nosnap' does not exist"),
    ] {
        let reply = lab.call("POST", "/nodes/pve1/qemu/9000/clone", &params);
        assert_eq!((reply.status, reply.reason.as_str()), (500, text));
    }
    let local = lab.call("POST", "/nodes/pve2/qemu/9001/clone", &[("newid", "103"), ("target", "pve1")]);
    assert_eq!(local.reason, "can't clone VM to node 'pve1' (VM uses local storage)");
    let elsewhere = lab.call("POST", "/nodes/pve2/qemu/9000/clone", &[("newid", "103")]);
    assert_eq!(elsewhere.reason, "unable to find configuration file for VM 9000 on node 'pve2'");
    let plain = lab.call("POST", "/nodes/pve1/qemu/101/clone", &[("newid", "103"), ("full", "0")]);
    assert!(
        plain.reason.starts_with("Linked clone feature is not supported for 'shared:"),
        "{}",
        plain.reason
    );
    let pool = lab.call("POST", "/nodes/pve1/qemu/9000/clone", &[("newid", "103"), ("pool", "nopool")]);
    assert_eq!(
        (pool.status, pool.reason.as_str()),
        (403, "Permission check failed (pool 'nopool' does not exist)")
    );
}

#[test]
fn linked_clones_run_side_by_side_and_a_full_one_blocks_writers() {
    let mut lab = Lab::new();
    for vmid in ["100", "101", "102"] {
        lab.ok("POST", "/nodes/pve1/qemu/9000/clone", &[("newid", vmid)]);
    }
    lab.now = lab.cluster.settle(lab.now);
    assert_eq!(lab.cluster.counters().tasks["qmclone"].ok, 3);

    let mut config = ClusterConfig::quick();
    config.durations.clone_full = 30.0;
    let mut lab = Lab::with(config);
    lab.ok("POST", "/nodes/pve1/qemu/9000/clone", &[("newid", "100"), ("full", "1")]);
    lab.pass(8.0);
    let before = lab.now;
    let reply = lab.call("PUT", "/nodes/pve1/qemu/9000/config", &[("description", "touched")]);
    assert_eq!(reply.reason, "can't lock file '/var/lock/qemu-server/lock-9000.conf' - got timeout");
    assert_eq!(lab.now.saturating_sub(before).as_secs(), 10);
    let linked = lab.ok("POST", "/nodes/pve1/qemu/9000/clone", &[("newid", "101")]);
    lab.pass(1.0);
    assert_eq!(lab.exit_status(linked.as_str().expect("a UPID")), "OK");
    let locked = lab.call("PUT", "/nodes/pve1/qemu/100/config", &[("cores", "2")]);
    assert_eq!(locked.reason, "VM is locked (clone)");
}

#[test]
fn an_ordinary_failure_leaves_nothing() {
    let mut config = ClusterConfig::quick();
    config.faults = Faults { task: 1, ..Faults::unweighted(1.0) };
    for seed in 0..20 {
        config.seed = seed;
        let mut lab = Lab::with(config.clone());
        let volumes = lab.cluster.state()["volumes"].clone();
        let upid = lab.ok("POST", "/nodes/pve1/qemu/9000/clone", &[("newid", "100")]);
        lab.now = lab.cluster.settle(lab.now);
        lab.cluster.set_faults(Faults::none());
        let status = lab.exit_status(upid.as_str().expect("a UPID"));
        assert_eq!(status, "clone failed: simulated failure");
        let state = lab.cluster.state();
        assert_eq!(state["volumes"], volumes, "seed {seed}");
        assert!(state["vms"]["100"].is_null());
        assert_eq!(lab.cluster.counters().clones.get(&100), None);
        lab.clone_to(100);
    }
}

#[test]
fn a_crash_leaves_a_locked_half() {
    let mut lab = Lab::new();
    let upid = lab.ok("POST", "/nodes/pve1/qemu/9000/clone", &[("newid", "100")]);
    lab.pass(0.25);
    lab.cluster.switch(Switch::Crash { node: "pve1".into() }).expect("a node");
    assert_eq!(lab.call("GET", "/nodes/pve1/qemu/100/config", &[]).status, 595);
    lab.cluster.switch(Switch::Node { node: "pve1".into(), online: true }).expect("a node");
    assert_eq!(lab.exit_status(upid.as_str().expect("a UPID")), "unexpected status");
    assert_eq!(lab.config(100)["lock"], "clone");
    let status = lab.task("DELETE", "/nodes/pve1/qemu/100", &[("purge", "1")]);
    assert_eq!(status, "VM is locked (clone)");
}

#[test]
fn a_clone_with_a_target_moves_at_the_end() {
    let mut lab = Lab::new();
    let clone = [("newid", "100"), ("target", "pve3")];
    assert_eq!(lab.task("POST", "/nodes/pve1/qemu/9000/clone", &clone), "OK");
    assert_eq!(lab.call("GET", "/nodes/pve1/qemu/100/config", &[]).status, 500);
    assert_eq!(lab.call("GET", "/nodes/pve3/qemu/100/config", &[]).status, 200);
}
