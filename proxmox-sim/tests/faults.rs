//! Faults that requests meet, each alone.

mod support;

use std::collections::BTreeSet;

use proxmox_sim::{ClusterConfig, Faults, Mishaps, Version};
use support::Lab;
use support::meet::{ALWAYS, MACHINE, count, end, lab, meet, orphans};

/// Method, path and parameters.
type Call<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

#[test]
fn a_duplicate_is_carried_out_once_more_later() {
    for (faults, status) in
        [(Faults { duplicate: 1, ..ALWAYS }, 200), (Faults { lost_duplicate: 1, ..ALWAYS }, 0)]
    {
        let mut lab = lab(3);
        let rule = [("type", "in"), ("action", "ACCEPT"), ("enable", "1")];
        let rules = format!("{MACHINE}/firewall/rules");
        assert_eq!(meet(&mut lab, faults, "POST", &rules, &rule).0, status);
        assert_eq!(lab.get(&rules).as_array().map(Vec::len), Some(1), "not yet");
        lab.pass(61.0);
        assert_eq!(lab.get(&rules).as_array().map(Vec::len), Some(2));
    }
}

#[test]
fn a_late_duplicate_with_a_digest_is_refused() {
    let mut lab = lab(3);
    let digest = lab.config(100)["digest"].as_str().expect("a digest").to_owned();
    let faults = Faults { duplicate: 1, ..ALWAYS };
    let change = [("scsi1", "shared:4"), ("digest", digest.as_str())];
    meet(&mut lab, faults, "POST", &format!("{MACHINE}/config"), &change);
    lab.pass(70.0);
    assert!(lab.config(100)["scsi1"].is_string() && lab.config(100)["unused0"].is_null());
    assert_eq!(count(&lab, "duplicate"), 1);
}

#[test]
fn warnings_are_success() {
    let mut lab = lab(1);
    let faults = Faults { warnings: 1, ..ALWAYS };
    let (status, _) = end(&mut lab, faults.clone(), "POST", &format!("{MACHINE}/status/start"), &[]);
    assert_eq!(status, "WARNINGS: 1");
    assert_eq!(lab.cluster.state()["vms"]["100"]["status"], "running");
    let (status, _) = end(&mut lab, faults, "POST", &format!("{MACHINE}/status/start"), &[]);
    assert_eq!(status, "VM 100 already running", "what fails has no warnings");
    assert_eq!(count(&lab, "warnings"), 1);
}

#[test]
fn a_destruction_leaks_a_volume() {
    let mut leaked = BTreeSet::new();
    for seed in 0..10 {
        let mut lab = lab(seed);
        let faults = Faults { leaked_volume: 1, ..ALWAYS };
        let purge = format!("{MACHINE}?purge=1&destroy-unreferenced-disks=1");
        assert_eq!(end(&mut lab, faults, "DELETE", &purge, &[]).0, "WARNINGS: 1");
        assert!(lab.cluster.state()["vms"]["100"].is_null());
        let [orphan] = orphans(&lab, 100).try_into().expect("one volume");
        let content = lab.get("/nodes/pve1/storage/shared/content?vmid=100");
        assert_eq!(content[0]["volid"], orphan["volid"]);
        assert_eq!(count(&lab, "leaked_volume"), 1);
        leaked.insert(orphan["volid"].to_string());
    }
    assert_eq!(leaked.len(), 2, "now the disk, now the cloud-init drive");
}

#[test]
fn a_configuration_that_fails_is_written_in_part_and_pending() {
    let mut written = BTreeSet::new();
    for seed in 0..40 {
        let mut lab = lab(seed);
        let faults = Faults { partial: 1, ..ALWAYS };
        let change = [("cores", "4"), ("memory", "2048"), ("sockets", "2"), ("tags", "a")];
        let method = if seed % 2 == 0 { "PUT" } else { "POST" };
        let path = format!("{MACHINE}/config");
        let text = if method == "PUT" {
            let (status, text) = meet(&mut lab, faults, method, &path, &change);
            assert_eq!(status, 500);
            text
        } else {
            end(&mut lab, faults, method, &path, &change).0
        };
        assert!(text.ends_with("100.conf.tmp.25085' - Permission denied"), "{text}");
        let pending = lab.get(&format!("{MACHINE}/pending"));
        let waiting = pending.as_array().expect("rows").iter().filter(|row| !row["pending"].is_null());
        let waiting: BTreeSet<String> = waiting.map(|row| row["key"].to_string()).collect();
        assert!((1..4).contains(&waiting.len()), "{waiting:?}");
        if waiting.contains("\"cores\"") {
            assert_eq!(lab.config(100)["cores"], 4, "shown as set");
            assert_eq!(lab.task("POST", &format!("{MACHINE}/status/start"), &[]), "OK");
            assert_eq!(lab.get(&format!("{MACHINE}/config?current=1"))["cores"], 4, "applied by a start");
        }
        written.insert(waiting);
    }
    assert!(written.len() > 6, "random parts: {written:?}");
}

#[test]
fn a_configuration_that_waits_for_a_storage_in_vain() {
    let mut texts = BTreeSet::new();
    for seed in 0..20 {
        let mut lab = lab(seed);
        let faults = Faults { partial: 1, ..ALWAYS };
        let change = [("cores", "4"), ("scsi1", "shared:4"), ("tags", "a")];
        texts.insert(end(&mut lab, faults, "POST", &format!("{MACHINE}/config"), &change).0);
        assert!(orphans(&lab, 100).is_empty());
    }
    assert!(texts.contains("cfs-lock 'storage-shared' error: got lock request timeout"), "{texts:?}");
}

#[test]
fn a_right_is_missing_half_way() {
    let mut tags = BTreeSet::new();
    for seed in 0..20 {
        let mut lab = lab(seed);
        let faults = Faults { forbidden_after_writes: 1, ..ALWAYS };
        let path = format!("{MACHINE}/config");
        let change = [("tags", "a"), ("scsi1", "shared:4")];
        if seed % 2 == 0 {
            let refused = (403, "Permission check failed (/vms/100, VM.Config.Disk)".to_owned());
            assert_eq!(meet(&mut lab, faults.clone(), "PUT", &path, &change), refused);
        } else {
            let (status, _) = end(&mut lab, faults.clone(), "POST", &path, &change);
            assert_eq!(status, "403 Permission check failed (/vms/100, VM.Config.Disk)");
        }
        let config = lab.config(100);
        assert!(config["scsi1"].is_null());
        tags.insert(config["tags"].is_string());
        assert_eq!(count(&lab, "forbidden_after_writes"), 1);
        assert_eq!(meet(&mut lab, faults, "PUT", &path, &[("tags", "b")]).0, 200, "without a drive never");
    }
    assert_eq!(tags.len(), 2, "before or after the rest");
}

#[test]
fn locks_are_waited_for_as_long_as_a_server_waits() {
    let mut texts = BTreeSet::new();
    for seed in 0..40 {
        let mut lab = lab(seed);
        let faults = Faults { lock_timeout: 1, ..ALWAYS };
        let clone = [("newid", "101")];
        let (status, lasted) = end(&mut lab, faults, "POST", "/nodes/pve1/qemu/9000/clone", &clone);
        let storage = status.starts_with("clone failed: cfs-lock");
        assert_eq!(lasted.as_secs(), if storage { 10 } else { 1 }, "{status}");
        assert!(lab.cluster.state()["vms"]["101"].is_null());
        texts.insert(status);
    }
    let lock = |vmid| format!("can't lock file '/var/lock/qemu-server/lock-{vmid}.conf' - got timeout");
    let storage = "clone failed: cfs-lock 'storage-shared' error: got lock request timeout".to_owned();
    assert_eq!(texts, BTreeSet::from([lock(9000), lock(101), storage]));
}

#[test]
fn calls_wait_for_their_locks_too() {
    let mut lab = lab(1);
    let faults = Faults { lock_timeout: 1, ..ALWAYS };
    let before = lab.now;
    let answer = meet(&mut lab, faults.clone(), "PUT", &format!("{MACHINE}/config"), &[("cores", "4")]);
    let text = "can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout";
    assert_eq!(answer, (500, text.to_owned()));
    assert_eq!(lab.now.saturating_sub(before).as_secs(), 10);
    let before = lab.now;
    let rule = [("type", "in"), ("action", "ACCEPT")];
    let answer = meet(&mut lab, faults, "POST", &format!("{MACHINE}/firewall/rules"), &rule);
    assert_eq!(answer, (500, "cfs-lock 'firewall-vm-100' error: got lock request timeout".to_owned()));
    assert_eq!(lab.now.saturating_sub(before).as_secs(), 10);
    assert_eq!(count(&lab, "lock_timeout"), 2);
}

#[test]
fn an_earlier_wait_does_not_shorten_a_later_one() {
    let mut config = ClusterConfig::quick();
    config.durations.allocate = 15.0;
    config.durations.storage_lock = 15.0;
    config.durations.jitter = 0.0;
    let mut lab = Lab::with(config);
    lab.clone_to(100);
    lab.clone_to(101);
    let one = lab.ok("POST", "/nodes/pve1/qemu/101/config", &[("scsi1", "shared:1")]);
    lab.cluster.switch(proxmox_sim::Switch::HoldLock { vmid: 100, seconds: 8.0 }).expect("a machine");
    let two = lab.ok("POST", "/nodes/pve1/qemu/100/config", &[("scsi1", "shared:1")]);
    lab.now = lab.cluster.settle(lab.now);
    for upid in [one, two] {
        // The second waits 8 s for its machine and then 7 s for the storage: neither is too long.
        assert_eq!(lab.exit_status(upid.as_str().expect("a UPID")), "OK");
    }
}

#[test]
fn a_machine_that_was_stopped_is_busy_for_half_a_minute() {
    for version in [Version::V8_4, Version::V9_2] {
        let mut lab = Lab::with(ClusterConfig { version, ..ClusterConfig::quick() });
        lab.clone_to(100);
        let (start, stop) = (format!("{MACHINE}/status/start"), format!("{MACHINE}/status/stop"));
        let faults = Faults { linger: 1, ..ALWAYS };
        lab.cluster.set_faults(faults);
        let idle = lab.ok("POST", &stop, &[]);
        lab.now = lab.cluster.settle(lab.now);
        assert_eq!(lab.exit_status(idle.as_str().expect("a UPID")), "OK");
        assert_eq!(count(&lab, "linger"), 0, "what does not run leaves no process");
        assert_eq!(lab.task("POST", &start, &[]), "OK");
        lab.ok("POST", &stop, &[]);
        lab.pass(1.0);
        assert_eq!(lab.cluster.state()["vms"]["100"]["status"], "stopped");
        let again = lab.ok("POST", &start, &[]);
        lab.pass(11.0);
        let status = lab.exit_status(again.as_str().expect("a UPID"));
        assert_eq!(status, "can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout");
        lab.pass(20.0);
        assert_eq!(lab.task("POST", &start, &[]), "OK");
        assert_eq!(count(&lab, "linger"), 1);
    }
}

#[test]
fn a_stale_list_shows_the_past() {
    let faults = Faults { stale_list: 1, ..ALWAYS };
    let mut lab = Lab::with(ClusterConfig { faults, ..ClusterConfig::quick() });
    let listed = |lab: &mut Lab| -> Vec<u64> {
        let rows = lab.get("/cluster/resources?type=vm");
        rows.as_array().expect("rows").iter().filter_map(|row| row["vmid"].as_u64()).collect()
    };
    let templates = [9000, 9001, 9002];
    lab.pass(30.0);
    lab.clone_to(100);
    lab.pass(5.0);
    assert_eq!(listed(&mut lab), templates, "not there yet");
    lab.pass(100.0);
    assert_eq!(listed(&mut lab), [&[100], &templates[..]].concat(), "no older than a minute");
    assert_eq!(lab.task("DELETE", MACHINE, &[]), "OK");
    assert_eq!(listed(&mut lab), [&[100], &templates[..]].concat(), "gone and still there");
    assert_eq!(lab.call("GET", &format!("{MACHINE}/config"), &[]).status, 500, "the machine itself is not");
    assert_eq!(count(&lab, "stale_list"), 3);
    lab.cluster.set_faults(Faults::none());
    assert_eq!(listed(&mut lab), templates);
}

#[test]
fn everything_at_once_from_one_seed() {
    let life = |seed| {
        let faults = Faults { mishaps: Mishaps::none(), ..Faults::everything(0.4) };
        let config = ClusterConfig { seed, faults, ..ClusterConfig::quick() };
        let mut lab = Lab::with(config);
        let mut seen = Vec::new();
        for vmid in 100..180_u32 {
            let (clone, own) = (vmid.to_string(), format!("/nodes/pve1/qemu/{vmid}"));
            let config = format!("{own}/config");
            let requests: [Call<'_>; 9] = [
                ("POST", "/nodes/pve1/qemu/9000/clone", &[("newid", &clone)]),
                ("GET", "/cluster/resources?type=vm", &[]),
                ("POST", &config, &[("cores", "2"), ("scsi1", "shared:1"), ("tags", "x")]),
                ("PUT", &config, &[("cores", "4"), ("tags", "y"), ("scsi2", "shared:1")]),
                ("POST", &format!("{own}/status/start"), &[]),
                ("POST", &format!("{own}/status/stop"), &[]),
                ("POST", &format!("{own}/status/start"), &[]),
                ("POST", &format!("{own}/status/stop"), &[]),
                ("DELETE", &own, &[]),
            ];
            for (method, path, params) in requests {
                let reply = lab.call(method, path, params);
                lab.pass(3.0);
                seen.push((reply.status, reply.body, lab.now));
            }
        }
        lab.now = lab.cluster.settle(lab.now);
        (seen, lab.cluster.state(), lab.cluster.counters().clone())
    };
    let first = life(5);
    assert_eq!(first, life(5));
    assert_ne!(first.0, life(6).0);
    let met: Vec<&str> = first.2.faults.keys().map(String::as_str).collect();
    let all = [
        "busy",
        "duplicate",
        "forbidden_after_writes",
        "gateway",
        "killed",
        "late",
        "leaked_volume",
        "linger",
        "lock_timeout",
        "lose_answer",
        "lose_request",
        "lost_duplicate",
        "partial",
        "refused",
        "slow",
        "stale_list",
        "task",
        "warnings",
    ];
    for name in all {
        assert!(met.contains(&name), "{name} is not in {met:?}");
    }
}
