//! Whatever goes wrong: every call is answered once, and in the end the cluster comes to rest.

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use proxmox_sim::{CallId, ClusterConfig, Faults, Handled, Mishaps, Version};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use support::Lab;

/// One of the requests that a panel sends, to one of a few machines.
fn send(lab: &Lab, dice: &mut StdRng) -> proxmox_sim::Request {
    let vmid = dice.random_range(100..106).to_string();
    let node = ["pve1", "pve2"][dice.random_range(0..2)];
    let own = format!("/nodes/{node}/qemu/{vmid}");
    let config = format!("{own}/config");
    match dice.random_range(0..14) {
        0 | 1 => lab.request("POST", "/nodes/pve1/qemu/9000/clone", &[("newid", &vmid)]),
        2 => lab.request("POST", &config, &[("cores", "2"), ("scsi1", "shared:2"), ("tags", "b;a")]),
        3 => lab.request("PUT", &config, &[("memory", "1024"), ("scsi2", "shared:1"), ("onboot", "1")]),
        4 => lab.request("PUT", &config, &[("delete", "scsi1,tags"), ("cores", "4")]),
        5 => lab.request("PUT", &format!("{own}/resize"), &[("disk", "scsi0"), ("size", "8G")]),
        6 => lab.request("POST", &format!("{own}/status/start"), &[]),
        7 => lab.request("POST", &format!("{own}/status/stop"), &[]),
        8 => lab.request("POST", &format!("{own}/status/shutdown"), &[("timeout", "20"), ("forceStop", "1")]),
        9 => lab.request("DELETE", &format!("{own}?purge=1"), &[]),
        10 => lab.request("POST", &format!("{own}/migrate"), &[("target", "pve2"), ("online", "1")]),
        11 => lab.request("POST", &format!("{own}/firewall/rules"), &[("type", "in"), ("action", "ACCEPT")]),
        12 => lab.request("GET", "/cluster/resources?type=vm", &[]),
        _ => lab.request("GET", &config, &[]),
    }
}

/// Ten minutes of requests under everything, and what is waited for afterwards.
fn life(seed: u64) -> (usize, BTreeSet<String>) {
    let mishaps =
        Mishaps { vmids: Some([100, 105]), until: Some(600.0), lasting: [1.0, 40.0], ..Mishaps::every(8.0) };
    let faults = Faults { mishaps, ..Faults::everything(0.4) };
    let version = if seed.is_multiple_of(2) { Version::V9_2 } else { Version::V8_4 };
    let mut lab = Lab::with(ClusterConfig { seed, version, faults, ..ClusterConfig::quick() });
    let mut dice = StdRng::seed_from_u64(seed);
    let mut waiting: BTreeSet<CallId> = BTreeSet::new();
    let mut sent = 0;
    let collect = |lab: &mut Lab, waiting: &mut BTreeSet<CallId>| {
        for (call, _) in lab.cluster.take_answers() {
            assert!(waiting.remove(&call), "seed {seed}: an answer that nobody waits for");
        }
    };
    while lab.now < Duration::from_secs(600) {
        lab.now += Duration::from_millis(dice.random_range(0..4000));
        let request = send(&lab, &mut dice);
        sent += 1;
        if let Handled::Later(call) = lab.cluster.handle(lab.now, request) {
            waiting.insert(call);
        }
        collect(&mut lab, &mut waiting);
    }
    lab.cluster.set_faults(Faults { rate: 0.0, ..lab.cluster.faults().clone() });
    while let Some(time) = lab.cluster.next_event() {
        assert!(time < Duration::from_secs(800), "seed {seed}: it goes on");
        lab.cluster.advance(time);
        collect(&mut lab, &mut waiting);
    }
    assert!(waiting.is_empty(), "seed {seed}: {} calls are never answered", waiting.len());
    lab.now = Duration::from_secs(800);
    free_of_workers(&mut lab, seed);
    (sent, lab.cluster.counters().faults.keys().cloned().collect())
}

/// Nothing is held any more: what has no lock of its own can be changed at once.
fn free_of_workers(lab: &mut Lab, seed: u64) {
    let state = lab.cluster.state();
    let left: BTreeSet<u32> = lab.cluster.stale_locks().iter().map(|lock| lock.vmid).collect();
    for (vmid, machine) in state["vms"].as_object().expect("machines") {
        let locked = machine["config"]["lock"].is_string();
        assert_eq!(locked, left.contains(&vmid.parse().expect("a number")), "seed {seed}: {vmid}");
        if !locked {
            let path = format!("/nodes/{}/qemu/{vmid}/config", machine["node"].as_str().expect("a node"));
            let before = lab.now;
            lab.ok("PUT", &path, &[("description", "still here")]);
            assert!(lab.now.saturating_sub(before) < Duration::from_secs(1), "seed {seed}: {vmid} is held");
        }
    }
}

#[test]
fn every_call_is_answered_and_nothing_is_held_for_ever() {
    let mut met = BTreeSet::new();
    let mut sent = 0;
    for seed in 0..60 {
        let (requests, faults) = life(seed);
        sent += requests;
        met.extend(faults);
    }
    assert!(sent > 10_000 && met.len() >= 30, "{sent} requests met {met:?}");
}
