//! Requests that meet a fault, with all well before and after.

use std::time::Duration;

use proxmox_sim::{ClusterConfig, Faults};
use serde_json::Value;

use super::Lab;

pub(crate) const ALWAYS: Faults = Faults::unweighted(1.0);

pub(crate) const MACHINE: &str = "/nodes/pve1/qemu/100";

/// A cluster with machine 100 and no faults yet.
pub(crate) fn lab(seed: u64) -> Lab {
    let mut lab = Lab::with(ClusterConfig { seed, ..ClusterConfig::quick() });
    lab.clone_to(100);
    lab
}

/// Sends one request that meets the faults; all is well before and after.
pub(crate) fn meet(
    lab: &mut Lab,
    faults: Faults,
    method: &str,
    path: &str,
    params: &[(&str, &str)],
) -> (u16, String) {
    lab.cluster.set_faults(faults);
    let reply = lab.call(method, path, params);
    lab.cluster.set_faults(Faults::none());
    let text = reply.payload().as_str().map_or(reply.reason.clone(), str::to_owned);
    (reply.status, text)
}

/// The same for a request that starts a task: what the task ends with, and how long it took.
pub(crate) fn end(
    lab: &mut Lab,
    faults: Faults,
    method: &str,
    path: &str,
    params: &[(&str, &str)],
) -> (String, Duration) {
    let before = lab.now;
    let (status, upid) = meet(lab, faults, method, path, params);
    assert_eq!(status, 200, "{method} {path}: {upid}");
    lab.now = lab.cluster.settle(lab.now);
    let lasted = lab.now.saturating_sub(before);
    (lab.exit_status(&upid), lasted)
}

pub(crate) fn count(lab: &Lab, name: &str) -> u64 {
    lab.cluster.counters().faults.get(name).copied().unwrap_or(0)
}

/// Volumes of a machine that its configuration does not name.
pub(crate) fn orphans(lab: &Lab, vmid: u32) -> Vec<Value> {
    let state = lab.cluster.state();
    let config = state["vms"][vmid.to_string()].to_string();
    let volumes = state["volumes"].as_array().expect("volumes").iter();
    let stray =
        volumes.filter(|v| v["owner"] == vmid && !config.contains(v["volid"].as_str().expect("an id")));
    stray.cloned().collect()
}
