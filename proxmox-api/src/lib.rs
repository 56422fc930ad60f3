//! A Proxmox VE API client.

mod auth;
mod builder;
mod client;
mod endpoint;
mod error;
mod lenient;
mod params;
mod path;
mod property;
mod task;
mod timeouts;
mod tls;
mod transport;
mod upid;
mod vm_config;

pub use auth::{ApiToken, ApiTokenError, Credentials};
pub use builder::{BuildError, ClientBuilder};
pub use client::Client;
pub use endpoint::{
    AgentInterface, CloneVm, ClusterNode, ClusterStatus, ConfigUpdate, DestroyVm, FirewallOptions,
    FirewallRule, HaResource, HaStatus, IpSet, IpSetMember, MigratePreview, MigrateVm, NodeInfo, NodeVm,
    PendingEntry, Permissions, Pool, PoolMember, RunState, Snapshot, StorageInfo, StorageVolume, TaskFilter,
    TaskLog, TaskSource, Version, VmResource, VmStatus, VmidState,
};
pub use error::{Already, Answer, ApiError, Busy, Cause, Failure, Sent, classify, locked_by};
pub use params::Params;
pub use path::{ApiPath, PathError};
pub use property::{
    BootOrder, DiskSize, DiskSizeError, DriveConfig, DriveLimits, IpConfig, Ipv4Setting, Ipv6Setting,
    MacAddr, MacAddrError, NetConfig, PropertyError, PropertyString, Smbios, SshKeysError, Tags, Volume,
    decode_ssh_keys, encode_ssh_keys,
};
pub use task::{Started, TaskEntry, TaskExit, TaskStatus};
pub use timeouts::{Pace, Timeouts};
pub use tls::{Fingerprint, FingerprintError, FingerprintMismatch, Trust, TrustError};
pub use upid::{Upid, UpidError};
pub use vm_config::VmConfig;
