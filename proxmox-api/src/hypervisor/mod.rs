//! The hypervisor backend of the deployment engine: looks at machines and changes them through [`Client`]s.

mod backups;
mod holder;
mod leftovers;
mod look;
mod meaning;
mod probe;
mod read_config;
mod read_firewall;
mod snapshots;
mod storages;
mod submit;
mod submit_firewall;
mod survey;
mod tasks;
mod write_config;

use crate::{Client, RunState};
use async_trait::async_trait;
use deploy_core::{
    Backup, Backups, Change, Clock, ClusterName, ErrorClass, Holder, Hypervisor, Leftover, Look, LookError,
    Machine, MachineId, Obscured, Power, Sent, Shown, Sighting, SubmitError, Submitted, Summary, Target,
    TaskId, TaskState, Vmid,
};
use jiff::Timestamp;
use probe::Probes;
use std::{collections::BTreeMap, fmt, sync::Arc};

/// Proxmox VE clusters, each with its client: `impl Hypervisor` for the deployment engine.
///
/// ```no_run
/// use proxmox_api::{ApiToken, Client, Credentials, Proxmox, Trust};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let token: ApiToken = "deploy@pve!panel=3f0c…".parse()?;
/// let client = Client::builder()
///     .url("https://pve1.example.net:8006")
///     .url("https://pve2.example.net:8006")
///     .credentials(Credentials::Token(token))
///     .trust(Trust::SystemRoots)
///     .build()?;
/// let hypervisor = Proxmox::new().with_cluster("ams1".parse()?, client);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Proxmox {
    clusters: BTreeMap<ClusterName, Cluster>,
    clock: Arc<dyn Clock>,
}

/// The operating system's clock.
struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// Said of a write that its process, or the requests before it, held up for too long.
const TOO_LATE: &str = "it would arrive later than anybody waits for it";

/// A cluster's client, and what its looks have to share.
#[derive(Debug, Clone)]
struct Cluster {
    client: Client,
    probes: Arc<Probes>,
}

impl Proxmox {
    /// No clusters, and the system's clock.
    pub fn new() -> Self {
        Self { clusters: BTreeMap::new(), clock: Arc::new(SystemClock) }
    }

    /// Takes the time from this clock. It must be the one that the worker goes by: a change that would leave after its
    /// [`not_after`](Target::not_after) is held back.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Adds a cluster, or replaces the one of this name.
    #[must_use]
    pub fn with_cluster(mut self, name: ClusterName, client: Client) -> Self {
        self.clusters.insert(name, Cluster { client, probes: Arc::default() });
        self
    }

    /// A client of the cluster, or why there is none, in words.
    fn client(&self, cluster: &ClusterName) -> Result<&Client, String> {
        self.cluster(cluster).map(|cluster| &cluster.client)
    }

    fn cluster(&self, cluster: &ClusterName) -> Result<&Cluster, String> {
        self.clusters.get(cluster).ok_or_else(|| format!("cluster {cluster} is not configured here"))
    }
}

#[async_trait]
impl Hypervisor for Proxmox {
    async fn machine(&self, id: &MachineId, look: Look) -> Sighting {
        match self.cluster(&id.cluster) {
            Ok(cluster) => look::machine(cluster, id, look).await,
            Err(message) => Sighting::Unknown(Obscured { class: ErrorClass::Refused, message }),
        }
    }

    async fn look_further(&self, id: &MachineId, seen: Box<Machine>, look: Look) -> Sighting {
        match self.cluster(&id.cluster) {
            Ok(cluster) => look::further(cluster, id, *seen, look).await,
            Err(message) => Sighting::Unknown(Obscured { class: ErrorClass::Refused, message }),
        }
    }

    async fn tasks(&self, cluster: &ClusterName, tasks: &[TaskId]) -> Vec<TaskState> {
        match self.client(cluster) {
            // One question for each node, whoever waits.
            Ok(client) => tasks::states(&client.going_first(), tasks).await,
            Err(message) => vec![TaskState::Unknown(message); tasks.len()],
        }
    }

    async fn holder(&self, machine: &MachineId, lock: &str) -> Holder {
        match self.client(&machine.cluster) {
            Ok(client) => holder::holder(client, machine, lock).await,
            Err(message) => Holder::Unknown(message),
        }
    }

    async fn leftovers(&self, machine: &MachineId) -> Result<Vec<Leftover>, LookError> {
        let refused = |message| LookError { class: ErrorClass::Refused, message };
        let client = self.client(&machine.cluster).map_err(refused)?;
        leftovers::of(client, machine).await.map_err(|error| LookError {
            class: meaning::class(error.class()),
            message: meaning::words(&error),
        })
    }

    async fn backups(&self, machine: &MachineId) -> Result<Backups, LookError> {
        let refused = |message| LookError { class: ErrorClass::Refused, message };
        let client = self.client(&machine.cluster).map_err(refused)?;
        backups::of(client, machine.vmid.get()).await.map_err(|error| LookError {
            class: meaning::class(error.class()),
            message: meaning::words(&error),
        })
    }

    async fn archived(&self, machine: &MachineId, backup: &Backup) -> Result<Shown, LookError> {
        let refused = |message| LookError { class: ErrorClass::Refused, message };
        let client = self.client(&machine.cluster).map_err(refused)?;
        backups::archived(client, backup).await.map_err(|error| LookError {
            class: meaning::class(error.class()),
            message: meaning::words(&error),
        })
    }

    async fn inventory(&self, cluster: &ClusterName) -> Result<Vec<Summary>, LookError> {
        let client =
            self.client(cluster).map_err(|message| LookError { class: ErrorClass::Refused, message })?;
        let resources = meaning::read(|| client.vm_resources()).await.map_err(|error| LookError {
            class: meaning::class(error.class()),
            message: meaning::words(&error),
        })?;
        let summaries =
            resources.into_iter().filter(|resource| resource.kind == "qemu").filter_map(|resource| {
                Some(Summary {
                    vmid: Vmid::try_from(resource.vmid).ok()?,
                    node: resource.node.parse().ok()?,
                    name: resource.name,
                    power: match resource.status {
                        RunState::Running => Some(Power::Running),
                        RunState::Stopped => Some(Power::Stopped),
                        RunState::Unknown => None,
                    },
                    lock: resource.lock,
                    template: resource.template,
                })
            });
        Ok(summaries.collect())
    }

    async fn submit(&self, target: &Target, change: &Change) -> Result<Submitted, SubmitError> {
        let client = self.client(&target.machine.cluster).map_err(|message| SubmitError {
            class: ErrorClass::Refused,
            sent: Sent::No,
            message,
        })?;
        let (clock, deadline) = (Arc::clone(&self.clock), target.clone());
        let in_time = move || {
            if deadline.is_over(clock.now()) { Err(TOO_LATE.to_owned()) } else { Ok(()) }
        };
        submit::submit(&client.with_permit(Arc::new(in_time)), target, change).await
    }
}

impl Default for Proxmox {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Proxmox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxmox").field("clusters", &self.clusters).finish_non_exhaustive()
    }
}
