//! What killed workers leave behind.

mod support;

use std::collections::BTreeSet;

use proxmox_sim::{ClusterConfig, Faults};
use support::Lab;
use support::meet::{ALWAYS, MACHINE, count, end, lab, meet, orphans};

#[test]
fn a_killed_clone_leaves_what_it_has_made() {
    let mut ends = BTreeSet::new();
    for seed in 0..60 {
        let mut lab = Lab::with(ClusterConfig { seed, ..ClusterConfig::quick() });
        let faults = Faults { killed: 1, ..ALWAYS };
        let clone = [("newid", "100"), ("name", "one.example.test")];
        let (status, _) = end(&mut lab, faults, "POST", "/nodes/pve1/qemu/9000/clone", &clone);
        assert_eq!((status.as_str(), count(&lab, "killed")), ("unexpected status", 1));
        let machine = &lab.cluster.state()["vms"]["100"];
        let made = lab.cluster.counters().clones.contains_key(&100);
        let locked = machine["config"]["lock"] == "clone";
        assert_eq!(made, machine.is_object() && !locked, "whole machines are counted");
        ends.insert((machine.is_object(), locked, !orphans(&lab, 100).is_empty()));
        if locked {
            let destroyed = lab.task("DELETE", MACHINE, &[]);
            assert_eq!(destroyed, "VM is locked (clone)");
        }
    }
    let all = [(false, false, false), (true, false, false), (true, true, false), (true, true, true)];
    assert_eq!(ends, BTreeSet::from(all), "nothing, whole, half without and with debris");
}

#[test]
fn a_killed_configuration_is_written_in_part() {
    let mut written = BTreeSet::new();
    let mut stray = 0;
    for seed in 0..60 {
        let mut lab = lab(seed);
        let faults = Faults { killed: 1, ..ALWAYS };
        let change = [("cores", "4"), ("memory", "2048"), ("tags", "a"), ("scsi1", "shared:4")];
        let (status, _) = end(&mut lab, faults, "POST", &format!("{MACHINE}/config"), &change);
        assert_eq!(status, "unexpected status");
        let config = lab.config(100);
        written.insert(
            [
                config["cores"] == 4,
                config["memory"] == "2048",
                config["tags"] == "a",
                config["scsi1"].is_string(),
            ]
            .map(u8::from),
        );
        let orphans = orphans(&lab, 100);
        assert!(orphans.is_empty() || config["scsi1"].is_null());
        stray += orphans.len();
    }
    assert!(written.contains(&[0; 4]) && written.contains(&[1; 4]), "{written:?}");
    assert!(written.len() > 6, "random parts, no prefix: {written:?}");
    assert!(stray > 2, "a disk that is made and not written down, now and then");
}

#[test]
fn a_killed_resize_has_grown_and_does_not_say_so() {
    let mut silent = 0;
    for seed in 0..30 {
        let mut lab = lab(seed);
        let faults = Faults { killed: 1, ..ALWAYS };
        let resize = [("disk", "scsi0"), ("size", "5G")];
        let (status, _) = end(&mut lab, faults, "PUT", &format!("{MACHINE}/resize"), &resize);
        assert_eq!(status, "unexpected status");
        let state = lab.cluster.state();
        let volumes = state["volumes"].as_array().expect("volumes");
        let large = volumes.iter().any(|v| v["owner"] == 100 && v["size"] == 5_u64 << 30);
        let said = lab.config(100)["scsi0"].as_str().is_some_and(|drive| drive.contains("size=5G"));
        assert!(large || !said);
        silent += u32::from(large && !said);
    }
    assert!(silent > 3, "{silent} of 30");
}

#[test]
fn a_killed_migration_leaves_its_lock_on_either_side() {
    let mut places = BTreeSet::new();
    for seed in 0..40 {
        let mut lab = lab(seed);
        let faults = Faults { killed: 1, ..ALWAYS };
        let (status, _) = end(&mut lab, faults, "POST", &format!("{MACHINE}/migrate"), &[("target", "pve2")]);
        assert_eq!(status, "unexpected status");
        let state = lab.cluster.state();
        let machine = &state["vms"]["100"];
        places.insert((machine["node"].to_string(), machine["config"]["lock"] == "migrate"));
    }
    let all = [("\"pve1\"", false), ("\"pve1\"", true), ("\"pve2\"", true), ("\"pve2\"", false)];
    assert_eq!(places, all.map(|(node, locked)| (node.to_owned(), locked)).into());
}

#[test]
fn a_killed_destruction_leaves_a_husk() {
    let mut ends = BTreeSet::new();
    for seed in 0..60 {
        let mut lab = lab(seed);
        let faults = Faults { killed: 1, ..ALWAYS };
        let (status, _) = end(&mut lab, faults, "DELETE", MACHINE, &[]);
        assert_eq!(status, "unexpected status");
        let state = lab.cluster.state();
        let machine = &state["vms"]["100"];
        let volumes = state["volumes"].as_array().expect("volumes");
        let left = volumes.iter().filter(|v| v["owner"] == 100).count();
        let lock = machine["config"]["lock"].as_str().unwrap_or("").to_owned();
        ends.insert((machine.is_object(), lock.clone(), left));
        if lock.is_empty() && machine.is_object() {
            assert_eq!(lab.task("DELETE", MACHINE, &[]), "OK", "a repetition works");
        }
    }
    let end = |machine, lock: &str, left| (machine, lock.to_owned(), left);
    for wanted in [end(true, "", 2), end(true, "", 1), end(true, "destroyed", 0), end(false, "", 0)] {
        assert!(ends.contains(&wanted), "{wanted:?} is not in {ends:?}");
    }
}

#[test]
fn a_killed_start_runs_or_does_not() {
    let mut running = BTreeSet::new();
    for seed in 0..20 {
        let mut lab = lab(seed);
        let faults = Faults { killed: 1, ..ALWAYS };
        let (status, _) = end(&mut lab, faults, "POST", &format!("{MACHINE}/status/start"), &[]);
        assert_eq!(status, "unexpected status");
        running.insert(lab.cluster.state()["vms"]["100"]["status"].to_string());
    }
    assert_eq!(running.len(), 2, "{running:?}");
}

#[test]
fn a_call_whose_worker_is_killed_is_answered_by_the_hop() {
    let mut lab = lab(1);
    let faults = Faults { killed: 1, ..ALWAYS };
    let answer = meet(&mut lab, faults, "PUT", &format!("{MACHINE}/config"), &[("cores", "4")]);
    assert_eq!(answer, (596, "Broken pipe".to_owned()));
}
