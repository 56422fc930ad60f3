//! A machine as record and cluster show it.

use crate::engine::Engine;
use anyhow::Context as _;
use deploy_core::{VmKey, VmRecord};
use ip_pool::Pools;
use proxmox_api::{Client, Params};
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
    /// Its configuration, as PVE answers it.
    pub config: BTreeMap<String, String>,
    /// How many addresses each pool has to give.
    pub free: BTreeMap<String, u128>,
    /// The addresses that its firewall lets it send from.
    pub allowed: Vec<String>,
    /// Its snapshots.
    pub snapshots: Vec<String>,
    /// Its backups, by their volumes.
    pub backups: Vec<String>,
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
            config: BTreeMap::new(),
            free,
            allowed: Vec::new(),
            snapshots: Vec::new(),
            backups: Vec::new(),
        })
    }

    /// Asks record and cluster.
    pub(super) async fn of(engine: &Engine, key: VmKey, client: &Client) -> anyhow::Result<Self> {
        let mut scene = Self::nothing(engine, key).await?;
        let (vmid, node) = (scene.record.numbered.vmid, scene.record.node.clone());
        let ask_for = async |path: &str, params: Params| -> anyhow::Result<Value> {
            client.get(path, &params).await.with_context(|| path.to_owned())
        };
        let ask = async |path: &str| ask_for(path, Params::new()).await;
        let ours = Params::new().set("content", "backup").set("vmid", vmid);
        let stored = ask_for(&format!("/nodes/{node}/storage/shared/content"), ours).await?;
        scene.backups = listed(&stored, "volid");
        let guests = ask_for("/cluster/resources", Params::new().set("type", "vm")).await?;
        let is_it = |guest: &Value| guest["vmid"] == vmid.get();
        if !guests.as_array().is_some_and(|guests| guests.iter().any(is_it)) {
            return Ok(scene);
        }
        let machine = format!("/nodes/{node}/qemu/{vmid}");
        scene.power = ask(&format!("{machine}/status/current")).await?["status"].as_str().map(str::to_owned);
        let config = ask(&format!("{machine}/config")).await?;
        scene.config =
            config.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), text(value))).collect();
        scene.snapshots = listed(&ask(&format!("{machine}/snapshot")).await?, "name");
        scene.snapshots.retain(|name| name != "current");
        scene.allowed = listed(&ask(&format!("{machine}/firewall/ipset/ipfilter-net0")).await?, "cidr");
        Ok(scene)
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
            ("identity", smbios),
            ("password", password.map(|hash| hash.expose().to_owned())),
            ("held", record.life.held.then(|| "by an operator".to_owned())),
            ("snapshots", (!self.snapshots.is_empty()).then(|| self.snapshots.join(", "))),
            ("backups", (!self.backups.is_empty()).then(|| self.backups.len().to_string())),
        ];
        facts.extend(more.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        facts.extend(
            record.addresses.iter().map(|held| (format!("address {}", held.address), "taken".to_owned())),
        );
        let rate = self
            .config
            .get("net0")
            .and_then(|nic| nic.split(',').find_map(|option| option.strip_prefix("rate=")));
        facts.extend(rate.map(|rate| ("MiB/s of net0".to_owned(), rate.to_owned())));
        for (name, value) in &self.config {
            if name.starts_with("scsi") && name != "scsihw" {
                let size = value.split(',').find_map(|option| option.strip_prefix("size="));
                facts.insert(name.clone(), size.unwrap_or(value).to_owned());
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

fn listed(answer: &Value, field: &str) -> Vec<String> {
    let mut list: Vec<String> = answer
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|item| item[field].as_str().map(str::to_owned))
        .collect();
    list.sort();
    list
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
