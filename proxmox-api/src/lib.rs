//! A client for the Proxmox VE (PVE) API, made for programs that must not do a thing twice.
//!
//! PVE creates, clones and destroys machines over an HTTP API whose failures are sentences, nearly all of them with
//! status 500, and whose longer work goes on in tasks after the answer. A program that deploys machines has to know
//! two things that such an API does not say: *what does this failure mean*, and *may the request have been carried
//! out all the same*. This crate answers both, for every call:
//!
//! - [`ApiError::class`] sorts the sentences of PVE into [`Failure`]s: busy, gone, refused, done already...;
//!   [`TaskExit::class`] does the same for tasks.
//! - [`ApiError::sent`] says how far a request got. Nothing is ever repeated here unless it provably was not sent: then
//!   the next server of the cluster is asked.
//!
//! Beside that there are typed calls for what deploying machines takes ([`Client`]), readers and writers for the
//! little languages inside configurations ([`DriveConfig`], [`NetConfig`], [`IpConfig`]...), and the raw
//! [`Client::get`], [`Client::post`], [`Client::put`] and [`Client::delete`] for everything else.
//!
//! ```no_run
//! use proxmox_api::{ApiToken, Client, CloneVm, Credentials, Sent, TaskStatus, Trust, VmidState};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let token: ApiToken = std::env::var("PVE_TOKEN")?.parse()?;
//! let client = Client::builder()
//!     .url("https://pve1.example.com:8006")
//!     .url("https://pve2.example.com:8006")
//!     .credentials(Credentials::Token(token))
//!     .trust(Trust::Ca(std::fs::read("pve-root-ca.pem")?))
//!     .build()?;
//!
//! if client.vmid_state(5001).await? == VmidState::Free {
//!     let clone = CloneVm { newid: 5001, name: Some("web1"), ..CloneVm::default() };
//!     match client.clone_vm("pve1", 9000, &clone).await {
//!         Ok(started) => {
//!             if let Some(upid) = started.upid()
//!                 && let TaskStatus::Stopped(exit) = client.task_status(upid).await?
//!                 && let Some(class) = exit.class()
//!             {
//!                 println!("the clone failed: {exit} ({class:?})");
//!             }
//!         }
//!         // The answer was lost: look whether 5001 exists before anything is repeated.
//!         Err(error) if error.sent() == Sent::Unknown => println!("perhaps: {error}"),
//!         Err(error) => println!("no: {error}"),
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Rights
//!
//! What [`Proxmox`] needs to take machines from an order to `ready` and away again, and nothing beyond it. A missing right
//! is [`Failure::Forbidden`]; the server's sentence names the path and the privilege.
//!
//! | path | privileges | for |
//! |---|---|---|
//! | `/vms/<template>` | VM.Clone | cloning it, and copying its system disk |
//! | `/vms` | VM.Allocate, VM.Audit | making, seeing and destroying machines |
//! | `/vms` | VM.Config.CPU, .Memory, .Disk, .Network, .Options | settings; the firewall is .Network, names, tags and protection are .Options |
//! | `/vms` | VM.Config.Cloudinit, .CDROM | making a cloud-init drive where the template has none |
//! | `/vms` | VM.PowerMgmt | starting, stopping, resetting |
//! | `/vms` | VM.Migrate | orders for another node than the template's |
//! | `/vms` | VM.Backup | seeing, making, restoring and deleting backups, and reading whose they are |
//! | `/vms` | VM.Snapshot | taking and deleting snapshots, and going back to them; who only goes back needs VM.Snapshot.Rollback |
//! | `/vms` | VM.GuestAgent.Audit (9), VM.Monitor (8 and before) | asking guest agents, where machines have them switched on |
//! | `/storage/<each>` | Datastore.AllocateSpace, Datastore.Audit | disks and backups; without them on a storage its backups are not seen |
//! | `/sdn/zones/localnetwork/<bridge>` | SDN.Use (8 and later) | a NIC on the bridge, with or without a VLAN tag, also the template's own |
//! | `/` | Sys.Console | machines that somebody put into HA are taken out of it before they are stopped for good; where none are, not needed |
//! | `/` | Sys.Audit | [`Client::cluster_status`] and [`Client::cluster_firewall_options`]; deploying does without |
//! | `/nodes` | Sys.Audit | telling early that a lock is held by nobody any more, for the tasks of others hold locks too; deploying does without |
//! | `/pool/<each>` | Pool.Audit, Pool.Allocate | orders that name a PVE pool |
//!
//! The new numbers must be covered by `/vms` (or one entry for each, made before): an entry for a machine goes with the
//! machine, and so do the rights that it has from a pool. An entry for a longer path replaces those for shorter ones, it
//! does not add to them: a role on `/vms/9000` must hold all that is needed there.
//!
//! ```sh
//! # On 8 and before: VM.Monitor instead of VM.GuestAgent.Audit. A role with an unknown privilege is refused.
//! pveum role add DeployVM --privs "VM.Allocate VM.Audit VM.Backup VM.Clone VM.Config.CDROM VM.Config.CPU \
//!     VM.Config.Cloudinit VM.Config.Disk VM.Config.Memory VM.Config.Network VM.Config.Options \
//!     VM.GuestAgent.Audit VM.Migrate VM.PowerMgmt VM.Snapshot"
//! pveum role add DeployStorage --privs "Datastore.AllocateSpace Datastore.Audit"
//! pveum role add DeployBridge --privs SDN.Use
//! pveum role add DeployAudit --privs Sys.Audit
//! pveum user add deploy@pve
//! pveum acl modify /vms --users deploy@pve --roles DeployVM
//! pveum acl modify /storage/local-lvm --users deploy@pve --roles DeployStorage
//! pveum acl modify /sdn/zones/localnetwork/vmbr0 --users deploy@pve --roles DeployBridge
//! pveum acl modify / --users deploy@pve --roles DeployAudit --propagate 0
//! # A token with all of its user's rights; otherwise each entry is needed once more, with `--tokens`.
//! pveum user token add deploy@pve panel --privsep 0
//! ```
//!
//! //! Servers from 7.4 to 9.x are understood. Facts about PVE name their place in its API viewer
//! (<https://pve.proxmox.com/pve-docs/api-viewer/>) where they have one there; others were read off real servers.

mod auth;
mod builder;
mod carrier;
mod client;
mod endpoint;
mod error;
mod hypervisor;
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
pub use carrier::{Carrier, Uncarried};
pub use client::Client;
pub use endpoint::{
    AgentInterface, BackupVm, CloneVm, ClusterNode, ClusterStatus, ConfigUpdate, DestroyVm, FirewallOptions,
    FirewallRule, HaResource, HaStatus, IpSet, IpSetMember, MigratePreview, MigrateVm, NodeInfo,
    NodeResource, NodeVm, PendingEntry, Permissions, Pool, PoolMember, Resources, RestoreVm, RunState,
    Snapshot, StorageInfo, StorageVolume, TaskFilter, TaskLog, TaskSource, Version, VmResource, VmStatus,
    VmidState,
};
pub use error::{Already, Answer, ApiError, Busy, Cause, Failure, Sent, classify, locked_by};
pub use hypervisor::Proxmox;
pub use params::Params;
pub use path::{ApiPath, PathError};
pub use property::{
    BootOrder, DiskSize, DiskSizeError, DriveConfig, DriveLimits, IpConfig, Ipv4Setting, Ipv6Setting,
    MacAddr, MacAddrError, NetConfig, PropertyError, PropertyString, Smbios, SshKeysError, Tags, Volume,
    decode_ssh_keys, encode_ssh_keys,
};
pub use task::{Started, TaskEntry, TaskExit, TaskStatus};
pub use timeouts::Timeouts;
pub use tls::{Fingerprint, FingerprintError, FingerprintMismatch, Trust, TrustError};
pub use upid::{Upid, UpidError};
pub use vm_config::VmConfig;
