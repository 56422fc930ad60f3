//! What the simulator saw and holds, asked over its own side channel: the same for both places it may be in.

use super::Simulator;
use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

/// What was asked of the cluster since it was started.
#[derive(Debug, Deserialize)]
pub(crate) struct Counters {
    /// Requests by method and path.
    pub(crate) requests: BTreeMap<String, u64>,
    /// Successful clones by the number they made.
    pub(crate) clones: BTreeMap<u32, u64>,
    /// Injected faults by kind.
    pub(crate) faults: BTreeMap<String, u64>,
}

/// What is there of our machines.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Inspection {
    /// By number.
    pub(crate) machines: BTreeMap<u32, Found>,
}

/// One machine, or what is left of it.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Found {
    /// Its node; `None` where there is no machine of this number.
    pub(crate) node: Option<String>,
    /// Its volumes.
    pub(crate) volumes: Vec<String>,
    /// The comments of its firewall rules.
    pub(crate) firewall_rules: Vec<String>,
    /// The members of its IP sets.
    pub(crate) ip_sets: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
struct State {
    vms: BTreeMap<u32, Vm>,
    volumes: Vec<Volume>,
    firewalls: BTreeMap<u32, Firewall>,
}

#[derive(Deserialize)]
struct Vm {
    node: String,
}

#[derive(Deserialize)]
struct Volume {
    volid: String,
    owner: Option<u32>,
}

#[derive(Deserialize)]
struct Firewall {
    ipsets: BTreeMap<String, Vec<String>>,
    rules: Vec<BTreeMap<String, serde_json::Value>>,
}

impl Simulator {
    /// What was asked of it.
    pub(crate) async fn counters(&self) -> anyhow::Result<Counters> {
        self.get("/sim/counters").await
    }

    /// What it holds of machines with these numbers.
    pub(crate) async fn inspect(&self, ours: impl Fn(u32) -> bool) -> anyhow::Result<Inspection> {
        let State { vms, volumes, firewalls } = self.get("/sim/state").await?;
        let mut machines: BTreeMap<u32, Found> = BTreeMap::new();
        for (vmid, vm) in vms.into_iter().filter(|(vmid, _)| ours(*vmid)) {
            machines.entry(vmid).or_default().node = Some(vm.node);
        }
        for (owner, volume) in
            volumes.into_iter().filter_map(|v| Some((v.owner?, v.volid))).filter(|v| ours(v.0))
        {
            machines.entry(owner).or_default().volumes.push(volume);
        }
        for (vmid, firewall) in firewalls.into_iter().filter(|(vmid, f)| ours(*vmid) && !f.is_empty()) {
            let found = machines.entry(vmid).or_default();
            found.firewall_rules = firewall.comments();
            found.ip_sets = firewall.ipsets;
        }
        Ok(Inspection { machines })
    }

    /// Changes its faults from now on.
    pub(super) async fn set_faults(&self, rate: f64) -> anyhow::Result<()> {
        let body = serde_json::json!({ "rate": rate }).to_string();
        let request = self.http()?.put(format!("{}/sim/faults", self.address().url)).body(body);
        request.send().await?.error_for_status().context("the simulated cluster does not take its faults")?;
        Ok(())
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let url = format!("{}{path}", self.address().url);
        let body = self.http()?.get(&url).send().await?.error_for_status()?.bytes().await?;
        serde_json::from_slice(&body).with_context(|| format!("{url} gave an answer that is not understood"))
    }

    fn http(&self) -> anyhow::Result<reqwest::Client> {
        let certificate = reqwest::Certificate::from_pem(self.address().ca_pem.as_bytes())?;
        let builder = reqwest::Client::builder().tls_certs_only([certificate]).no_proxy();
        Ok(builder.timeout(Duration::from_secs(10)).build()?)
    }
}

impl Firewall {
    fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.ipsets.is_empty()
    }

    fn comments(&self) -> Vec<String> {
        let comment = |rule: &BTreeMap<String, serde_json::Value>| {
            rule.get("comment").and_then(|text| text.as_str()).unwrap_or_default().to_owned()
        };
        self.rules.iter().map(comment).collect()
    }
}
