use http::Method;
use serde::de::{Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::power::RunState;
use crate::client::Client;
use crate::error::ApiError;
use crate::lenient;
use crate::params::Params;
use crate::path::ApiPath;
use crate::property::Tags;
use crate::timeouts::Pace;

/// The state of the cluster's membership, a few seconds old at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterStatus {
    /// The cluster's name; `None` for a node that stands alone.
    pub name: Option<String>,
    /// False while the node that was asked has no quorum and its configuration is read-only.
    pub quorate: bool,
    /// The members.
    pub nodes: Vec<ClusterNode>,
}

/// A member of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterNode {
    /// Its name.
    pub name: String,
    /// True while it is a live member.
    pub online: bool,
    /// Its address in the cluster network.
    pub ip: Option<String>,
    /// True for the node that was asked.
    pub local: bool,
}

/// Whether a VMID is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VmidState {
    /// No machine or container of the cluster has it.
    Free,
    /// One has it, even if its configuration was only just begun.
    Taken,
}

/// One guest in the list of the whole cluster.
///
/// `node`, `lock`, `tags` and the guest's existence are current. `status`, `name` and sizes are up to 10 s old: a new
/// guest has no name and the status [`RunState::Unknown`], and one whose VMID was used before shows its predecessor's.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct VmResource {
    /// The VMID.
    #[serde(deserialize_with = "lenient::number")]
    pub vmid: u32,
    /// Where it is.
    pub node: String,
    /// `qemu` or `lxc`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it ran when the statistics were made.
    #[serde(default)]
    pub status: RunState,
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
    /// What it is locked by.
    #[serde(default)]
    pub lock: Option<String>,
    /// Its tags.
    #[serde(default, deserialize_with = "tags")]
    pub tags: Tags,
    /// The pool it is in, if we may see that.
    #[serde(default)]
    pub pool: Option<String>,
    /// True for a template.
    #[serde(default, deserialize_with = "lenient::flag")]
    pub template: bool,
    /// What the HA manager makes of it.
    #[serde(default)]
    pub hastate: Option<String>,
    /// How long it has run, in seconds.
    #[serde(default, deserialize_with = "lenient::opt_number")]
    pub uptime: Option<u64>,
    /// Its CPUs.
    #[serde(default, deserialize_with = "lenient::opt_number")]
    pub maxcpu: Option<f64>,
    /// Its memory in bytes.
    #[serde(default, deserialize_with = "lenient::opt_number")]
    pub maxmem: Option<u64>,
    /// Its CPU usage, 1.0 being all of its CPUs.
    #[serde(default, deserialize_with = "lenient::opt_number")]
    pub cpu: Option<f64>,
    /// The memory it uses, in bytes.
    #[serde(default, deserialize_with = "lenient::opt_number")]
    pub mem: Option<u64>,
    /// What its NICs have received since it was started, in bytes.
    #[serde(default, deserialize_with = "lenient::opt_number")]
    pub netin: Option<u64>,
    /// What its NICs have sent since it was started, in bytes.
    #[serde(default, deserialize_with = "lenient::opt_number")]
    pub netout: Option<u64>,
}

/// One node in the list of the whole cluster.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct NodeResource {
    /// Its name.
    pub node: String,
    /// `online` or `offline`, by the cluster's membership; `unknown` where that is not told.
    #[serde(default)]
    pub status: Option<String>,
}

/// The list of the whole cluster, as far as it is about guests and nodes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resources {
    /// The guests that we may see (VM.Audit).
    pub guests: Vec<VmResource>,
    /// The nodes.
    pub nodes: Vec<NodeResource>,
}

impl<'de> Deserialize<'de> for Resources {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut resources = Self::default();
        for value in Vec::<Value>::deserialize(deserializer)? {
            match value["type"].as_str() {
                Some("qemu" | "lxc") => {
                    resources.guests.push(VmResource::deserialize(value).map_err(D::Error::custom)?);
                }
                Some("node") => {
                    resources.nodes.push(NodeResource::deserialize(value).map_err(D::Error::custom)?);
                }
                // Storages, pools, networks: whatever else a version lists.
                _ => {}
            }
        }
        Ok(resources)
    }
}

pub(super) fn tags<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Tags, D::Error> {
    Ok(Tags::parse(&lenient::opt_text(deserializer)?.unwrap_or_default()))
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum StatusEntry {
    Cluster {
        name: String,
        #[serde(default, deserialize_with = "lenient::flag")]
        quorate: bool,
    },
    Node {
        name: String,
        #[serde(default, deserialize_with = "lenient::flag")]
        online: bool,
        #[serde(default)]
        ip: Option<String>,
        #[serde(default, deserialize_with = "lenient::flag")]
        local: bool,
    },
    #[serde(other)]
    Other,
}

impl Client {
    /// Who belongs to the cluster, who is online, and whether there is a quorum. Needs Sys.Audit on `/`.
    ///
    /// PVE API viewer: `GET /cluster/status`.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn cluster_status(&self) -> Result<ClusterStatus, ApiError> {
        let entries: Vec<StatusEntry> =
            self.call(Method::GET, ApiPath::join(["cluster", "status"]), &Params::new(), Pace::Read).await?;
        // A node that stands alone has no cluster entry, and needs nobody's consent.
        let mut status = ClusterStatus { name: None, quorate: true, nodes: Vec::new() };
        for entry in entries {
            match entry {
                StatusEntry::Cluster { name, quorate } => {
                    status.name = Some(name);
                    status.quorate = quorate;
                }
                StatusEntry::Node { name, online, ip, local } => {
                    status.nodes.push(ClusterNode { name, online, ip, local });
                }
                StatusEntry::Other => {}
            }
        }
        Ok(status)
    }

    /// Whether a VMID is in use anywhere in the cluster. Not filtered by rights, so it also sees what we may not.
    ///
    /// PVE API viewer: `GET /cluster/nextid` with `vmid`: the number itself if it is free, status 400 with
    /// `VM N already exists` if not.
    ///
    /// # Errors
    /// See [`ApiError`]; "already exists" is not one.
    pub async fn vmid_state(&self, vmid: u32) -> Result<VmidState, ApiError> {
        let params = Params::new().set("vmid", vmid);
        let answer =
            self.call::<IgnoredAny>(Method::GET, ApiPath::join(["cluster", "nextid"]), &params, Pace::Read);
        match answer.await {
            Ok(_) => Ok(VmidState::Free),
            Err(error) if error.error("vmid").is_some_and(|text| text.contains("already exists")) => {
                Ok(VmidState::Taken)
            }
            Err(error) => Err(error),
        }
    }

    /// The lowest free VMID in the cluster's range. Nothing is reserved: two callers get the same.
    ///
    /// PVE API viewer: `GET /cluster/nextid`.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn next_vmid(&self) -> Result<u32, ApiError> {
        #[derive(Deserialize)]
        #[serde(transparent)]
        struct Next(#[serde(deserialize_with = "lenient::number")] u32);

        let path = ApiPath::join(["cluster", "nextid"]);
        self.call::<Next>(Method::GET, path, &Params::new(), Pace::Read).await.map(|next| next.0)
    }

    /// All guests of the cluster that we may see (VM.Audit).
    ///
    /// PVE API viewer: `GET /cluster/resources` with `type=vm`.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn vm_resources(&self) -> Result<Vec<VmResource>, ApiError> {
        let params = Params::new().set("type", "vm");
        self.call(Method::GET, ApiPath::join(["cluster", "resources"]), &params, Pace::Read).await
    }

    /// All guests of the cluster that we may see (VM.Audit), and its nodes, with one request.
    ///
    /// PVE API viewer: `GET /cluster/resources`.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn resources(&self) -> Result<Resources, ApiError> {
        self.call(Method::GET, ApiPath::join(["cluster", "resources"]), &Params::new(), Pace::Read).await
    }
}
