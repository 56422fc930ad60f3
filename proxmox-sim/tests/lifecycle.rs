//! Resize, migration, power, the guest, and the end of a machine.

mod support;

use proxmox_sim::{BackupConfig, ClusterConfig, Faults, Switch};
use support::Lab;

fn cloned() -> Lab {
    let mut lab = Lab::new();
    lab.clone_to(100);
    lab
}

fn resize(lab: &mut Lab, disk: &str, size: &str) -> String {
    lab.task("PUT", "/nodes/pve1/qemu/100/resize", &[("disk", disk), ("size", size)])
}

#[test]
fn resizing() {
    let mut lab = cloned();
    assert_eq!(resize(&mut lab, "scsi0", "5G"), "OK");
    assert!(lab.config(100)["scsi0"].as_str().expect("a disk").contains(",size=5G,"));
    assert_eq!(resize(&mut lab, "scsi0", "5G"), "OK", "the same size is fine");
    assert_eq!(resize(&mut lab, "scsi0", "+1G"), "OK");
    let images = lab.get("/nodes/pve1/storage/shared/content?vmid=100").to_string();
    assert!(images.contains(&(6_u64 << 30).to_string()), "{images}");
    assert_eq!(resize(&mut lab, "scsi0", "4G"), "shrinking disks is not supported");
    assert_eq!(resize(&mut lab, "scsi7", "4G"), "disk 'scsi7' does not exist");
    assert_eq!(resize(&mut lab, "ide2", "4G"), "you can't resize a cdrom");
    let reply = lab.call("PUT", "/nodes/pve1/qemu/100/resize", &[("disk", "scsi0"), ("size", "abc")]);
    assert_eq!(reply.error("size"), Some("value does not match the regex pattern"));
}

#[test]
fn a_migration_moves_the_configuration_at_its_end() {
    let mut lab = cloned();
    let upid = lab.ok("POST", "/nodes/pve1/qemu/100/migrate", &[("target", "pve2")]);
    lab.pass(0.5);
    assert_eq!(lab.config(100)["lock"], "migrate");
    let again = lab.call("POST", "/nodes/pve1/qemu/100/migrate", &[("target", "pve2")]);
    assert_eq!(again.reason, "VM is locked (migrate)");
    lab.now = lab.cluster.settle(lab.now);
    assert_eq!(lab.exit_status(upid.as_str().expect("a UPID")), "OK");
    let old = lab.call("POST", "/nodes/pve1/qemu/100/migrate", &[("target", "pve2")]);
    assert_eq!(old.reason, "Configuration file 'nodes/pve1/qemu-server/100.conf' does not exist");
    let new = lab.call("POST", "/nodes/pve2/qemu/100/migrate", &[("target", "pve2")]);
    assert_eq!(new.error("target"), Some("target is local node."));
    assert!(lab.get("/nodes/pve2/qemu/100/config")["lock"].is_null());
}

#[test]
fn local_disks_go_along_but_not_linked_ones() {
    let mut lab = Lab::new();
    let linked = [("newid", "101"), ("name", "linked")];
    assert_eq!(lab.task("POST", "/nodes/pve2/qemu/9001/clone", &linked), "OK");
    assert_eq!(lab.task("POST", "/nodes/pve2/qemu/101/migrate", &[("target", "pve1")]), "migration aborted");
    assert!(lab.get("/nodes/pve2/qemu/101/config")["lock"].is_null(), "nothing is left of it");
    let full = [("newid", "102"), ("full", "1")];
    assert_eq!(lab.task("POST", "/nodes/pve2/qemu/9001/clone", &full), "OK");
    let there = [("target", "pve1"), ("targetstorage", "shared")];
    assert_eq!(lab.task("POST", "/nodes/pve2/qemu/102/migrate", &there), "OK");
    let config = lab.get("/nodes/pve1/qemu/102/config");
    assert_eq!(config["scsi0"], "shared:102/vm-102-disk-0.raw,discard=on,iothread=1,size=3G,ssd=1");
}

#[test]
fn power() {
    let mut lab = cloned();
    let vm = "/nodes/pve1/qemu/100/status";
    assert_eq!(lab.call("POST", &format!("{vm}/reboot"), &[]).reason, "VM 100 not running");
    assert_eq!(lab.task("POST", &format!("{vm}/stop"), &[]), "OK", "stopping what is stopped is fine");
    assert_eq!(lab.task("POST", &format!("{vm}/start"), &[]), "OK");
    assert_eq!(lab.get(&format!("{vm}/current"))["status"], "running");
    assert_eq!(lab.task("POST", &format!("{vm}/start"), &[]), "VM 100 already running");
    lab.cluster.switch(Switch::Deaf { vmid: 100 }).expect("a running machine");
    let wait = [("timeout", "5")];
    assert_eq!(lab.task("POST", &format!("{vm}/shutdown"), &wait), "VM quit/powerdown failed - got timeout");
    let force = [("timeout", "5"), ("forceStop", "1")];
    assert_eq!(lab.task("POST", &format!("{vm}/shutdown"), &force), "OK");
    assert_eq!(lab.get(&format!("{vm}/current"))["status"], "stopped");
    assert_eq!(
        lab.task("POST", "/nodes/pve1/qemu/9000/status/start", &[]),
        "you can't start a vm if it's a template"
    );
    let missing = "unable to find configuration file for VM 555 on node 'pve1'";
    assert_eq!(lab.task("POST", "/nodes/pve1/qemu/555/status/stop", &[]), missing);
    lab.cluster
        .switch(Switch::Bridge { node: "pve1".into(), bridge: "vmbr0".into(), exists: false })
        .expect("a node");
    let status = lab.task("POST", &format!("{vm}/start"), &[]);
    assert!(status.contains("bridge 'vmbr0' does not exist"), "{status}");
}

#[test]
fn the_guest_answers_after_its_boot() {
    let mut lab = cloned();
    let vm = "/nodes/pve1/qemu/100";
    lab.ok(
        "PUT",
        &format!("{vm}/config"),
        &[("ipconfig0", "ip=dhcp,ip6=2001:db8::5/64"), ("net0", "virtio=02:AA:00:00:00:01,bridge=vmbr0")],
    );
    assert_eq!(lab.call("POST", &format!("{vm}/agent/ping"), &[]).reason, "VM 100 is not running");
    assert_eq!(lab.task("POST", &format!("{vm}/status/start"), &[]), "OK");
    assert_eq!(lab.call("POST", &format!("{vm}/agent/ping"), &[]).reason, "QEMU guest agent is not running");
    lab.pass(2.0);
    assert_eq!(lab.ok("POST", &format!("{vm}/agent/ping"), &[]), serde_json::json!({"result": {}}));
    let interfaces = lab.get(&format!("{vm}/agent/network-get-interfaces"));
    assert_eq!(interfaces["result"][0]["name"], "lo");
    let eth0 = &interfaces["result"][1];
    assert_eq!(eth0["hardware-address"], "02:aa:00:00:00:01");
    assert!(eth0["ip-addresses"][0]["ip-address"].as_str().expect("a lease").starts_with("192.0.2."));
    assert_eq!(eth0["ip-addresses"][1]["ip-address"], "2001:db8::5");

    let mut lab = Lab::new();
    assert_eq!(lab.task("POST", "/nodes/pve2/qemu/9001/clone", &[("newid", "101")]), "OK");
    lab.ok("PUT", "/nodes/pve2/qemu/101/config", &[("agent", "1")]);
    assert_eq!(lab.task("POST", "/nodes/pve2/qemu/101/status/start", &[]), "OK");
    lab.pass(60.0);
    let reply = lab.call("POST", "/nodes/pve2/qemu/101/agent/ping", &[]);
    assert_eq!(reply.reason, "QEMU guest agent is not running", "its image has none");
}

#[test]
fn destroying() {
    let mut lab = cloned();
    let backup = BackupConfig {
        vmid: 100,
        storage: "shared".into(),
        node: String::new(),
        size: 0,
        protected: false,
        config: [].into(),
    };
    lab.cluster.switch(Switch::AddBackup { backup }).expect("a storage");
    lab.ok(
        "POST",
        "/nodes/pve1/storage/shared/content",
        &[("vmid", "100"), ("filename", "vm-100-disk-9.raw"), ("size", "1G")],
    );
    lab.ok("POST", "/nodes/pve1/qemu/100/firewall/ipset", &[("name", "ipfilter-net0")]);
    let vm = "/nodes/pve1/qemu/100";
    lab.ok("PUT", &format!("{vm}/config"), &[("protection", "1")]);
    assert_eq!(lab.call("DELETE", vm, &[]).reason, "can't remove VM 100 - protection mode enabled");
    lab.ok("PUT", &format!("{vm}/config"), &[("protection", "0")]);
    assert_eq!(lab.task("POST", &format!("{vm}/status/start"), &[]), "OK");
    assert_eq!(lab.call("DELETE", vm, &[]).reason, "VM 100 is running - destroy failed");
    assert_eq!(lab.task("POST", &format!("{vm}/status/stop"), &[]), "OK");

    lab.ok("DELETE", vm, &[("purge", "1")]);
    lab.pass(0.1);
    let config = lab.config(100);
    assert_eq!((&config["lock"], &config["scsi0"]), (&"destroyed".into(), &serde_json::Value::Null));
    lab.now = lab.cluster.settle(lab.now);
    assert_eq!(lab.call("GET", "/cluster/nextid", &[("vmid", "100")]).status, 200);
    assert_eq!(lab.get("/nodes/pve1/qemu/100/firewall/ipset"), serde_json::json!([]));
    let left = lab.get("/nodes/pve1/storage/shared/content?vmid=100");
    let kinds: Vec<&str> =
        left.as_array().expect("rows").iter().filter_map(|row| row["content"].as_str()).collect();
    assert_eq!(kinds, ["images", "backup"], "what the configuration did not name stays: {left}");
    let backup = left[1]["volid"].as_str().expect("a volume").to_owned();
    let path = format!("/nodes/pve1/storage/shared/content/{backup}");
    let upid = lab.ok("DELETE", &path, &[]);
    assert!(upid.as_str().expect("a UPID").contains(":imgdel:100@shared:"));
    lab.now = lab.cluster.settle(lab.now);
    assert_eq!(lab.task("DELETE", &path, &[]), "OK", "deleting what is gone is fine");
    let template = lab.task("DELETE", "/nodes/pve1/qemu/9000", &[]);
    assert_eq!(template, "OK", "nothing depends on it any more");
}

#[test]
fn a_template_in_use_stays() {
    let mut lab = cloned();
    let status = lab.task("DELETE", "/nodes/pve1/qemu/9000", &[]);
    assert_eq!(status, "base volume 'shared:9000/base-9000-disk-0.qcow2' is still in use by linked cloned");
    assert!(lab.config(9000)["scsi0"].is_string());
}

#[test]
fn a_reused_number_shows_the_old_machine_for_a_while() {
    let mut lab = cloned();
    lab.pass(10.0);
    assert_eq!(lab.task("DELETE", "/nodes/pve1/qemu/100", &[]), "OK");
    assert_eq!(lab.task("POST", "/nodes/pve1/qemu/9000/clone", &[("newid", "100"), ("name", "two")]), "OK");
    let rows = lab.get("/cluster/resources?type=vm");
    let row = rows.as_array().expect("rows").iter().find(|row| row["vmid"] == 100).expect("a row");
    assert_eq!(row["name"], "one.example.test");
}

#[test]
fn lost_requests_lost_answers_and_late_ones() {
    let only = |change: fn(&mut Faults)| {
        let mut faults = Faults { delay: 2.0, ..Faults::unweighted(1.0) };
        change(&mut faults);
        faults
    };
    let outcome = |faults: Faults| {
        let mut lab = Lab::with(ClusterConfig { faults, ..ClusterConfig::quick() });
        let reply = lab.call("POST", "/nodes/pve1/qemu/9000/clone", &[("newid", "100")]);
        lab.now = lab.cluster.settle(lab.now);
        (reply.status, lab.cluster.counters().clones.get(&100).copied())
    };
    assert_eq!(outcome(only(|f| f.lose_request = 1)), (0, None));
    assert_eq!(outcome(only(|f| f.lose_answer = 1)), (0, Some(1)));
    assert_eq!(outcome(only(|f| f.late = 1)), (0, Some(1)));
    assert_eq!(outcome(only(|f| f.refused = 1)), (595, None));
    assert_eq!(outcome(only(|f| f.gateway = 1)), (596, Some(1)));
    assert_eq!(outcome(only(|f| f.busy = 1)), (500, None));
    assert_eq!(outcome(only(|f| f.task = 1)), (200, None));
    assert_eq!(outcome(only(|f| f.slow = 1)), (200, Some(1)));
}

#[test]
fn a_handler_that_takes_too_long_goes_on_behind_a_596() {
    let mut config = ClusterConfig::quick();
    config.durations.allocate = 40.0;
    let mut lab = Lab::with(config);
    lab.clone_to(100);
    let before = lab.now;
    let reply = lab.call("PUT", "/nodes/pve1/qemu/100/config", &[("scsi1", "shared:1")]);
    assert_eq!((reply.status, lab.now.saturating_sub(before).as_secs()), (596, 30));
    assert!(lab.config(100)["scsi1"].is_string() || lab.cluster.next_event().is_some());
    lab.now = lab.cluster.settle(lab.now);
    assert!(lab.config(100)["scsi1"].is_string(), "it was done all the same");
}

#[test]
fn requests_are_remembered_as_long_as_is_wanted() {
    for wanted in [0, 3] {
        let mut lab = Lab::with(ClusterConfig { request_history: wanted, ..ClusterConfig::quick() });
        for _ in 0..5 {
            lab.get("/version");
        }
        let numbers: Vec<u64> = lab.cluster.requests().iter().map(|entry| entry.number).collect();
        assert_eq!(numbers, (6 - wanted as u64..6).collect::<Vec<_>>());
        assert!(lab.cluster.requests().iter().all(|entry| entry.status == Some(200)));
    }
}
