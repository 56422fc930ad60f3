//! Backups: what is in them, what making and restoring them does to a machine, and what is left where that fails.

mod support;

use proxmox_sim::{BackupConfig, ClusterConfig, Faults, Grant, Switch, TokenConfig};
use serde_json::{Value, json};
use support::Lab;
use support::meet::{ALWAYS, MACHINE, end, lab};

const VZDUMP: &str = "/nodes/pve1/vzdump";

/// Backs machine 100 up, and says what the volume is.
fn back_up(lab: &mut Lab, more: &[(&str, &str)]) -> String {
    let known = volumes(lab);
    let params: Vec<_> = [("vmid", "100"), ("storage", "shared")].iter().chain(more).copied().collect();
    assert_eq!(lab.task("POST", VZDUMP, &params), "OK");
    volumes(lab).into_iter().find(|volume| !known.contains(volume)).expect("a new backup")
}

fn content(lab: &mut Lab) -> Vec<Value> {
    let path = "/nodes/pve1/storage/shared/content";
    let rows = lab.ok("GET", path, &[("content", "backup"), ("vmid", "100")]);
    rows.as_array().expect("a list").clone()
}

fn volumes(lab: &mut Lab) -> Vec<String> {
    content(lab).iter().map(|row| row["volid"].as_str().expect("an id").to_owned()).collect()
}

fn extracted(lab: &mut Lab, volume: &str) -> String {
    let text = lab.ok("GET", "/nodes/pve1/vzdump/extractconfig", &[("volume", volume)]);
    text.as_str().expect("a text").to_owned()
}

fn restore(lab: &mut Lab, volume: &str, more: &[(&str, &str)]) -> String {
    let params: Vec<_> =
        [("vmid", "100"), ("archive", volume), ("force", "1")].iter().chain(more).copied().collect();
    lab.task("POST", "/nodes/pve1/qemu", &params)
}

/// Images that no configuration names.
fn orphans(lab: &Lab) -> usize {
    let strays = support::meet::orphans(lab, 100);
    strays.iter().filter(|volume| volume["content"] == "images").count()
}

fn edit(lab: &mut Lab, params: &[(&str, &str)]) {
    assert_eq!(lab.task("POST", &format!("{MACHINE}/config"), params), "OK");
}

#[test]
fn a_backup_has_notes_and_the_configuration_as_it_was() {
    let mut lab = lab(1);
    edit(
        &mut lab,
        &[("description", "pve-deploy: 7\nzwölf %"), ("scsi3", "shared:1"), ("scsi4", "shared:1,backup=0")],
    );
    edit(&mut lab, &[("delete", "scsi3")]);
    let notes = [("notes-template", "{{guestname}} ({{vmid}} of {{node}})\\nmore"), ("protected", "1")];
    let volume = back_up(&mut lab, &notes);
    let row = content(&mut lab).remove(0);
    assert_eq!((&row["notes"], &row["protected"]), (&json!("one.example.test (100 of pve1)"), &json!(1)));
    edit(&mut lab, &[("name", "two.example.test")]);
    let text = extracted(&mut lab, &volume);
    let uuid = lab.config(100)["smbios1"].as_str().expect("an identity").to_owned();
    assert!(text.starts_with("#pve-deploy%3A 7\n#zw%C3%B6lf %\n"), "{text}");
    for line in [
        "name: one.example.test\n",
        &format!("smbios1: {uuid}\n"),
        "#qmdump#map:scsi0:drive-scsi0:shared:qcow2:\n",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    for absent in ["lock:", "unused", "parent:", "#qmdump#map:scsi4"] {
        assert!(!text.contains(absent), "{absent}: {text}");
    }
}

#[test]
fn while_it_is_backed_up_a_machine_is_locked_and_has_a_process() {
    for (mode, runs) in [("snapshot", false), ("snapshot", true), ("stop", true)] {
        let mut lab = lab(1);
        if runs {
            assert_eq!(lab.task("POST", &format!("{MACHINE}/status/start"), &[]), "OK");
        }
        let upid = lab.ok("POST", VZDUMP, &[("vmid", "100"), ("storage", "shared"), ("mode", mode)]);
        lab.pass(1.2);
        let status = lab.get(&format!("{MACHINE}/status/current"));
        let guest = if runs { "running" } else { "prelaunch" };
        assert_eq!((&status["lock"], &status["status"]), (&json!("backup"), &json!("running")), "{mode}");
        assert_eq!(status["qmpstatus"], guest, "{mode} {runs}");
        let delete = lab.task("DELETE", &format!("{MACHINE}/snapshot/none"), &[]);
        assert_eq!(delete, "snapshot 'none' does not exist");
        lab.now = lab.cluster.settle(lab.now);
        assert_eq!(lab.exit_status(upid.as_str().expect("a UPID")), "OK");
        let status = lab.get(&format!("{MACHINE}/status/current"));
        assert_eq!(status["status"], if runs { "running" } else { "stopped" });
        assert!(status["lock"].is_null());
    }
}

#[test]
fn one_backup_of_a_node_is_made_at_a_time() {
    let mut lab = lab(1);
    lab.clone_to(101);
    let first = lab.ok("POST", VZDUMP, &[("vmid", "100"), ("storage", "shared")]);
    let second = lab.ok("POST", VZDUMP, &[("vmid", "101"), ("storage", "shared")]);
    lab.pass(0.5);
    assert!(lab.config(101)["lock"].is_null(), "it waits and is not locked yet");
    lab.now = lab.cluster.settle(lab.now);
    for upid in [first, second] {
        assert_eq!(lab.exit_status(upid.as_str().expect("a UPID")), "OK");
    }
}

#[test]
fn a_backup_that_fails_says_so_in_its_log_alone() {
    let mut lab = lab(1);
    lab.cluster
        .switch(Switch::Option { vmid: 100, key: "lock".into(), value: Some("snapshot".into()) })
        .expect("it");
    let upid = lab.ok("POST", VZDUMP, &[("vmid", "100"), ("storage", "shared")]);
    lab.now = lab.cluster.settle(lab.now);
    let upid = upid.as_str().expect("a UPID");
    assert_eq!(lab.exit_status(upid), "job errors");
    let log = lab.get(&format!("/nodes/pve1/tasks/{upid}/log"));
    assert!(log.to_string().contains("ERROR: Backup of VM 100 failed - VM is locked (snapshot)"), "{log}");
    assert_eq!(lab.config(100)["lock"], "snapshot", "that of somebody else stays");
    assert!(content(&mut lab).is_empty());
}

/// What came after it is gone, whatever of it: settings, disks' sizes, snapshots. A disk that it does not have stays.
#[test]
fn a_restore_takes_everything_back() {
    let mut lab = lab(1);
    let before = lab.config(100);
    let volume = back_up(&mut lab, &[]);
    edit(&mut lab, &[("name", "two"), ("cores", "3"), ("scsi2", "shared:3"), ("delete", "description")]);
    assert_eq!(lab.task("PUT", &format!("{MACHINE}/resize"), &[("disk", "scsi0"), ("size", "9G")]), "OK");
    assert_eq!(restore(&mut lab, &volume, &[]), "OK");
    let mut after = lab.config(100);
    assert_eq!(after["unused0"].as_str().map(|volid| volid.contains("vm-100-disk")), Some(true), "{after}");
    assert_ne!(after["vmgenid"], before["vmgenid"]);
    // The disks are new; those that were linked are copies.
    assert!(!after["scsi0"].as_str().expect("a disk").contains("base-"), "{after}");
    assert_eq!(
        after["scsi0"].as_str().and_then(|text| text.split_once(',')).map(|(_, options)| options),
        before["scsi0"].as_str().and_then(|text| text.split_once(',')).map(|(_, options)| options)
    );
    let mut before = before;
    for key in ["digest", "vmgenid", "scsi0", "ide2", "unused0"] {
        before.as_object_mut().expect("options").remove(key);
        after.as_object_mut().expect("options").remove(key);
    }
    assert_eq!(after, before);
    assert!(orphans(&lab) == 0);
    assert_eq!(lab.task("POST", &format!("{MACHINE}/status/start"), &[]), "OK", "it boots");
}

#[test]
fn a_restore_is_refused_where_it_would_do_harm() {
    let mut lab = lab(1);
    let volume = back_up(&mut lab, &[]);
    let reply = lab.call("POST", "/nodes/pve1/qemu", &[("vmid", "100"), ("archive", &volume)]);
    assert_eq!(reply.reason, "unable to restore VM 100 - VM 100 already exists on node 'pve1'");
    assert_eq!(lab.task("POST", &format!("{MACHINE}/status/start"), &[]), "OK");
    assert_eq!(restore(&mut lab, &volume, &[]), "unable to restore VM 100 - vm is running");
    assert_eq!(lab.task("POST", &format!("{MACHINE}/status/stop"), &[]), "OK");
    edit(&mut lab, &[("protection", "1")]);
    assert_eq!(restore(&mut lab, &volume, &[]), "unable to restore VM 100 - - protection mode enabled");
    assert!(lab.config(100)["lock"].is_null());
    let lock = Switch::Option { vmid: 100, key: "lock".into(), value: Some("backup".into()) };
    lab.cluster.switch(lock).expect("a machine");
    let params = [("vmid", "100"), ("archive", volume.as_str()), ("force", "1")];
    let reply = lab.call("POST", "/nodes/pve1/qemu", &params);
    assert_eq!(reply.reason, "unable to restore VM 100 - VM is locked (backup)");
    assert_eq!(lab.config(100)["name"], "one.example.test", "nothing was touched");
}

/// Neither mark nor identity, and no lock.
#[test]
fn while_it_is_restored_and_where_that_fails_next_to_nothing_is_left_of_a_machine() {
    let mut lab = lab(1);
    let volume = back_up(&mut lab, &[]);
    lab.ok("POST", "/nodes/pve1/qemu", &[("vmid", "100"), ("archive", &volume), ("force", "1")]);
    assert_eq!(lab.config(100)["lock"], "create", "before the call is answered");
    lab.pass(1.0);
    let husk = |config: &Value| {
        let options = config.as_object().expect("options");
        options.len() == 2 && options["memory"] == "128" && options.contains_key("digest")
    };
    assert!(husk(&lab.config(100)), "{}", lab.config(100));
    lab.now = lab.cluster.settle(lab.now);
    assert_eq!(lab.config(100)["name"], "one.example.test");

    let mut husks = 0;
    for seed in 0..30 {
        let mut lab = support::meet::lab(seed);
        let volume = back_up(&mut lab, &[]);
        let params = [("vmid", "100"), ("archive", volume.as_str()), ("force", "1")];
        let (status, _) = end(&mut lab, Faults { task: 1, ..ALWAYS }, "POST", "/nodes/pve1/qemu", &params);
        assert_eq!(status, "simulated failure");
        let config = lab.config(100);
        assert!(config["lock"].is_null());
        assert!(husk(&config) || config["name"] == "one.example.test", "{config}");
        assert!(orphans(&lab) == 0, "new disks are taken away again");
        husks += u32::from(husk(&config));
        assert_eq!(restore(&mut lab, &volume, &[]), "OK", "a husk can be restored over");
        assert_eq!(lab.config(100)["name"], "one.example.test");
    }
    assert!((1..30).contains(&husks), "{husks}");
}

#[test]
fn a_restore_that_is_killed_leaves_disks_which_the_next_one_finds() {
    let (mut strays, mut locked, mut blocked) = (0, 0, 0);
    for seed in 0..40 {
        let mut lab = lab(seed);
        edit(&mut lab, &[("scsi1", "shared:1")]);
        let volume = back_up(&mut lab, &[]);
        let params = [("vmid", "100"), ("archive", volume.as_str()), ("force", "1")];
        end(&mut lab, Faults { killed: 1, ..ALWAYS }, "POST", "/nodes/pve1/qemu", &params);
        let left = orphans(&lab);
        strays += usize::from(left > 0);
        if lab.config(100)["lock"] == "create" {
            locked += 1;
            lab.cluster
                .switch(Switch::Option { vmid: 100, key: "lock".into(), value: None })
                .expect("a machine");
        }
        let again = restore(&mut lab, &volume, &[]);
        if again != "OK" {
            // Of disks there may be more than one; the name of this one is always the same.
            assert_eq!(again, "disk image '100/vm-100-cloudinit.qcow2' already exists");
            blocked += 1;
            continue;
        }
        assert!(orphans(&lab) == 0);
        let config = lab.config(100);
        let unused =
            config.as_object().expect("options").keys().filter(|key| key.starts_with("unused")).count();
        assert_eq!(unused, left, "what was left behind is found, and destroyed with the machine one day");
    }
    assert!(strays > blocked && blocked > 0 && locked > 0, "{strays} {blocked} {locked}");
}

#[test]
fn under_a_free_number_a_backup_makes_the_same_machine_or_another_one() {
    let mut lab = lab(1);
    let volume = back_up(&mut lab, &[]);
    let before = lab.config(100);
    assert_eq!(lab.task("DELETE", MACHINE, &[]), "OK");
    assert_eq!(content(&mut lab).len(), 1, "it outlives the machine");
    let again = |lab: &mut Lab, vmid: &str, more: &[(&str, &str)]| {
        let params: Vec<_> =
            [("vmid", vmid), ("archive", volume.as_str())].iter().chain(more).copied().collect();
        lab.task("POST", "/nodes/pve1/qemu", &params)
    };
    assert_eq!(again(&mut lab, "100", &[]), "OK");
    assert_eq!(again(&mut lab, "101", &[("unique", "1")]), "OK");
    let (same, other) = (lab.config(100), lab.config(101));
    assert_eq!((&same["smbios1"], &same["net0"]), (&before["smbios1"], &before["net0"]));
    assert_ne!((&other["smbios1"], &other["net0"]), (&before["smbios1"], &before["net0"]));
    assert_ne!(other["net0"], before["net0"]);
}

#[test]
fn backups_need_rights_of_their_own() {
    let grant = |path: &str, privileges: &[&str]| Grant {
        path: path.to_owned(),
        privileges: privileges.iter().map(|&name| name.to_owned()).collect(),
    };
    let mut config = ClusterConfig::quick();
    let less = TokenConfig {
        id: "a@pve!t".into(),
        secret: "1".into(),
        grants: Some(vec![grant("/vms", &["VM.Audit"])]),
    };
    config.tokens.push(less.clone());
    let mut lab = Lab::with(config);
    lab.clone_to(100);
    let volume = back_up(&mut lab, &[]);
    lab.token = less.credential();
    let read = |lab: &mut Lab| lab.call("GET", "/nodes/pve1/vzdump/extractconfig", &[("volume", &volume)]);
    assert_eq!(read(&mut lab).reason, "Permission check failed (/storage/shared, Datastore.AllocateSpace)");
    let give = |lab: &mut Lab, grant| {
        lab.cluster.switch(Switch::Grant { token: less.id.clone(), grant }).expect("it");
    };
    give(&mut lab, grant("/storage/shared", &["Datastore.AllocateSpace"]));
    assert_eq!(read(&mut lab).reason, "Permission check failed (/vms/100, VM.Backup)");
    give(&mut lab, grant("/vms/100", &["VM.Backup", "VM.Audit"]));
    assert_eq!(read(&mut lab).status, 200);
    give(&mut lab, grant("/sdn/zones", &["SDN.Use"]));
    assert_eq!(restore(&mut lab, &volume, &[]), "OK", "who may back up a machine may restore over it");
}

#[test]
fn a_storage_that_is_out_of_reach_says_so() {
    let mut lab = lab(1);
    let volume = back_up(&mut lab, &[]);
    let offline = |lab: &mut Lab, offline| {
        lab.cluster.switch(Switch::StorageOffline { storage: "shared".into(), offline }).expect("a storage");
    };
    offline(&mut lab, true);
    let storages = lab.get("/nodes/pve1/storage");
    let row = storages
        .as_array()
        .expect("a list")
        .iter()
        .find(|row| row["storage"] == "shared")
        .expect("it")
        .clone();
    assert_eq!((&row["active"], &row["enabled"]), (&json!(0), &json!(1)));
    for (path, params) in [
        ("/nodes/pve1/storage/shared/content".to_owned(), vec![]),
        ("/nodes/pve1/vzdump/extractconfig".to_owned(), vec![("volume", volume.as_str())]),
    ] {
        assert_eq!(lab.call("GET", &path, &params).reason, "storage 'shared' is not online");
    }
    let path = format!("/nodes/pve1/storage/shared/content/{volume}");
    assert_eq!(lab.task("DELETE", &path, &[]), "storage 'shared' is not online");
    offline(&mut lab, false);
    assert_eq!(lab.task("DELETE", &path, &[]), "OK");
}

/// A machine of an earlier time, or of another cluster, whose number is ours now.
#[test]
fn a_backup_that_was_laid_down_shows_what_it_is_said_to_hold() {
    let mut lab = lab(1);
    let config = [("smbios1", "uuid=00000000-0000-0000-0000-000000000001"), ("name", "other")];
    let backup = BackupConfig {
        vmid: 100,
        storage: "shared".into(),
        node: String::new(),
        size: 0,
        protected: false,
        config: config.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
    };
    lab.cluster.switch(Switch::AddBackup { backup: backup.clone() }).expect("a storage");
    let volume = volumes(&mut lab).remove(0);
    assert_eq!(
        extracted(&mut lab, &volume),
        "name: other\nsmbios1: uuid=00000000-0000-0000-0000-000000000001\n"
    );
    lab.cluster
        .switch(Switch::AddBackup { backup: BackupConfig { config: [].into(), ..backup } })
        .expect("a storage");
    assert_eq!(volumes(&mut lab).len(), 2, "of the same second, and another one");
}
