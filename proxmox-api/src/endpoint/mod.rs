//! The calls that deploying machines takes, one file a subject, each with the types of its own.
//!
//! Every method is a single request unless it says otherwise; see [`Client`](crate::Client) for what dropping one
//! means. The errors are those of [`ApiError`](crate::ApiError).

mod agent;
mod backup;
mod clone;
mod cloudinit;
mod cluster;
mod config;
mod destroy;
mod firewall;
mod ha;
mod ipset;
mod migrate;
mod node;
mod permissions;
mod pools;
mod power;
mod resize;
mod restore;
mod snapshot;
mod storage;
mod tasks;
mod version;

pub use agent::AgentInterface;
pub use backup::BackupVm;
pub use clone::CloneVm;
pub use cluster::{ClusterNode, ClusterStatus, NodeResource, Resources, VmResource, VmidState};
pub use config::{ConfigUpdate, PendingEntry};
pub use destroy::DestroyVm;
pub use firewall::{FirewallOptions, FirewallRule};
pub use ha::HaResource;
pub use ipset::{IpSet, IpSetMember};
pub use migrate::{MigratePreview, MigrateVm};
pub use node::{NodeInfo, NodeVm};
pub use permissions::Permissions;
pub use pools::{Pool, PoolMember};
pub use power::{HaStatus, RunState, VmStatus};
pub use restore::RestoreVm;
pub use snapshot::Snapshot;
pub use storage::{StorageInfo, StorageVolume};
pub use tasks::{TaskFilter, TaskLog, TaskSource};
pub use version::Version;
