//! The loop that drives deployments through their turns, on tokio.
//!
//! `deploy-core` knows what is to be done next for one machine, but never waits and never repeats by itself. A [`Worker`] does:
//! it leases records that are due, takes turn after turn for each until it rests, and in between waits for what a machine
//! waits for:
//!
//! - **a task of the hypervisor**: all tasks of a cluster are asked about in one question, soon after they began and then
//!   less and less often, and a machine is woken when its task ends. Where nobody can tell about a task for 5 s (in a
//!   [pass](Worker::tick): once), that is a failure in the machine's log, and it is asked about again after a delay;
//! - **a slot**: [`Limits`] say how much may run at once on a node, a storage, a template, a cluster; the [`Turnstile`] lets
//!   machines in by them, first come, first served;
//! - **a time**: a retry, a poll; near ones in hand, far ones in the store, where any worker can take the machine up;
//! - **a command**: whoever gives one rings the [doorbell](RunningWorker::doorbell).
//!
//! Machines that rest cost nothing but one list of each cluster every few minutes: one that is missing there is looked at,
//! and what is proven to be gone is told, or deployed anew where its order says so.
//!
//! A machine that waits is an entry of a map, not a task or a timer: it costs the memory of its record. A machine on its way
//! goes before those that have not begun, so that many orders become many ready machines one by one, and not all at the end.
//!
//! Nothing of this is needed to be safe. A worker may be killed at any moment: whatever matters is in the store, and leases
//! with fencing tokens keep two workers from ever acting on one machine. What goes wrong with one machine (a panic, a lost
//! lease, a store that fails) is that machine's alone. A panic of a backend is a failure in the machine's log.
//!
//! ```
//! use deploy_core::{Hypervisor, IpPool, LeaseStore};
//! use deploy_worker::{Limits, StopError, Worker};
//! use std::{sync::Arc, time::Duration};
//!
//! /// As a service: works until told to stop, then gives everything back.
//! async fn serve(
//!     hypervisor: Arc<dyn Hypervisor>,
//!     pool: Arc<dyn IpPool>,
//!     store: Arc<dyn LeaseStore>,
//!     stop: impl Future<Output = ()>,
//! ) -> Result<(), StopError> {
//!     let limits = Limits { clone_storage: 2, ..Limits::default() };
//!     Worker::new(hypervisor, pool, store).with_limits(limits).run(stop).await
//! }
//!
//! /// From cron: one pass of at most fifty seconds.
//! async fn pass(worker: &Worker) -> Result<(), deploy_core::StoreError> {
//!     let report = worker.tick(Duration::from_secs(50)).await?;
//!     tracing::info!(ready = report.ready, waiting = report.waiting, "passed");
//!     Ok(())
//! }
//! ```
//!
//! For panels: [`sleep`], by which the outcome of a command is awaited, and [`EventStream`], which tells what happens to machines as it
//! happens.
//!
//! Every turn runs in a `tracing` span `turn` with the machine's key and step.

mod activity;
mod audit;
mod dispatcher;
mod driver;
mod events;
#[cfg(test)]
mod fake;
mod jobs;
mod limits;
mod mailbox;
mod outbox;
mod remote;
mod retention;
mod running;
mod settings;
mod sleep;
mod system;
mod tick;
mod turnstile;
mod watch;
mod worker;

pub use activity::{Doing, MachineActivity};
pub use audit::AuditReport;
pub use events::EventStream;
pub use jobs::{
    JobPlan, JobTick, Jobs, JobsHypervisor, JobsStore, Orphan, OrphanReport, Report, RunningJobs,
    SnapshotReport, TrafficReport, WhyOrphan,
};
pub use limits::Limits;
pub use remote::RemoteView;
pub use retention::{Pruned, RetentionPolicy, retention};
pub use running::{RunningWorker, StopError};
pub use sleep::sleep;
pub use system::{SystemClock, SystemEntropy};
pub use tick::TickReport;
pub use turnstile::Turnstile;
pub use worker::Worker;
