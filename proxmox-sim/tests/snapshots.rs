//! Snapshots: their line of descent, and what half-made and half-removed ones look like.

mod support;

use proxmox_sim::{ClusterConfig, Durations, Faults, Switch};
use serde_json::Value;
use support::Lab;
use support::meet::{ALWAYS, MACHINE, end};

/// A machine whose disk can be snapshotted.
fn cloned(config: ClusterConfig) -> Lab {
    let mut lab = Lab::with(config);
    let clone = [("newid", "100"), ("full", "1"), ("format", "qcow2")];
    assert_eq!(lab.task("POST", "/nodes/pve1/qemu/9000/clone", &clone), "OK");
    lab
}

fn take(lab: &mut Lab, name: &str) -> String {
    lab.task("POST", &format!("{MACHINE}/snapshot"), &[("snapname", name)])
}

/// Each snapshot's name with the value of a key.
fn listed(lab: &mut Lab, key: &str) -> Vec<(String, Value)> {
    let rows = lab.get(&format!("{MACHINE}/snapshot"));
    let rows = rows.as_array().expect("a list").iter();
    rows.map(|row| (row["name"].as_str().expect("a name").to_owned(), row[key].clone())).collect()
}

fn texts(pairs: &[(&str, Option<&str>)]) -> Vec<(String, Value)> {
    pairs.iter().map(|&(name, value)| (name.to_owned(), value.map_or(Value::Null, Value::from))).collect()
}

#[test]
fn descent() {
    let mut lab = cloned(ClusterConfig::quick());
    for name in ["s1", "s2", "s3"] {
        assert_eq!(take(&mut lab, name), "OK");
    }
    let line = [("s1", None), ("s2", Some("s1")), ("s3", Some("s2")), ("current", Some("s3"))];
    assert_eq!(listed(&mut lab, "parent"), texts(&line));
    assert_eq!(lab.task("DELETE", &format!("{MACHINE}/snapshot/s2"), &[]), "OK");
    let line = [("s1", None), ("s3", Some("s1")), ("current", Some("s3"))];
    assert_eq!(listed(&mut lab, "parent"), texts(&line));
    assert_eq!(lab.task("POST", &format!("{MACHINE}/snapshot/s1/rollback"), &[]), "OK");
    assert_eq!(lab.config(100)["parent"], "s1", "what it descends from, not what is newest");
    assert_eq!(lab.task("DELETE", &format!("{MACHINE}/snapshot/s1"), &[]), "OK");
    assert!(lab.config(100)["parent"].is_null());
}

#[test]
fn under_way() {
    let mut lab = cloned(ClusterConfig::quick());
    lab.ok("POST", &format!("{MACHINE}/snapshot"), &[("snapname", "s1")]);
    lab.pass(0.01);
    assert_eq!(listed(&mut lab, "snapstate"), texts(&[("s1", Some("prepare")), ("current", None)]));
    assert_eq!(lab.config(100)["lock"], "snapshot");
    lab.now = lab.cluster.settle(lab.now);
    lab.ok("DELETE", &format!("{MACHINE}/snapshot/s1"), &[]);
    lab.pass(0.01);
    assert_eq!(listed(&mut lab, "snapstate"), texts(&[("s1", Some("delete")), ("current", None)]));
    assert_eq!(lab.config(100)["lock"], "snapshot-delete");
}

#[test]
fn broken() {
    let failing = Faults { task: 1, ..ALWAYS };
    for (faults, leftover) in [(failing, false), (Faults { killed: 1, ..ALWAYS }, true)] {
        let (mut made, mut removed) = (0, 0);
        for seed in 0..20 {
            let mut lab = cloned(ClusterConfig { seed, ..ClusterConfig::quick() });
            end(&mut lab, faults.clone(), "POST", &format!("{MACHINE}/snapshot"), &[("snapname", "s1")]);
            let states = listed(&mut lab, "snapstate");
            let half = states[0].1 == "prepare";
            assert_eq!(half, lab.config(100)["lock"] == "snapshot");
            assert!(leftover || states.len() == 1, "a failed one is cleaned up: {states:?}");
            made += u32::from(half);
        }
        for seed in 0..20 {
            let mut lab = cloned(ClusterConfig { seed, ..ClusterConfig::quick() });
            assert_eq!(take(&mut lab, "s1"), "OK");
            end(&mut lab, faults.clone(), "DELETE", &format!("{MACHINE}/snapshot/s1"), &[]);
            let half = listed(&mut lab, "snapstate")[0].1 == "delete";
            assert_eq!(half, lab.config(100)["lock"] == "snapshot-delete");
            if half {
                let again = lab.task("DELETE", &format!("{MACHINE}/snapshot/s1"), &[]);
                assert_eq!(again, "VM is locked (snapshot-delete)");
                let back = lab.task("POST", &format!("{MACHINE}/snapshot/s1/rollback"), &[]);
                assert_eq!(back, "unable to rollback to incomplete snapshot (snapstate = delete)");
                let unlock = Switch::Option { vmid: 100, key: "lock".into(), value: None };
                lab.cluster.switch(unlock).expect("a machine");
                assert_eq!(lab.task("DELETE", &format!("{MACHINE}/snapshot/s1"), &[]), "OK");
            }
            removed += u32::from(half);
        }
        assert_eq!(made > 0, leftover);
        assert!(removed > 0, "one that is half removed stays, whether it failed or was killed");
    }
}

#[test]
fn a_migration_keeps_the_end_of_a_snapshot_out() {
    let durations = Durations { migrate: 60.0, ..Durations::default() };
    let mut lab = cloned(ClusterConfig { durations, ..ClusterConfig::quick() });
    assert_eq!(take(&mut lab, "s1"), "OK");
    let moving = lab.ok("POST", &format!("{MACHINE}/migrate"), &[("target", "pve2")]);
    let delete = lab.ok("DELETE", &format!("{MACHINE}/snapshot/s1"), &[]);
    let delete = delete.as_str().expect("a UPID");
    lab.pass(11.0);
    let text = "Failed to obtain guest migration lock - replication running?";
    assert_eq!(lab.exit_status(delete), text);
    assert_eq!(lab.exit_status(moving.as_str().expect("a UPID")), "running");
}

/// Notes and unused disks are the machine's own; everything else is the snapshot's, and the machine is stopped.
#[test]
fn going_back_keeps_the_notes_and_every_disk() {
    let mut lab = cloned(ClusterConfig::quick());
    let edit = |lab: &mut Lab, params: &[(&str, &str)]| {
        assert_eq!(lab.task("POST", &format!("{MACHINE}/config"), params), "OK");
    };
    edit(&mut lab, &[("description", "first"), ("cores", "2")]);
    let before = lab.config(100);
    assert_eq!(take(&mut lab, "s1"), "OK");
    edit(&mut lab, &[("description", "second"), ("cores", "4"), ("scsi1", "shared:1,format=qcow2")]);
    let disk = lab.config(100)["scsi1"].as_str().and_then(|text| text.split(',').next()).map(str::to_owned);
    assert_eq!(lab.task("POST", &format!("{MACHINE}/status/start"), &[]), "OK");
    edit(&mut lab, &[("memory", "300")]);
    assert_eq!(lab.task("POST", &format!("{MACHINE}/snapshot/s1/rollback"), &[]), "OK");
    let after = lab.config(100);
    assert_eq!(
        (&after["description"], &after["cores"], &after["parent"]),
        (&"second".into(), &2.into(), &"s1".into())
    );
    assert_eq!(after["unused0"].as_str().map(str::to_owned), disk);
    assert_eq!((&after["memory"], &after["smbios1"]), (&before["memory"], &before["smbios1"]));
    assert_ne!(after["vmgenid"], before["vmgenid"]);
    assert_eq!(lab.get(&format!("{MACHINE}/status/current"))["status"], "stopped");
}
