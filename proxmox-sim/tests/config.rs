//! Configuration: digests, pending values, disks, and the form in which values come back.

mod support;

use proxmox_sim::{ClusterConfig, Switch, Version};
use serde_json::Value;
use support::Lab;

const VM: &str = "/nodes/pve1/qemu/100/config";

fn cloned() -> Lab {
    let mut lab = Lab::new();
    lab.clone_to(100);
    lab
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[test]
fn values_come_back_in_the_servers_form() {
    let mut lab = cloned();
    lab.ok(
        "PUT",
        VM,
        &[
            ("tags", "web;Deploy,web"),
            ("net0", "virtio=02:aa:bb:00:50:04,bridge=vmbr0,tag=100,rate=12.5,firewall=1"),
            ("cipassword", "plain"),
            ("memory", "1024"),
            ("onboot", "1"),
            ("cpulimit", "1.5"),
            ("description", "two\nlines"),
        ],
    );
    let config = lab.config(100);
    assert_eq!(config["tags"], "deploy;web");
    assert_eq!(config["net0"], "virtio=02:aa:bb:00:50:04,bridge=vmbr0,firewall=1,rate=12.5,tag=100");
    assert_eq!(config["cipassword"], "**********");
    assert_eq!((&config["memory"], &config["onboot"]), (&"1024".into(), &1.into()));
    assert_eq!(config["description"], "two\nlines");
    let dump = lab.get("/nodes/pve1/qemu/100/cloudinit/dump?type=user");
    assert!(text(&dump).contains("password: $5$"), "plain text is hashed: {dump}");
    lab.ok("PUT", VM, &[("net1", "virtio,bridge=vmbr1")]);
    assert!(text(&lab.config(100)["net1"]).starts_with("virtio=BC:24:11:"), "an address is made up");
}

#[test]
fn a_digest_guards_and_is_pure_content() {
    let mut lab = cloned();
    let old = lab.config(100)["digest"].clone();
    lab.ok("PUT", VM, &[("cores", "2"), ("digest", text(&old))]);
    assert_ne!(lab.config(100)["digest"], old);
    for (method, path, extra) in
        [("PUT", VM, ("cores", "4")), ("POST", VM, ("cores", "4")), ("PUT", VM, ("delete", "onboot"))]
    {
        let reply = lab.call(method, path, &[extra, ("digest", text(&old))]);
        assert_eq!(reply.reason, "checksum mismatch (file change by other user?)");
    }
    let resize = [("disk", "scsi0"), ("size", "9G"), ("digest", text(&old))];
    let status = lab.task("PUT", "/nodes/pve1/qemu/100/resize", &resize);
    assert_eq!(status, "checksum mismatch (file change by other user?)", "of a resize only the task fails");
    lab.ok("PUT", VM, &[("cores", "1")]);
    assert_eq!(lab.config(100)["digest"], old);
}

#[test]
fn disks_are_allocated_replaced_and_freed() {
    let mut lab = cloned();
    let before = lab.now;
    lab.ok("PUT", VM, &[("scsi1", "shared:8,format=qcow2,ssd=1,discard=on")]);
    assert!(lab.now.saturating_sub(before).as_millis() > 300, "allocation takes time");
    assert_eq!(lab.config(100)["scsi1"], "shared:100/vm-100-disk-1.qcow2,discard=on,size=8G,ssd=1");
    lab.ok("PUT", VM, &[("scsi1", "shared:8,format=qcow2")]);
    let config = lab.config(100);
    assert_eq!(config["scsi1"], "shared:100/vm-100-disk-2.qcow2,size=8G", "a repetition makes a second one");
    assert_eq!(config["unused0"], "shared:100/vm-100-disk-1.qcow2");
    lab.ok("PUT", VM, &[("delete", "unused0")]);
    let images = lab.get("/nodes/pve1/storage/shared/content?content=images&vmid=100");
    assert!(!images.to_string().contains("disk-1"), "{images}");
    lab.ok("PUT", VM, &[("delete", "scsi1")]);
    assert_eq!(lab.config(100)["unused0"], "shared:100/vm-100-disk-2.qcow2");
    lab.ok("PUT", VM, &[("scsi2", "shared:100/vm-100-disk-2.qcow2,size=1G")]);
    let config = lab.config(100);
    assert!(config["unused0"].is_null());
    assert_eq!(config["scsi2"], "shared:100/vm-100-disk-2.qcow2,size=8G", "the size is looked up");
}

#[test]
fn limits_of_the_system_disk_leave_the_rest_alone() {
    let mut lab = cloned();
    let disk = text(&lab.config(100)["scsi0"]).replace(",size=2G", ",size=99G");
    assert_eq!(lab.task("POST", VM, &[("scsi0", &format!("{disk},mbps_rd=50,iops_wr=500"))]), "OK");
    let after = text(&lab.config(100)["scsi0"]).to_owned();
    assert!(after.ends_with(",discard=on,iops_wr=500,iothread=1,mbps_rd=50,size=2G,ssd=1"), "{after}");
    let reply = lab.call("PUT", VM, &[("scsi0", &format!("{disk},mbps=5,mbps_rd=50"))]);
    assert_eq!(reply.error("scsi0"), Some("unable to parse drive options"));
}

#[test]
fn a_running_machine_keeps_cold_changes_pending() {
    let mut lab = cloned();
    assert_eq!(lab.task("POST", "/nodes/pve1/qemu/100/status/start", &[]), "OK");
    lab.ok("PUT", VM, &[("cores", "4"), ("tags", "live"), ("scsi1", "shared:1")]);
    let live = lab.get("/nodes/pve1/qemu/100/config?current=1");
    assert_eq!((&live["cores"], &live["tags"]), (&1.into(), &"live".into()));
    assert!(live["scsi1"].is_string(), "disks are plugged in");
    assert_eq!(lab.config(100)["cores"], 4);
    let pending = lab.get("/nodes/pve1/qemu/100/pending");
    let row = pending.as_array().expect("rows").iter().find(|row| row["key"] == "cores").expect("a row");
    assert_eq!((&row["value"], &row["pending"]), (&1.into(), &4.into()));
    assert_eq!(lab.task("POST", "/nodes/pve1/qemu/100/status/stop", &[]), "OK");
    assert_eq!(lab.get("/nodes/pve1/qemu/100/config?current=1")["cores"], 4);
}

#[test]
fn a_call_that_fails_half_way_leaves_some_of_it_pending() {
    let mut leftovers = Vec::new();
    for seed in 0..12 {
        let mut lab = Lab::with(ClusterConfig { seed, ..ClusterConfig::quick() });
        lab.clone_to(100);
        lab.cluster.switch(Switch::StorageFull { storage: "shared".into(), full: true }).expect("a storage");
        let change =
            [("cores", "2"), ("memory", "1024"), ("scsi1", "shared:8"), ("onboot", "1"), ("cipassword", "x")];
        let reply = lab.call("PUT", VM, &change);
        assert_eq!(reply.reason, "unable to create image: No space left on device");
        let state = lab.cluster.state();
        let pending = state["vms"]["100"]["pending"].as_object().expect("options").len();
        assert!(pending <= 3);
        assert!(state["vms"]["100"]["config"]["cipassword"].is_string(), "the password is written at once");
        leftovers.push(pending);
    }
    leftovers.sort_unstable();
    leftovers.dedup();
    assert!(leftovers.len() > 1, "which part is written varies: {leftovers:?}");
}

#[test]
fn the_cloud_init_drive_exists_once() {
    let mut lab = cloned();
    let reply = lab.call("PUT", VM, &[("scsi5", "shared:cloudinit")]);
    assert_eq!(
        (reply.status, reply.reason.contains("cloud-init drive is already attached at 'ide2'")),
        (500, true)
    );
    lab.ok("PUT", VM, &[("delete", "ide2")]);
    let config = lab.config(100);
    assert!(config["ide2"].is_null() && config["unused0"].is_null(), "its volume is freed, not kept");
    lab.ok("PUT", VM, &[("scsi5", "shared:cloudinit")]);
    assert_eq!(lab.config(100)["scsi5"], "shared:100/vm-100-cloudinit.qcow2,media=cdrom");
}

#[test]
fn parameters_are_refused_with_the_servers_texts() {
    let mut lab = cloned();
    for (name, value, error) in [
        ("foo", "1", "property is not defined in schema and the schema does not allow additional properties"),
        (
            "net40",
            "virtio",
            "property is not defined in schema and the schema does not allow additional properties",
        ),
        ("onboot", "yes", "type check ('boolean') failed - got 'yes'"),
        ("cores", "many", "type check ('integer') failed - got 'many'"),
        ("cores", "0", "value must have a minimum value of 1"),
        (
            "memory",
            "1",
            "invalid format - format error\nmemory.current: value must have a minimum value of 16\n",
        ),
        ("name", "bad_name", "invalid format - value does not look like a valid DNS name\n"),
        (
            "net1",
            "virtio,bridge=vmbr0,tag=5000",
            "invalid format - format error\nnet1.tag: value must have a maximum value of 4094\n",
        ),
        (
            "net0",
            "virtio=ZZ,bridge=vmbr0",
            "invalid format - format error\nnet0.macaddr: invalid format - value does not look like a valid unicast MAC address\n\n",
        ),
        (
            "net0",
            "virtio,nobridge",
            "invalid format - duplicate key in comma-separated list property: model\n",
        ),
        (
            "scsi1",
            "garbage",
            "invalid format - format error\nscsi1.file: invalid format - unable to parse volume ID 'garbage'\n\n",
        ),
        (
            "ipconfig0",
            "ip=10.1.2.3",
            "invalid format - format error\nipconfig0.ip: invalid format - value does not look like a valid ipv4 network configuration\n\n",
        ),
        (
            "ipconfig0",
            "gw=10.1.2.1",
            "invalid format - format error\nipconfig0.ip: missing property required by 'ipconfig0.gw'\n",
        ),
        ("sshkeys", "ssh-ed25519+AAAA", "invalid format - invalid urlencoded string: ssh-ed25519+AAAA\n"),
        ("delete", "nosuchoption", "unknown option 'nosuchoption'"),
        ("tags", "good bad!", "invalid format - invalid characters in tag\n"),
        (
            "nameserver",
            "1.1.1.1 no_host",
            "invalid format - value does not look like a valid address: no_host\n",
        ),
        ("vmgenid", "x", "value does not match the regex pattern"),
        ("skiplock", "1", "Only root may use this option."),
    ] {
        let reply = lab.call("PUT", VM, &[(name, value)]);
        assert_eq!(reply.status, 400, "{name}={value}");
        assert_eq!(reply.reason, "Parameter verification failed.");
        assert_eq!(reply.error(name), Some(error), "{name}={value}");
    }
    for (name, value, text) in [
        ("args", "-foo", "only root can set 'args' config"),
        ("boot", "order=scsi0;scsi7", "invalid bootorder: device 'scsi7' does not exist'"),
        ("balloon", "99999", "balloon value too large (must be smaller than assigned memory)"),
    ] {
        let reply = lab.call("PUT", VM, &[(name, value)]);
        assert_eq!((reply.status, reply.reason.as_str()), (500, text));
    }
    assert_eq!(lab.call("PUT", VM, &[]).reason, "no options specified");
    assert_eq!(
        lab.call("GET", "/nodes/pve1/qemu/abc/config", &[]).error("vmid"),
        Some("type check ('integer') failed - got 'abc'")
    );
}

#[test]
fn what_no_file_system_holds() {
    let mut lab = cloned();
    let disk = |format: &str| format!("shared:20000,format={format}");
    let raw = lab.task("POST", VM, &[("scsi3", &disk("raw"))]);
    assert_eq!(
        raw,
        "unable to create image: qemu-img: /mnt/pve/shared/images/100/vm-100-disk-1.raw: \
         The image size is too large for file format 'raw'"
    );
    assert_eq!(lab.task("POST", VM, &[("scsi3", &disk("qcow2"))]), "OK", "it grows with what is written");
}

#[test]
fn a_locked_machine_and_the_two_lines() {
    for (version, refused) in [(Version::V9_2, "VM is locked (clone)"), (Version::V8_4, "OK")] {
        let mut lab = Lab::with(ClusterConfig { version, ..ClusterConfig::quick() });
        lab.ok("POST", "/nodes/pve1/qemu/9000/clone", &[("newid", "100")]);
        lab.pass(0.2);
        assert_eq!(lab.call("PUT", VM, &[("cores", "2")]).reason, refused, "{version:?}");
    }
}

#[test]
fn without_a_majority_nothing_is_written() {
    let mut lab = cloned();
    lab.cluster.switch(Switch::Quorum { quorate: false }).expect("a switch");
    let reply = lab.call("PUT", VM, &[("cores", "2")]);
    assert!(reply.reason.ends_with("- Permission denied"), "{}", reply.reason);
    for (path, params) in [
        ("/nodes/pve1/qemu/9000/clone", vec![("newid", "101")]),
        ("/nodes/pve1/qemu/100/status/start", vec![]),
        ("/nodes/pve1/qemu/100/migrate", vec![("target", "pve2")]),
    ] {
        assert_eq!(lab.call("POST", path, &params).reason, "cluster not ready - no quorum?");
    }
    let rule =
        lab.call("POST", "/nodes/pve1/qemu/100/firewall/rules", &[("type", "in"), ("action", "ACCEPT")]);
    assert_eq!(rule.reason, "cfs-lock 'firewall-vm-100' error: no quorum!");
    assert_eq!(lab.config(100)["cores"], 1, "reading still works");
}

#[test]
fn what_no_table_allows_is_counted() {
    let mut lab = cloned();
    lab.call("PUT", VM, &[("cores", "many"), ("foo", "1")]);
    lab.call("GET", "/nosuchpath", &[]);
    // Wrong in the state that the cluster is in, not in itself.
    lab.call("PUT", VM, &[("delete", "cores"), ("cores", "2")]);
    let seen: Vec<_> = lab.cluster.counters().off_schema.iter().map(|off| off.parameter.as_str()).collect();
    assert_eq!(seen, ["cores", "foo", ""]);
    let first = &lab.cluster.counters().off_schema[0];
    assert_eq!((first.method.as_str(), first.path.as_str()), ("PUT", VM));
    assert_eq!(first.text, "type check ('integer') failed - got 'many'");
}

/// The system disk of a machine becomes a copy of a template's; nothing else of either is touched.
#[test]
fn a_disk_is_replaced_by_a_copy_of_another_machines() {
    let mut lab = cloned();
    lab.ok("PUT", VM, &[("scsi1", "shared:8,format=qcow2")]);
    let before = lab.config(100);
    let image = text(&lab.config(9000)["scsi0"]).split(',').next().unwrap_or_default().to_owned();
    let drive = format!("shared:0,import-from={image},format=qcow2,ssd=1,mbps_rd=50");
    let guarded = [("scsi0", drive.as_str()), ("digest", text(&before["digest"]))];
    assert_eq!(lab.task("POST", VM, &guarded), "OK");
    let after = lab.config(100);
    assert_eq!(after["scsi0"], "shared:100/vm-100-disk-2.qcow2,mbps_rd=50,size=2G,ssd=1");
    assert_eq!(after["scsi1"], before["scsi1"], "other disks stay");
    let old = text(&before["scsi0"]).split(',').next().unwrap_or_default();
    assert_eq!(after["unused0"], old);
    let again = lab.call("POST", VM, &guarded);
    assert_eq!(again.reason, "checksum mismatch (file change by other user?)", "the digest is the guard");
    lab.ok("PUT", VM, &[("delete", "unused0")]);
    let images = lab.get("/nodes/pve1/storage/shared/content?content=images&vmid=100");
    assert!(!images.to_string().contains(old), "{images}");
    let missing = [("scsi0", "shared:0,import-from=shared:9000/vm-9000-disk-9.qcow2")];
    let text = "cannot import from 'shared:9000/vm-9000-disk-9.qcow2' - could not get size of \
                shared:9000/vm-9000-disk-9.qcow2";
    assert_eq!(lab.task("POST", VM, &missing), text);
    assert_eq!(lab.config(100)["scsi0"], after["scsi0"]);
}

/// An image is copied within a node, whatever its storage.
#[test]
fn an_image_of_another_nodes_machine_is_not_copied() {
    let mut lab = cloned();
    lab.ok("PUT", VM, &[("scsi1", "shared:8,format=qcow2")]);
    assert_eq!(lab.task("POST", "/nodes/pve1/qemu/100/migrate", &[("target", "pve2")]), "OK");
    let image = text(&lab.config(9000)["scsi0"]).split(',').next().unwrap_or_default().to_owned();
    let drive = format!("shared:0,import-from={image}");
    let reply = lab.call("POST", "/nodes/pve2/qemu/100/config", &[("scsi0", &drive)]);
    let expected = "Configuration file 'nodes/pve2/qemu-server/9000.conf' does not exist";
    assert_eq!((reply.status, reply.reason.as_str()), (500, expected));
}
