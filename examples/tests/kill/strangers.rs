//! Machines that are not ours, inside of our range of numbers and outside of it.

use crate::{cluster::Cluster, orders::FIRST, picture::Picture};
use proxmox_api::Params;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Strangers, and what they were when they were made.
pub(crate) struct Strangers(BTreeMap<u32, Value>);

/// A stranger that another panel of ours, with another database, might have made.
const MARKED: &str = "pve-deploy: 0198f3a2-7c1e-7d43-9c55-3f6a0c2d9b11";

impl Strangers {
    /// Makes them: two inside of our range, two outside.
    pub(crate) async fn settle(cluster: &Cluster) -> Self {
        let mut strangers = Self(BTreeMap::new());
        for (vmid, node, notes) in [
            (150, "pve1", "billing"),
            (FIRST + 3, "pve2", "somebody else's"),
            (FIRST + 6, "pve1", MARKED),
            (FIRST + 5000, "pve3", ""),
        ] {
            let machine = format!("/nodes/{node}/qemu");
            let created = cluster.post(&machine, &Self::machine(vmid, notes)).await;
            cluster.done(&created).await;
            strangers.furnish(cluster, &format!("{machine}/{vmid}")).await;
            let backup = json!({ "vmid": vmid, "storage": "shared", "node": node, "size": 4096 });
            cluster.switch(json!({ "switch": "add-backup", "backup": backup })).await;
            strangers.0.insert(vmid, Self::look(cluster, vmid, node).await);
        }
        strangers
    }

    fn machine(vmid: u32, notes: &str) -> Params {
        Params::new()
            .set("vmid", vmid)
            .set("name", format!("stranger-{vmid}"))
            .set("memory", 2048)
            .set("scsi0", "shared:4")
            .set("net0", "virtio,bridge=vmbr0,firewall=1")
            .set("description", notes)
    }

    async fn furnish(&self, cluster: &Cluster, machine: &str) {
        let firewall = format!("{machine}/firewall");
        cluster.put(&format!("{firewall}/options"), &Params::new().flag("enable", true)).await;
        cluster.post(&format!("{firewall}/ipset"), &Params::new().set("name", "ipfilter-net0")).await;
        let member = Params::new().set("cidr", "192.0.2.77");
        cluster.post(&format!("{firewall}/ipset/ipfilter-net0"), &member).await;
        for port in ["22", "443"] {
            let rule = Params::new().set("type", "in").set("action", "ACCEPT").set("proto", "tcp");
            let rule = rule.set("dport", port).flag("enable", true);
            cluster.post(&format!("{firewall}/rules"), &rule).await;
        }
        let started = cluster.post(&format!("{machine}/status/start"), &Params::new()).await;
        cluster.done(&started).await;
    }

    /// Takes the number of a machine of ours that was not asked for yet, if there is one; says so.
    pub(crate) async fn intrude(&mut self, cluster: &Cluster, picture: &Picture) -> bool {
        // Nothing was sent for this one. Where other workers live, one may be just about to: whoever comes first has it.
        let untried = |step: &str, progress: &Value| {
            ["creation", "set_ip", "clone"].contains(&step) && progress["state"] == "untried"
        };
        let Some(row) = picture.machines.values().rfind(|row| untried(&row.step, &row.progress)) else {
            return false;
        };
        let machine = Self::machine(row.vmid, "was here first");
        let Ok(created) = cluster.try_post("/nodes/pve3/qemu", &machine).await else { return false };
        if !cluster.ended_well(&created).await {
            return false;
        }
        self.0.insert(row.vmid, Self::look(cluster, row.vmid, "pve3").await);
        true
    }

    pub(crate) fn has(&self, vmid: u32) -> bool {
        self.0.contains_key(&vmid)
    }

    /// Asserts that they are, byte for byte, what they were.
    pub(crate) async fn assert_untouched(&self, cluster: &Cluster) {
        for (vmid, before) in &self.0 {
            let node = before["node"].as_str().expect("a node");
            assert_eq!(Self::look(cluster, *vmid, node).await, *before, "stranger {vmid} is not what it was");
        }
    }

    /// Everything there is to see of one, through the API and past it.
    async fn look(cluster: &Cluster, vmid: u32, node: &str) -> Value {
        let machine = format!("/nodes/{node}/qemu/{vmid}");
        let mut seen = serde_json::Map::new();
        for path in ["config", "pending", "firewall/options", "firewall/rules", "firewall/ipset"] {
            seen.insert(path.to_owned(), cluster.get(&format!("{machine}/{path}")).await);
        }
        let sets: Vec<String> = seen["firewall/ipset"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(|set| Some(format!("firewall/ipset/{}", set["name"].as_str()?)))
            .collect();
        for path in sets {
            seen.insert(path.clone(), cluster.get(&format!("{machine}/{path}")).await);
        }
        let state = cluster.state().await;
        let owned = |volume: &&Value| volume["owner"] == vmid;
        let volumes: Vec<_> = state["volumes"].as_array().expect("a list").iter().filter(owned).collect();
        seen.insert("volumes".to_owned(), json!(volumes));
        seen.insert("machine".to_owned(), state["vms"][vmid.to_string()].clone());
        seen.insert("firewall".to_owned(), state["firewalls"][vmid.to_string()].clone());
        seen.insert("node".to_owned(), json!(node));
        Value::Object(seen)
    }
}
