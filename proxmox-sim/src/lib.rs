//! A simulator of a Proxmox VE cluster.
//!
//! It answers as a real cluster does where a program that deploys machines looks: the same paths,
//! parameters and texts, tasks that take time, locks that are waited for, configurations that are
//! half-written while a clone is under way. And it can be made to go wrong, all from a seed: what
//! requests may meet is described by [`Faults`], what happens by itself (nodes crash, people change machines,
//! somebody takes a number) by [`Mishaps`], and what a test breaks itself by [`Switch`].
//!
//! How close it comes is measured: the test `replay` sends recorded exchanges of real servers (8.4 and
//! 9.2) and compares every answer. Not imitated are consoles and containers.
//!
//! - [`Cluster`] is the cluster itself, without any IO: time comes in as an argument.
//! - [`Server`] puts a cluster behind HTTPS, with a certificate of its own.
//! - [`InProcess`] serves it without a network, also in virtual time.
//! - The binary `proxmox-sim` is that server as a process.
//!
//! ```
//! use proxmox_sim::{ClusterConfig, Server, ServerOptions};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let running = Server::start(ClusterConfig::quick(), ServerOptions::default()).await?;
//! assert!(running.url().starts_with("https://127.0.0.1:"));
//! assert_eq!(running.counters().total_requests(), 0);
//! running.shutdown().await;
//! # Ok(()) }
//! ```

mod access;
mod calls;
mod cluster;
mod config;
mod counters;
mod faults;
mod flock;
mod journal;
mod multipart;
mod reply;
mod request;
mod schema;
mod server;
mod task;
mod task_times;
mod timing;
mod upid;
mod version;
mod works;
mod world;

pub use cluster::{CallId, Cluster, Handled, StaleLock, Switch};
pub use config::{
    BackupConfig, ClusterConfig, Grant, NicTraffic, StorageConfig, StorageKind, TemplateConfig, TokenConfig,
};
pub use counters::{Counters, OffSchema, TaskCount};
pub use faults::{Faults, Incarnation, Mishap, MishapKind, Mishaps};
pub use journal::Entry;
pub use reply::{Answer, Reply};
pub use request::Request;
pub use server::{InProcess, Running, Server, ServerError, ServerOptions};
pub use task_times::TaskTimes;
pub use timing::Durations;
pub use version::Version;
pub use world::Time;
