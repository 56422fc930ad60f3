//! What happens to the cluster by itself.

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use proxmox_sim::{ClusterConfig, Faults, Mishap, MishapKind, Mishaps, Switch};
use serde_json::Value;
use support::Lab;

/// Gives weights.
type Choice = fn(&mut Mishaps);

const RANGE: Option<[u32; 2]> = Some([100, 109]);

/// Only what is chosen, every ten seconds in the mean.
fn plan(choose: Choice) -> Faults {
    let mut mishaps = Mishaps { vmids: RANGE, ..Mishaps::unweighted(10.0) };
    choose(&mut mishaps);
    Faults { mishaps, ..Faults::none() }
}

/// Machines 100 and 101, the first of them running, with a rule each.
fn lab(seed: u64) -> Lab {
    let mut lab = Lab::with(ClusterConfig { seed, ..ClusterConfig::quick() });
    for vmid in [100, 101] {
        lab.clone_to(vmid);
        let own = format!("/nodes/pve1/qemu/{vmid}");
        lab.ok("POST", &format!("{own}/firewall/rules"), &[("type", "in"), ("action", "ACCEPT")]);
        lab.ok("PUT", &format!("{own}/config"), &[("description", "mark 7"), ("tags", "ours")]);
    }
    assert_eq!(lab.task("POST", "/nodes/pve1/qemu/100/status/start", &[]), "OK");
    lab
}

/// Lets the first mishap happen, and no other.
fn first(lab: &mut Lab, choose: Choice) -> Mishap {
    lab.cluster.set_faults(plan(choose));
    while lab.cluster.mishaps().is_empty() {
        lab.now = lab.cluster.next_event().expect("something will happen");
        lab.cluster.advance(lab.now);
        assert!(lab.now < Duration::from_secs(1000), "nothing happens");
    }
    lab.cluster.set_faults(Faults::none());
    lab.cluster.mishaps()[0].clone()
}

fn vm(lab: &Lab, vmid: u32) -> Value {
    lab.cluster.state()["vms"][vmid.to_string()].clone()
}

/// Drives the cluster until a time.
fn drive(lab: &mut Lab, until: u64) {
    let until = Duration::from_secs(until);
    while let Some(time) = lab.cluster.next_event().filter(|time| *time <= until) {
        lab.cluster.advance(time);
    }
    lab.now = until;
    lab.cluster.advance(until);
}

#[test]
fn a_node_goes_down_and_comes_back() {
    let mut lab = lab(1);
    let mishap = first(&mut lab, |m| m.node_down = 1);
    let MishapKind::NodeDown { node } = &mishap.kind else { panic!("{mishap:?}") };
    let path = format!("/nodes/{node}/qemu");
    assert!(mishap.lasts() && mishap.at == lab.now);
    assert_eq!(lab.call("GET", &path, &[]).status, 595);
    assert_eq!(vm(&lab, 100)["status"], "running", "what runs goes on");
    lab.pass(61.0);
    assert_eq!(lab.call("GET", &path, &[]).status, 200);
    let ended = lab.cluster.mishaps()[0].ended.expect("an end");
    assert!((5..=60).contains(&ended.saturating_sub(mishap.at).as_secs()), "{ended:?}");
}

#[test]
fn a_node_crashes_and_starts_what_is_to_run() {
    for seed in 0..20 {
        let mut lab = lab(seed);
        lab.ok("PUT", "/nodes/pve1/qemu/100/config", &[("onboot", "1")]);
        let mishap = first(&mut lab, |m| m.node_crash = 1);
        let MishapKind::NodeCrash { node, stopped } = &mishap.kind else { panic!("{mishap:?}") };
        if node != "pve1" {
            assert!(stopped.is_empty());
            continue;
        }
        assert_eq!(stopped.iter().map(|machine| machine.vmid).collect::<Vec<_>>(), [100]);
        assert_eq!(vm(&lab, 100)["status"], "stopped");
        lab.pass(62.0);
        assert_eq!(vm(&lab, 100)["status"], "running");
        assert_eq!(vm(&lab, 101)["status"], "stopped");
        return;
    }
    panic!("pve1 never crashes");
}

#[test]
fn a_crash_kills_workers_where_they_are() {
    let mut lab = lab(4);
    let clone = [("newid", "102"), ("full", "1"), ("bwlimit", "1024")];
    let upid = lab.ok("POST", "/nodes/pve1/qemu/9000/clone", &clone);
    lab.cluster.set_faults(plan(|m| m.node_crash = 1));
    drive(&mut lab, 300);
    lab.cluster.end_mishaps();
    let on_pve1 =
        |mishap: &Mishap| matches!(&mishap.kind, MishapKind::NodeCrash { node, .. } if node == "pve1");
    assert!(lab.cluster.mishaps().iter().any(on_pve1));
    assert_eq!(lab.exit_status(upid.as_str().expect("a UPID")), "unexpected status");
    assert_eq!(vm(&lab, 102)["config"]["lock"], "clone");
}

#[test]
fn a_node_freezes_and_thaws() {
    let mut lab = lab(1);
    let mishap = first(&mut lab, |m| m.node_freeze = 1);
    let MishapKind::NodeFreeze { node } = &mishap.kind else { panic!("{mishap:?}") };
    let path = format!("/nodes/{node}/qemu");
    let reply = lab.call("GET", &path, &[]);
    assert_eq!((reply.status, lab.now.saturating_sub(mishap.at).as_secs()), (596, 30));
    lab.pass(61.0);
    assert_eq!(lab.call("GET", &path, &[]).status, 200);
}

#[test]
fn the_majority_is_lost_and_regained() {
    let mut lab = lab(1);
    first(&mut lab, |m| m.quorum_lost = 1);
    let start = "/nodes/pve1/qemu/101/status/start";
    assert_eq!(lab.call("POST", start, &[]).reason, "cluster not ready - no quorum?");
    lab.pass(61.0);
    assert_eq!(lab.task("POST", start, &[]), "OK");
}

#[test]
fn a_storage_runs_full_and_has_space_again() {
    let mut lab = lab(1);
    let mishap = first(&mut lab, |m| m.storage_full = 1);
    let MishapKind::StorageFull { storage } = &mishap.kind else { panic!("{mishap:?}") };
    let change = [("scsi1", if storage == "shared" { "shared:1" } else { "local-lvm:1" })];
    let full = lab.task("POST", "/nodes/pve1/qemu/101/config", &change);
    let hit = ["shared", "local-lvm"].contains(&storage.as_str());
    let text = if hit { "unable to create image: No space left on device" } else { "OK" };
    assert_eq!(full, text);
    lab.pass(61.0);
    assert_eq!(lab.task("POST", "/nodes/pve1/qemu/101/config", &[("scsi2", change[0].1)]), "OK");
}

#[test]
fn people_edit_machines() {
    for seed in 0..8 {
        let kinds: [(&str, Choice); 5] = [
            ("hardware", |m| m.edit_hardware = 1),
            ("notes", |m| m.edit_notes = 1),
            ("onboot", |m| m.edit_onboot = 1),
            ("tags", |m| m.edit_tags = 1),
            ("bridge", |m| m.edit_bridge = 1),
        ];
        for (what, choose) in kinds {
            let mut lab = lab(seed);
            let before = lab.cluster.state();
            let mishap = first(&mut lab, choose);
            let MishapKind::Edit { machine, option, old, new } = &mishap.kind else { panic!("{mishap:?}") };
            let now = vm(&lab, machine.vmid);
            let was = &before["vms"][machine.vmid.to_string()]["config"];
            let cold = what == "hardware" && machine.vmid == 100;
            assert_eq!(now[if cold { "pending" } else { "config" }][option], new.as_str(), "{what}");
            assert_eq!(was[option].as_str(), old.as_deref(), "{what}");
            assert_ne!(old.as_deref(), Some(new.as_str()), "{what}");
            let uuid = machine.uuid.as_deref().expect("an identity");
            assert_eq!(now["config"]["smbios1"], format!("uuid={uuid}"));
            assert!(!mishap.lasts() && mishap.machine() == Some(machine));
            assert_eq!(lab.cluster.counters().faults[&format!("edit_{what}")], 1);
            if what == "bridge" {
                let mac = |text: &str| text.split(',').next().map(str::to_owned);
                assert_eq!(mac(new), mac(old.as_deref().expect("a device")), "the same device");
            }
        }
    }
}

#[test]
fn notes_lose_their_mark_now_and_then() {
    let marked: BTreeSet<bool> = (0..12)
        .map(|seed| {
            let mut lab = lab(seed);
            let mishap = first(&mut lab, |m| m.edit_notes = 1);
            let vmid = mishap.machine().expect("a machine").vmid;
            vm(&lab, vmid)["config"]["description"].as_str().is_some_and(|notes| notes.contains("mark 7"))
        })
        .collect();
    assert_eq!(marked.len(), 2);
}

#[test]
fn people_delete_rules_and_grow_disks() {
    let mut lab = lab(2);
    let mishap = first(&mut lab, |m| m.delete_rule = 1);
    let MishapKind::DeleteRule { machine, rule } = &mishap.kind else { panic!("{mishap:?}") };
    assert_eq!(rule["action"], "ACCEPT");
    let rules = lab.get(&format!("/nodes/pve1/qemu/{}/firewall/rules", machine.vmid));
    assert_eq!(rules.as_array().map(Vec::len), Some(0));

    let mut lab = self::lab(2);
    let mishap = first(&mut lab, |m| m.grow_disk = 1);
    let MishapKind::GrowDisk { machine, slot, old, new } = &mishap.kind else { panic!("{mishap:?}") };
    assert_eq!((slot.as_str(), *old), ("scsi0", 2 << 30));
    let drive = vm(&lab, machine.vmid)["config"][slot].as_str().expect("a drive").to_owned();
    assert!(drive.contains(&format!("size={}G", new >> 30)), "{drive}");
    let state = lab.cluster.state();
    let volumes = state["volumes"].as_array().expect("volumes");
    assert!(volumes.iter().any(|volume| volume["owner"] == machine.vmid && volume["size"] == *new));
}

#[test]
fn people_stop_and_delete_and_guests_shut_down() {
    let mut lab = lab(2);
    let mishap = first(&mut lab, |m| m.stop = 1);
    assert!(matches!(&mishap.kind, MishapKind::Stop { machine } if machine.vmid == 100));
    assert_eq!(vm(&lab, 100)["status"], "stopped");
    let tasks = lab.get("/nodes/pve1/tasks?vmid=100&typefilter=qmstop");
    assert_eq!((&tasks[0]["user"], &tasks[0]["status"]), (&"root@pam".into(), &"OK".into()));

    let mut lab = self::lab(2);
    let mishap = first(&mut lab, |m| m.power_off = 1);
    assert!(matches!(&mishap.kind, MishapKind::PowerOff { machine } if machine.vmid == 100));
    assert_eq!(vm(&lab, 100)["status"], "stopped");
    assert_eq!(lab.get("/nodes/pve1/tasks?vmid=100&typefilter=qmstop"), Value::Array(Vec::new()));

    let mut lab = self::lab(2);
    let mishap = first(&mut lab, |m| m.delete = 1);
    let MishapKind::Delete { machine } = &mishap.kind else { panic!("{mishap:?}") };
    let state = lab.cluster.state();
    assert!(state["vms"][machine.vmid.to_string()].is_null());
    let left = state["volumes"].as_array().expect("volumes").iter().filter(|v| v["owner"] == machine.vmid);
    assert_eq!(left.count(), 0);
    assert!(lab.cluster.counters().destroyed.is_empty(), "that was not asked for");
}

#[test]
fn people_leave_alone_what_is_not_theirs() {
    let mut lab = lab(3);
    lab.pass(5.0);
    for vmid in [100, 101] {
        let (key, value) = ("lock".to_owned(), Some("backup".to_owned()));
        lab.cluster.switch(Switch::Option { vmid, key, value }).expect("a machine");
    }
    let before = lab.cluster.state()["vms"].clone();
    let end = lab.now.as_secs() + 2000;
    lab.cluster.set_faults(plan(|m| (m.stop, m.delete, m.edit_notes, m.grow_disk) = (1, 1, 1, 1)));
    drive(&mut lab, end);
    assert_eq!(lab.cluster.state()["vms"], before, "machines are locked, and templates are out of the range");
    assert!(lab.cluster.mishaps().is_empty());
}

#[test]
fn a_stranger_takes_a_number_and_stays() {
    let mut lab = lab(5);
    let mishap = first(&mut lab, |m| m.take_number = 1);
    let MishapKind::TakeNumber { machine } = &mishap.kind else { panic!("{mishap:?}") };
    assert!((102..110).contains(&machine.vmid));
    let stranger = vm(&lab, machine.vmid);
    assert_eq!((&stranger["stranger"], &vm(&lab, 100)["stranger"]), (&true.into(), &false.into()));
    let clone = lab.call("POST", "/nodes/pve1/qemu/9000/clone", &[("newid", &machine.vmid.to_string())]);
    lab.now = lab.cluster.settle(lab.now);
    let refused = clone.status == 500 || {
        let status = lab.exit_status(clone.payload().as_str().expect("a UPID"));
        status.contains("File exists")
    };
    assert!(refused, "{clone:?}");
    let people = plan(|m| (m.delete, m.edit_notes, m.edit_hardware, m.stop) = (1, 1, 1, 1));
    lab.cluster.set_faults(people);
    let end = lab.now.as_secs() + 3000;
    drive(&mut lab, end);
    assert_eq!(vm(&lab, machine.vmid), stranger, "the others are changed and deleted meanwhile");
    assert!(vm(&lab, 100).is_null() && vm(&lab, 101).is_null());
}

/// An hour with everything: what happened, and what is left.
fn hour(seed: u64) -> (Vec<Mishap>, Value, proxmox_sim::Counters) {
    let mut lab = lab(seed);
    let until = Some(3600.0);
    let mishaps = Mishaps { vmids: RANGE, until, ..Mishaps::every(20.0) };
    lab.cluster.set_faults(Faults { mishaps, ..Faults::at_rate(0.2) });
    for vmid in 102..160_u32 {
        lab.call("POST", "/nodes/pve1/qemu/9000/clone", &[("newid", &vmid.to_string())]);
        lab.pass(60.0);
    }
    lab.cluster.set_faults(Faults { rate: 0.0, ..lab.cluster.faults().clone() });
    while let Some(time) = lab.cluster.next_event() {
        lab.cluster.advance(time);
        assert!(time < Duration::from_secs(3700), "it does not come to rest");
    }
    (lab.cluster.mishaps().to_vec(), lab.cluster.state(), lab.cluster.counters().clone())
}

#[test]
fn the_same_seed_has_the_same_mishaps() {
    let one = hour(9);
    assert_eq!(one, hour(9));
    assert_ne!(one.0, hour(10).0);
}

#[test]
fn after_the_end_everything_is_mended() {
    let mut kinds = BTreeSet::new();
    for seed in 0..6 {
        let (mishaps, state, counters) = hour(seed);
        let end = Duration::from_secs(3600);
        assert!(
            mishaps.iter().all(|mishap| mishap.at <= end && mishap.ended.is_some_and(|ended| ended <= end))
        );
        assert_eq!(state["quorate"], true);
        let nodes = state["nodes"].as_object().expect("nodes");
        assert!(nodes.values().all(|node| node["online"] == true && node["frozen"] == false), "{nodes:?}");
        assert!(state["full"].as_array().is_some_and(Vec::is_empty));
        // About one in twenty seconds.
        assert!((130..230).contains(&mishaps.len()), "{}", mishaps.len());
        kinds.extend(counters.faults.into_keys());
    }
    for name in [
        "node_down",
        "node_crash",
        "node_freeze",
        "quorum_lost",
        "storage_full",
        "edit_hardware",
        "edit_notes",
        "edit_onboot",
        "edit_tags",
        "edit_bridge",
        "delete_rule",
        "grow_disk",
        "power_off",
        "stop",
        "delete",
        "take_number",
    ] {
        assert!(kinds.contains(name), "{name} never happens");
    }
}

#[test]
fn mishaps_can_be_ended_at_once() {
    let mut lab = lab(1);
    lab.cluster.set_faults(plan(|m| (m.node_down, m.quorum_lost, m.lasting) = (1, 1, [1e6, 1e6])));
    drive(&mut lab, 500);
    assert!(lab.cluster.mishaps().iter().filter(|mishap| mishap.lasts()).count() >= 3);
    lab.cluster.end_mishaps();
    assert!(lab.cluster.mishaps().iter().all(|mishap| !mishap.lasts()));
    let known = lab.cluster.mishaps().len();
    assert_eq!(lab.call("GET", "/nodes/pve1/qemu", &[]).status, 200);
    drive(&mut lab, 1000);
    assert_eq!(lab.cluster.mishaps().len(), known, "no new ones");
}

#[test]
fn none_of_it_happens_unasked() {
    let mut lab = lab(1);
    lab.cluster.set_faults(Faults::at_rate(0.5));
    lab.now = lab.cluster.settle(lab.now);
    lab.pass(100_000.0);
    assert!(lab.cluster.mishaps().is_empty());
}
