use http::Method;
use serde::Deserialize;

use super::cluster::tags;
use super::power::RunState;
use crate::client::Client;
use crate::error::ApiError;
use crate::lenient;
use crate::params::Params;
use crate::path::ApiPath;
use crate::property::Tags;
use crate::timeouts::Pace;

/// A node in the list of nodes. Sizes need Sys.Audit on the node.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct NodeInfo {
    /// Its name.
    pub node: String,
    /// `online`, `offline` or `unknown`.
    #[serde(default)]
    pub status: String,
    /// The SHA-256 fingerprint of its certificate.
    #[serde(default)]
    pub ssl_fingerprint: Option<String>,
    /// Its CPUs.
    #[serde(default, deserialize_with = "lenient::opt_number")]
    pub maxcpu: Option<u32>,
    /// Its CPU usage, from 0 to 1.
    #[serde(default, deserialize_with = "lenient::opt_number")]
    pub cpu: Option<f64>,
    /// Its memory in bytes.
    #[serde(default, deserialize_with = "lenient::opt_number")]
    pub maxmem: Option<u64>,
    /// The memory in use, in bytes.
    #[serde(default, deserialize_with = "lenient::opt_number")]
    pub mem: Option<u64>,
}

impl NodeInfo {
    /// True if it is a live member of the cluster.
    pub fn is_online(&self) -> bool {
        self.status == "online"
    }
}

/// A machine in the list of one node. Live, not from statistics.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct NodeVm {
    /// The VMID.
    #[serde(deserialize_with = "lenient::number")]
    pub vmid: u32,
    /// Whether its process runs.
    #[serde(default)]
    pub status: RunState,
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
    /// What it is locked by.
    #[serde(default)]
    pub lock: Option<String>,
    /// True for a template.
    #[serde(default, deserialize_with = "lenient::flag")]
    pub template: bool,
    /// Its tags.
    #[serde(default, deserialize_with = "tags")]
    pub tags: Tags,
    /// Its CPUs.
    #[serde(default, deserialize_with = "lenient::opt_number")]
    pub cpus: Option<f64>,
    /// Its memory in bytes.
    #[serde(default, deserialize_with = "lenient::opt_number")]
    pub maxmem: Option<u64>,
    /// How long it has run, in seconds.
    #[serde(default, deserialize_with = "lenient::opt_number")]
    pub uptime: Option<u64>,
}

impl Client {
    /// The nodes of the cluster.
    ///
    /// PVE API viewer: `GET /nodes`.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn nodes(&self) -> Result<Vec<NodeInfo>, ApiError> {
        self.call(Method::GET, ApiPath::join(["nodes"]), &Params::new(), Pace::Read).await
    }

    /// The machines of one node that we may see (VM.Audit).
    ///
    /// PVE API viewer: `GET /nodes/{node}/qemu`.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn node_vms(&self, node: &str) -> Result<Vec<NodeVm>, ApiError> {
        self.call(Method::GET, ApiPath::of_node(node, &["qemu"]), &Params::new(), Pace::Read).await
    }
}
