//! A machine as record and cluster show it.

use crate::engine::Engine;
use anyhow::Context as _;
use deploy_core::{VmKey, VmRecord};
use ip_pool::Pools;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// A machine as record and cluster show it at one moment.
#[derive(Debug, Clone)]
pub struct Scene {
    /// The record.
    pub record: VmRecord,
    /// Whether it runs, as PVE says it; `None` where there is no machine.
    pub power: Option<String>,
    /// The node it is on.
    pub node: Option<String>,
    /// Its configuration, as PVE keeps it.
    pub config: BTreeMap<String, String>,
    /// What of its configuration waits for its next start.
    pub pending: BTreeMap<String, String>,
    /// How many addresses each pool has to give.
    pub free: BTreeMap<String, u128>,
    /// Its firewall's options.
    pub firewall: BTreeMap<String, String>,
    /// Its firewall's rules.
    pub rules: Vec<Value>,
    /// The addresses that its firewall lets it send from.
    pub allowed: Vec<String>,
    /// Its snapshots.
    pub snapshots: Vec<String>,
    /// Its backups, by their volumes.
    pub backups: Vec<String>,
    /// The addresses that a name server has for its name.
    pub names: Vec<String>,
}

impl Scene {
    /// Of a machine that was never there.
    pub(super) async fn nothing(engine: &Engine, key: VmKey) -> anyhow::Result<Self> {
        let record = engine.deployments.status(key).await?.context("no record")?;
        let pools = Pools::new(Arc::clone(&engine.store)).list().await?;
        let free = pools.into_iter().map(|usage| (usage.pool.name.to_string(), usage.free)).collect();
        Ok(Self {
            record,
            power: None,
            node: None,
            config: BTreeMap::new(),
            pending: BTreeMap::new(),
            free,
            firewall: BTreeMap::new(),
            rules: Vec::new(),
            allowed: Vec::new(),
            snapshots: Vec::new(),
            backups: Vec::new(),
            names: Vec::new(),
        })
    }

    /// The record's, and what the simulated cluster has of it at this moment.
    pub(super) async fn of(engine: &Engine, key: VmKey, cluster: &Value) -> anyhow::Result<Self> {
        let mut scene = Self::nothing(engine, key).await?;
        let vmid = scene.record.numbered.vmid.to_string();
        let number = u64::from(scene.record.numbered.vmid.get());
        let volumes = cluster["volumes"].as_array().into_iter().flatten();
        let ours = volumes
            .filter(|volume| volume["content"] == "backup" && volume["owner"].as_u64() == Some(number))
            .map(|volume| text(&volume["volid"]));
        scene.backups = ours.collect();
        let Some(machine) = cluster["vms"].get(&vmid) else { return Ok(scene) };
        let firewall = &cluster["firewalls"][&vmid];
        scene.power = machine["status"].as_str().map(str::to_owned);
        scene.node = machine["node"].as_str().map(str::to_owned);
        (scene.config, scene.pending) = (options(&machine["config"]), options(&machine["pending"]));
        scene.snapshots = list(&machine["snapshots"]);
        scene.firewall = options(&firewall["options"]);
        scene.rules = firewall["rules"].as_array().cloned().unwrap_or_default();
        scene.allowed = list(&firewall["ipsets"]["ipfilter-net0"]);
        Ok(scene)
    }

    /// Whether PVE is at work on it.
    pub(super) fn is_locked(&self) -> bool {
        self.config.contains_key("lock")
    }

    /// What is another than it was, in words, a line each.
    pub fn changed_since(&self, before: &Self) -> Vec<String> {
        let (before, now) = (before.facts(), self.facts());
        let names: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
        let gone = self.power.is_none() && before.contains_key("power");
        let differs = |name: &&String| {
            before.get(*name) != now.get(*name)
                && (!gone || OUTLIVE.iter().any(|fact| name.starts_with(fact)))
        };
        let line = |name: &String| match (before.get(name), now.get(name)) {
            (Some(_), Some(_)) if SECRET.contains(&name.as_str()) => format!("{name}: another"),
            (None, Some(_)) if SECRET.contains(&name.as_str()) => format!("{name}: set"),
            (Some(was), Some(is)) => format!("{name}: {was} → {is}"),
            (None, Some(is)) => format!("{name}: {is}"),
            (_, None) => format!("{name}: gone"),
        };
        let machine = gone.then(|| "machine: gone".to_owned());
        machine.into_iter().chain(names.into_iter().filter(differs).map(line)).collect()
    }

    /// What is worth telling, by name.
    fn facts(&self) -> BTreeMap<String, String> {
        let record = &self.record;
        let mut facts: BTreeMap<String, String> = TOLD
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), self.config.get(*name)?.clone())))
            .collect();
        let smbios = self.config.get("smbios1").cloned();
        let password = record.spec.cloud_init.as_ref().and_then(|told| told.password.as_ref());
        let more = [
            ("step", Some(record.step.to_string())),
            ("power", self.power.clone()),
            ("node", self.node.clone()),
            ("template", self.config.get("scsi0").and_then(|disk| base(disk))),
            (
                "firewall",
                self.firewall.get("enable").map(|on| if on == "1" { "on" } else { "off" }.to_owned()),
            ),
            ("identity", smbios),
            ("password", password.map(|hash| hash.expose().to_owned())),
            ("held", record.life.held.then(|| "by an operator".to_owned())),
            ("snapshots", (!self.snapshots.is_empty()).then(|| self.snapshots.join(", "))),
            ("backups", (!self.backups.is_empty()).then(|| self.backups.len().to_string())),
        ];
        facts.extend(more.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        let own: Vec<String> = record.addresses.iter().map(|held| held.address.to_string()).collect();
        let taken = |address| if self.names.contains(address) { "taken, in DNS" } else { "taken" };
        facts.extend(own.iter().map(|address| (format!("address {address}"), taken(address).to_owned())));
        let foreign = self.allowed.iter().filter(|address| !own.contains(address));
        facts.extend(foreign.map(|address| (format!("sends from {address}"), "possible".to_owned())));
        facts.extend(
            self.pending.keys().map(|name| (format!("{name} from its next start"), "set".to_owned())),
        );
        let rate = self
            .config
            .get("net0")
            .and_then(|nic| nic.split(',').find_map(|option| option.strip_prefix("rate=")));
        facts.extend(rate.map(|rate| ("MiB/s of net0".to_owned(), rate.to_owned())));
        for (name, value) in &self.config {
            if name.starts_with("scsi") && name != "scsihw" {
                let size = value.split(',').find_map(|option| option.strip_prefix("size="));
                let limit = value.split(',').find_map(|option| option.strip_prefix("mbps_wr="));
                let limit = limit.map_or_else(String::new, |limit| format!(", {limit} MiB/s"));
                facts.insert(name.clone(), format!("{}{limit}", size.unwrap_or(value)));
            }
        }
        facts
    }
}

/// What of the configuration is told as it is.
const TOLD: &[&str] = &["cores", "memory", "onboot", "tags", "ciuser"];

/// What is told without its value.
const SECRET: &[&str] = &["identity", "password"];

/// What is told of a machine that is gone.
const OUTLIVE: &[&str] = &["step", "address", "backups"];

/// The template that a disk lies over: `shared:9000/base-9000-disk-0.qcow2/1000/vm-1000-disk-0.qcow2`.
fn base(disk: &str) -> Option<String> {
    let (_, base) = disk.split_once("/base-")?;
    base.split('-').next().map(str::to_owned)
}

fn options(object: &Value) -> BTreeMap<String, String> {
    object.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), text(value))).collect()
}

fn list(array: &Value) -> Vec<String> {
    let mut list: Vec<String> = array.as_array().into_iter().flatten().map(text).collect();
    list.sort();
    list
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
