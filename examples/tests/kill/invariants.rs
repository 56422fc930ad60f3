//! What must be true, from outside.

use crate::{
    cluster::Cluster,
    desk::Desk,
    machine::Comparison,
    orders::Orders,
    picture::{Picture, Row},
    strangers::Strangers,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const CREATE: [&str; 14] = [
    "creation",
    "set_ip",
    "clone",
    "migrated",
    "set_cpu_ram",
    "set_system_disk_size",
    "set_system_disk_bandwidth",
    "set_created_additional_disk",
    "set_additional_disk_size",
    "set_additional_disk_bandwidth",
    "set_network",
    "set_firewall",
    "set_cloudinit",
    "starting",
];
const TERMINATE: [&str; 4] = ["stopping", "deleting_backups", "removing", "releasing_ip"];

/// What is looked at.
pub(crate) struct Outside<'a> {
    pub(crate) orders: &'a Orders,
    pub(crate) cluster: &'a Cluster,
    pub(crate) desk: &'a Desk,
    pub(crate) strangers: &'a Strangers,
    /// The numbers of machines whose tasks were killed.
    pub(crate) killed: &'a [u32],
    /// References of orders that were to be taken away.
    pub(crate) gone: &'a BTreeSet<String>,
    pub(crate) picture: &'a Picture,
}

impl Outside<'_> {
    /// What holds at every moment, also while everything is half done; cheap.
    pub(crate) async fn at_any_moment(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let state = self.cluster.state().await;
        for (key, vmids) in marks(&state) {
            if vmids.len() > 1 {
                wrong.push(format!("{vmids:?} all carry the mark {key}"));
            }
        }
        let clones = self.cluster.counters().await.clones;
        for (vmid, times) in clones {
            if times > 1 || self.strangers.has(vmid) || !self.orders.is_ours(vmid) {
                wrong.push(format!("{vmid} was cloned {times} times"));
            }
        }
        for (reference, times) in self.desk.notices("ready") {
            if times > 1 {
                wrong.push(format!("{reference}: {times} notices that it is ready"));
            }
        }
        self.log(&mut wrong);
        self.addresses(&mut wrong);
        wrong
    }

    /// What holds when every machine is ready or gone.
    pub(crate) async fn at_rest(&self) -> Vec<String> {
        let mut wrong = self.at_any_moment().await;
        let clones = self.cluster.counters().await.clones;
        let marks = marks(&self.cluster.state().await);
        let told = self.desk.notices("ready");
        let ended = self.desk.notices("terminated");
        for order in &self.orders.machines {
            let reference = &order.reference;
            let Some(row) = self.picture.machines.get(reference) else {
                // Taken away before it was ever ordered.
                if !self.gone.contains(reference) {
                    wrong.push(format!("{reference} was never ordered"));
                }
                continue;
            };
            let mine = marks.get(&row.key).cloned().unwrap_or_default();
            let found = if self.gone.contains(reference) {
                self.is_gone(row, &mine, ended.get(reference).copied().unwrap_or_default())
            } else {
                let mut found = is_ready(row, &mine, told.get(reference).copied().unwrap_or_default());
                if clones.get(&row.vmid) != Some(&1) {
                    found.push(format!("cloned {:?} times", clones.get(&row.vmid)));
                }
                if mine == [row.vmid] {
                    found.extend(Comparison::of(self.cluster, order, row).await);
                }
                found
            };
            if !found.is_empty() {
                wrong.extend(found.into_iter().map(|what| format!("{reference}: {what}")));
                wrong.push(row.story());
            }
        }
        if self.picture.notices_left > 0 {
            wrong.push(format!("{} notices were not delivered", self.picture.notices_left));
        }
        if self.picture.leased > 0 {
            wrong.push(format!("{} machines are still in hand", self.picture.leased));
        }
        self.numbers(&mut wrong);
        self.volumes(&mut wrong).await;
        self.pve_pool(&mut wrong).await;
        self.strangers.assert_untouched(self.cluster).await;
        wrong
    }

    fn is_gone(&self, row: &Row, machines: &[u32], notices: usize) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut same = |what: &str, good: bool| {
            if !good {
                wrong.push(what.to_owned());
            }
        };
        same("it is not terminated", row.step == "terminated");
        same("it is still there", machines.is_empty());
        same(
            "its number is not at rest",
            self.picture.numbers.iter().all(|(_, key, rests)| *key != row.key || *rests),
        );
        same("it holds addresses", row.addresses.is_empty());
        same("not exactly one notice that it is gone", notices == 1);
        same("its steps of termination", row.done("terminate") == TERMINATE);
        wrong
    }

    /// One `done` for each step, in order, however far it came.
    fn log(&self, wrong: &mut Vec<String>) {
        for (reference, row) in &self.picture.machines {
            for (operation, steps) in [("create", CREATE.as_slice()), ("terminate", TERMINATE.as_slice())] {
                let done = row.done(operation);
                if !steps.starts_with(&done) {
                    wrong.push(format!("{reference}: done of {operation}: {done:?}\n{}", row.story()));
                }
            }
        }
    }

    /// Every address that a pool may give is free, at rest, or held once.
    fn addresses(&self, wrong: &mut Vec<String>) {
        for pool in &self.picture.pools {
            if pool.free + pool.resting + pool.held != pool.usable {
                wrong.push(format!(
                    "pool {}: {} free, {} at rest and {} held of {}",
                    pool.name, pool.free, pool.resting, pool.held, pool.usable
                ));
            }
        }
        let mut holders: BTreeMap<_, Vec<&str>> = BTreeMap::new();
        for (reference, row) in &self.picture.machines {
            for (_, address) in &row.addresses {
                holders.entry(address).or_default().push(reference);
            }
        }
        for (address, holders) in holders.iter().filter(|(_, holders)| holders.len() > 1) {
            wrong.push(format!("{address} is held by {holders:?}"));
        }
    }

    /// Each living machine has its number, and nobody else has.
    fn numbers(&self, wrong: &mut Vec<String>) {
        let mut reserved = BTreeSet::new();
        for (vmid, _, _) in &self.picture.numbers {
            if !reserved.insert(vmid) || !self.orders.is_ours(*vmid) {
                wrong.push(format!("number {vmid} is reserved twice, or is none of ours"));
            }
        }
        for (reference, row) in self.picture.machines.iter().filter(|(name, _)| !self.gone.contains(*name)) {
            if !self.picture.numbers.contains(&(row.vmid, row.key.clone(), false)) {
                wrong.push(format!("{reference}: its number {} is not reserved for it", row.vmid));
            }
        }
    }

    /// In our range every machine is ours or a stranger's, and every volume is named by exactly one machine.
    async fn volumes(&self, wrong: &mut Vec<String>) {
        let mut named: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        let living = self.picture.machines.iter().filter(|(reference, _)| !self.gone.contains(*reference));
        let living: BTreeSet<u32> = living.map(|(_, row)| row.vmid).collect();
        let (mut volumes, nodes) = (BTreeSet::new(), self.cluster.list("/nodes").await);
        for node in nodes.iter().filter_map(|node| node["node"].as_str()) {
            for machine in self.cluster.list(&format!("/nodes/{node}/qemu")).await {
                let vmid = number(&machine["vmid"]);
                if self.orders.is_ours(vmid) && !living.contains(&vmid) && !self.strangers.has(vmid) {
                    wrong.push(format!("nobody's machine {vmid} on {node}"));
                }
                let config = self.cluster.get(&format!("/nodes/{node}/qemu/{vmid}/config")).await;
                for volume in drives(&config) {
                    named.entry(volume).or_default().push(vmid);
                }
            }
            for storage in self.cluster.list(&format!("/nodes/{node}/storage")).await {
                let Some(storage) = storage["storage"].as_str() else { continue };
                for volume in self.cluster.list(&format!("/nodes/{node}/storage/{storage}/content")).await {
                    let owner = volume.get("vmid").map(number).filter(|vmid| self.orders.is_ours(*vmid));
                    if let (Some(owner), Some(volid)) = (owner, volume["volid"].as_str()) {
                        // A shared storage shows the same on every node.
                        volumes.insert((owner, volid.to_owned(), volume["content"] == "images"));
                    }
                }
            }
        }
        for (owner, volid, is_image) in volumes {
            let by = named.get(&volid).map(Vec::as_slice).unwrap_or_default();
            // What could not be looked for stays, and its machine goes on all the same; that is said.
            let is_expected = if is_image {
                by == [owner] || (self.killed.contains(&owner) && self.is_unsure(owner))
            } else {
                self.strangers.has(owner) || self.desk.said("not looked at", owner)
            };
            if !is_expected {
                wrong.push(format!("{volid} of {owner} is named by {by:?}"));
            }
        }
        for (volid, by) in named.iter().filter(|(_, by)| by.len() > 1) {
            wrong.push(format!("{volid} is named by {by:?}"));
        }
    }

    /// Whether the log says that nobody knows whether a killed task left volumes behind.
    fn is_unsure(&self, vmid: u32) -> bool {
        let says = |row: &Row| row.story().contains("it is not known whether volumes are left behind");
        self.picture.machines.values().any(|row| row.vmid == vmid && says(row))
    }

    /// The members of the PVE pool are those that were ordered into it.
    async fn pve_pool(&self, wrong: &mut Vec<String>) {
        let pool = self.cluster.get("/pools/demo").await;
        let members = pool["members"].as_array().into_iter().flatten();
        let mut members: Vec<u32> = members.map(|member| number(&member["vmid"])).collect();
        let ordered = self.orders.machines.iter().filter(|order| order.pve_pool.is_some());
        let mut ordered: Vec<u32> = ordered
            .filter(|order| !self.gone.contains(&order.reference))
            .filter_map(|order| Some(self.picture.machines.get(&order.reference)?.vmid))
            .collect();
        members.sort_unstable();
        ordered.sort_unstable();
        if members != ordered {
            wrong.push(format!("in the PVE pool are {members:?}, ordered {ordered:?}"));
        }
    }
}

fn is_ready(row: &Row, machines: &[u32], notices: usize) -> Vec<String> {
    let mut wrong = Vec::new();
    if row.step != "ready" || row.attention.is_some() {
        wrong.push(format!("it is at {} ({:?})", row.step, row.attention));
    }
    if machines != [row.vmid] {
        wrong.push(format!("its mark is on {machines:?}, its number is {}", row.vmid));
    }
    if notices != 1 {
        wrong.push(format!("{notices} notices that it is ready"));
    }
    if row.done("create") != CREATE {
        wrong.push("not every step is done".to_owned());
    }
    wrong
}

/// The machines that carry each mark.
fn marks(state: &Value) -> BTreeMap<String, Vec<u32>> {
    let mut marks: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for (vmid, machine) in state["vms"].as_object().into_iter().flatten() {
        let notes = machine["config"]["description"].as_str().unwrap_or_default();
        for key in notes.lines().filter_map(|line| line.strip_prefix("pve-deploy: ")) {
            marks.entry(key.to_owned()).or_default().push(vmid.parse().expect("a number"));
        }
    }
    marks
}

/// The volumes that a configuration names.
fn drives(config: &Value) -> impl Iterator<Item = String> {
    let settings = config.as_object().into_iter().flatten();
    let drives = settings.filter(|(key, _)| {
        let word = key.trim_end_matches(|c: char| c.is_ascii_digit());
        word != *key && ["scsi", "ide", "sata", "virtio", "efidisk", "tpmstate", "unused"].contains(&word)
    });
    let volumes = drives.filter_map(|(_, value)| value.as_str()?.split(',').next().map(str::to_owned));
    volumes.filter(|volume| volume.contains(':'))
}

fn number(value: &Value) -> u32 {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    text.parse().unwrap_or_else(|_| panic!("no number: {value}"))
}
