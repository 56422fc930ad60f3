//! What a simulated cluster is made of.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::faults::Faults;
use crate::timing::Durations;
use crate::version::Version;

/// Everything a [`Cluster`](crate::Cluster) is built from. Deserialisable, so that a file can say it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClusterConfig {
    /// Name of the cluster.
    pub name: String,
    /// Release to imitate.
    pub version: Version,
    /// Source of all randomness: MAC addresses, UUIDs, jitter, faults.
    pub seed: u64,
    /// Unix time at the cluster's time zero. The server fills it in when it is 0.
    pub epoch: u64,
    /// Node names.
    pub nodes: Vec<String>,
    /// Processors of every node; no machine may have more.
    pub node_cpus: u64,
    /// What every NIC of a running machine receives and sends all the time.
    pub nic_traffic: NicTraffic,
    /// Whether an HA manager runs. Without one the wishes of HA calls are only recorded.
    pub ha_manager: bool,
    /// Whether the cluster's firewall is on.
    pub firewall: bool,
    /// Bridges, present on every node.
    pub bridges: Vec<String>,
    /// Storages.
    pub storages: Vec<StorageConfig>,
    /// Templates.
    pub templates: Vec<TemplateConfig>,
    /// Backups that exist from the start.
    pub backups: Vec<BackupConfig>,
    /// Resource pools.
    pub pools: Vec<String>,
    /// API tokens. The first is the one shown by the server.
    pub tokens: Vec<TokenConfig>,
    /// Password of root@pam, for tickets.
    pub root_password: String,
    /// How long things take.
    pub durations: Durations,
    /// Seconds by which every 401 is delayed.
    pub unauthorized_delay: f64,
    /// Seconds that the answer to a request that reads (GET) takes on the way. It keeps no worker of a daemon busy.
    pub read_latency: f64,
    /// Seconds that the answer to a request that writes takes on the way. It keeps no worker of a daemon busy.
    pub write_latency: f64,
    /// Seconds after which a proxying hop gives up (596) while the handler goes on.
    pub proxy_timeout: f64,
    /// Workers of each node's daemon, three on a real one. A call that waits, for a lock for example, keeps one
    /// busy, and when all are, everything else that the daemon does waits too. 0: calls never wait for a worker.
    pub daemon_workers: usize,
    /// How many finished tasks are remembered. Older ones are unknown, as after a rotation.
    pub task_history: usize,
    /// How many of the latest requests are remembered for a look at them. 0 saves the time that it takes.
    pub request_history: usize,
    /// Injected faults.
    pub faults: Faults,
}

/// Bytes a second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NicTraffic {
    /// That the guest receives.
    pub received: u64,
    /// That the guest sends.
    pub sent: u64,
}

/// A storage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StorageConfig {
    /// Storage id.
    pub name: String,
    /// What it is made of.
    pub kind: StorageKind,
    /// Whether all nodes see the same volumes.
    #[serde(default)]
    pub shared: bool,
    /// Content types.
    #[serde(default = "images")]
    pub content: Vec<String>,
    /// Capacity in GiB.
    #[serde(default = "sixteen_tebibytes")]
    pub size_gib: u64,
}

/// Kind of a storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StorageKind {
    /// Directory: files, linked clones of qcow2 images.
    Dir,
    /// LVM-thin: raw volumes, linked clones as snapshots.
    LvmThin,
}

/// A template with one system disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplateConfig {
    /// VMID.
    pub vmid: u32,
    /// Name.
    pub name: String,
    /// Node it lives on.
    pub node: String,
    /// Storage of its disk.
    pub storage: String,
    /// Size of the disk in GiB.
    pub size_gib: u64,
    /// Whether the image contains the guest agent (and the option is on).
    #[serde(default)]
    pub agent: bool,
    /// Bridges of its network devices.
    #[serde(default = "first_bridge")]
    pub nics: Vec<String>,
    /// Whether it has a cloud-init drive (ide2).
    #[serde(default = "yes")]
    pub cloud_init: bool,
}

/// A backup lying on a storage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupConfig {
    /// The machine it is of.
    pub vmid: u32,
    /// Storage.
    pub storage: String,
    /// Node, for a storage that is not shared.
    #[serde(default)]
    pub node: String,
    /// Size in bytes.
    #[serde(default)]
    pub size: u64,
    /// Whether it is protected from deletion.
    #[serde(default)]
    pub protected: bool,
    /// The options of the machine that it was made of. Without any nothing can be read out of it.
    #[serde(default)]
    pub config: BTreeMap<String, String>,
}

/// An API token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenConfig {
    /// `user@realm!name`.
    pub id: String,
    /// The secret.
    pub secret: String,
    /// Its rights; without them it may do everything.
    #[serde(default)]
    pub grants: Option<Vec<Grant>>,
}

impl TokenConfig {
    /// The text that follows `PVEAPIToken=`.
    pub fn credential(&self) -> String {
        format!("{}={}", self.id, self.secret)
    }
}

/// Privileges on a path and on everything below it. As with roles, what is granted on a deeper path
/// takes the place of what comes from above.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Path, `/` for everything.
    pub path: String,
    /// Privileges.
    pub privileges: Vec<String>,
}

impl Default for ClusterConfig {
    fn default() -> Self {
        Self::demo()
    }
}

impl ClusterConfig {
    /// Three nodes, local and shared storages, three templates: enough to try everything.
    pub fn demo() -> Self {
        let template =
            |vmid, name: &str, node: &str, storage: &str, size_gib, agent, nics: &[&str]| TemplateConfig {
                vmid,
                name: name.to_owned(),
                node: node.to_owned(),
                storage: storage.to_owned(),
                size_gib,
                agent,
                nics: nics.iter().map(|&nic| nic.to_owned()).collect(),
                cloud_init: true,
            };
        Self {
            name: "demo".to_owned(),
            version: Version::V9_2,
            seed: 1,
            epoch: 0,
            nodes: ["pve1", "pve2", "pve3"].map(str::to_owned).to_vec(),
            node_cpus: 16,
            nic_traffic: NicTraffic::default(),
            ha_manager: true,
            firewall: true,
            bridges: ["vmbr0", "vmbr1"].map(str::to_owned).to_vec(),
            storages: vec![
                StorageConfig::new(
                    "local",
                    StorageKind::Dir,
                    false,
                    &["iso", "vztmpl", "snippets", "backup"],
                ),
                StorageConfig::new("local-lvm", StorageKind::LvmThin, false, &["images", "rootdir"]),
                StorageConfig::new("shared", StorageKind::Dir, true, &["images", "snippets", "backup"]),
            ],
            templates: vec![
                template(9000, "debian-13", "pve1", "shared", 2, true, &["vmbr0"]),
                template(9001, "debian-13-local", "pve2", "local-lvm", 3, false, &["vmbr0"]),
                template(9002, "debian-13-two-nics", "pve1", "shared", 2, true, &["vmbr0", "vmbr1"]),
            ],
            backups: Vec::new(),
            pools: Vec::new(),
            tokens: vec![TokenConfig {
                id: "root@pam!sim".to_owned(),
                secret: "5f3c9a1e-7d42-4c8b-9e60-2b1d8f4a7c35".to_owned(),
                grants: None,
            }],
            root_password: "simulated".to_owned(),
            durations: Durations::default(),
            unauthorized_delay: 3.0,
            read_latency: 0.0,
            write_latency: 0.0,
            proxy_timeout: 30.0,
            daemon_workers: 0,
            task_history: 5000,
            request_history: 2000,
            faults: Faults::none(),
        }
    }

    /// The demo cluster for tests: 401 answers come at once.
    pub fn quick() -> Self {
        Self { unauthorized_delay: 0.0, ..Self::demo() }
    }
}

impl StorageConfig {
    /// A storage of sixteen tebibytes.
    pub fn new(name: &str, kind: StorageKind, shared: bool, content: &[&str]) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            shared,
            content: content.iter().map(|&c| c.to_owned()).collect(),
            size_gib: sixteen_tebibytes(),
        }
    }
}

fn images() -> Vec<String> {
    vec!["images".to_owned()]
}

fn sixteen_tebibytes() -> u64 {
    16 * 1024
}

fn first_bridge() -> Vec<String> {
    vec!["vmbr0".to_owned()]
}

fn yes() -> bool {
    true
}
