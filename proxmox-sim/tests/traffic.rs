//! What machines have received and sent, live and as it is broadcast.

mod support;

use proxmox_sim::{ClusterConfig, NicTraffic};
use serde_json::Value;
use support::Lab;

const CURRENT: &str = "/nodes/pve1/qemu/100/status/current";

fn lab() -> Lab {
    let nic_traffic = NicTraffic { received: 1000, sent: 10 };
    let mut lab = Lab::with(ClusterConfig { nic_traffic, ..ClusterConfig::quick() });
    lab.clone_to(100);
    lab
}

fn power(lab: &mut Lab, action: &str) {
    assert_eq!(lab.task("POST", &format!("/nodes/pve1/qemu/100/status/{action}"), &[]), "OK");
}

fn counted(row: &Value) -> (u64, u64, u64) {
    let number = |key: &str| row[key].as_u64().unwrap_or_else(|| panic!("{key} of {row}"));
    (number("uptime"), number("netin"), number("netout"))
}

fn listed(lab: &mut Lab) -> (u64, u64, u64) {
    let rows = lab.get("/cluster/resources");
    let rows = rows.as_array().expect("a list");
    counted(rows.iter().find(|row| row["id"] == "qemu/100").expect("its row"))
}

/// The seconds are those since its start, the bytes those of so many seconds.
fn assert_fits((uptime, received, sent): (u64, u64, u64), seconds: std::ops::RangeInclusive<u64>) {
    assert!(seconds.contains(&uptime), "{uptime} s");
    assert!((uptime * 1000..(uptime + 1) * 1000).contains(&received), "{received} in {uptime} s");
    assert!((uptime * 10..(uptime + 1) * 10).contains(&sent), "{sent} in {uptime} s");
}

#[test]
fn a_machine_counts_while_it_runs_and_from_zero_after_each_start() {
    let mut lab = lab();
    assert_eq!(counted(&lab.get(CURRENT)), (0, 0, 0));
    power(&mut lab, "start");
    lab.pass(100.0);
    assert_fits(counted(&lab.get(CURRENT)), 100..=102);
    power(&mut lab, "stop");
    assert_eq!(counted(&lab.get(CURRENT)), (0, 0, 0));
    power(&mut lab, "start");
    lab.pass(5.0);
    assert_fits(counted(&lab.get(CURRENT)), 5..=7);
}

#[test]
fn the_list_tells_what_was_broadcast_last() {
    let mut lab = lab();
    power(&mut lab, "start");
    lab.pass(60.0);
    let first = listed(&mut lab);
    assert_fits(first, 50..=62);
    // Until the next broadcast it tells the same, while the machine counts on.
    let ahead = counted(&lab.get(CURRENT)).0 - first.0;
    assert!(ahead <= 10, "{ahead} s");
    let mut told = first;
    for _ in 0..40 {
        lab.pass(0.5);
        let next = listed(&mut lab);
        assert!(next == told || next.0 >= told.0 + 9, "{told:?}, then {next:?}");
        told = next;
    }
    assert_fits(told, first.0 + 10..=first.0 + 22);
}

#[test]
fn a_machine_that_moves_while_it_runs_counts_from_zero() {
    let mut lab = lab();
    power(&mut lab, "start");
    lab.pass(500.0);
    let migrated = lab.task("POST", "/nodes/pve1/qemu/100/migrate", &[("target", "pve3"), ("online", "1")]);
    assert_eq!(migrated, "OK");
    lab.pass(3.0);
    let current = counted(&lab.get("/nodes/pve3/qemu/100/status/current"));
    assert_fits(current, 3..=10);
}
