//! A model of a cluster: small, in memory, and as hostile as a script says.
//!
//! [`World`] is a [`Hypervisor`] that has of Proxmox VE what matters to the core and nothing else: machines with locks,
//! marks and SMBIOS UUIDs that every clone makes anew; tasks that run for a while of the test's own clock;
//! configurations guarded by revisions; slots whose disk is replaced, and its volume left behind, by creating another
//! there; firewall rules that are inserted at the top and never compared with those that stand already.
//!
//! [`Faults`] say what becomes of each request: it may get lost, its answer may, it may arrive long after everybody
//! stopped waiting for it, be refused, or fail half-way. The model counts what must never happen ([`Counters`]), and
//! a test looks at the machine that came of it, and not at what the code under test believes.
//!
//! ```
//! use deploy_core::{Clock, Hypervisor, Look, MachineId, Sighting};
//! use deploy_testkit::world::{ModelMachine, World};
//! use std::sync::Arc;
//!
//! struct Noon;
//! impl Clock for Noon {
//!     fn now(&self) -> jiff::Timestamp {
//!         jiff::Timestamp::UNIX_EPOCH
//!     }
//! }
//!
//! # fn block_on<F: Future>(future: F) -> F::Output {
//! #     let mut future = std::pin::pin!(future);
//! #     let mut context = std::task::Context::from_waker(std::task::Waker::noop());
//! #     loop {
//! #         if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut context) {
//! #             return output;
//! #         }
//! #     }
//! # }
//! # fn main() -> Result<(), deploy_core::Invalid> {
//! let world = World::new(Arc::new(Noon));
//! let vmid = 9000.try_into()?;
//! let template = ModelMachine::template("pve1".parse()?);
//! world.with(|cluster| cluster.add(vmid, template));
//! let id = MachineId { cluster: "main".parse()?, vmid, node: "pve1".parse()? };
//! let Sighting::Seen(machine) = block_on(world.machine(&id, Look::CONFIG)) else { panic!("it is there") };
//! assert_eq!(machine.config.system_disk().map(|(slot, _)| slot.to_string()).as_deref(), Some("scsi0"));
//! # Ok(()) }
//! ```
//!
//! Every call yields once before and once after it has its effect, so that a test that polls by hand can drop the
//! caller on both sides of it: that is what a crash looks like.

mod apply;
mod archive;
mod cluster;
mod fault;
mod ha_manager;
mod import;
mod machine;
mod show;
mod snapshot;
mod survey;
mod task;

pub use archive::Archive;
pub use cluster::{Cluster, Counters, Timing, Volume};
pub use fault::{Delivery, Effect, Fault, Faults, LookFault};
pub use machine::{ModelFirewall, ModelMachine, ModelRule, ModelSnapshot};

use async_trait::async_trait;
use deploy_core::{
    Backup, Backups, Change, Clock, ClusterName, Holder, Hypervisor, Leftover, Look, LookError, Machine,
    MachineId, Shown, Sighting, SubmitError, Submitted, Summary, Target, TaskId, TaskState,
};
use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

/// A cluster in memory, on the clock of a test. It answers for every cluster name, always with the same machines.
pub struct World {
    clock: Arc<dyn Clock>,
    cluster: Mutex<Cluster>,
}

impl World {
    /// An empty cluster without faults.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, cluster: Mutex::new(Cluster::default()) }
    }

    /// Looks at the cluster or interferes with it, as somebody with root's rights would, after everything that is due by
    /// now has happened.
    pub fn with<R>(&self, act: impl FnOnce(&mut Cluster) -> R) -> R {
        let mut cluster = self.cluster.lock().unwrap_or_else(PoisonError::into_inner);
        cluster.pass_time(self.clock.now());
        act(&mut cluster)
    }
}

#[async_trait]
impl Hypervisor for World {
    async fn machine(&self, id: &MachineId, look: Look) -> Sighting {
        Yield::default().await;
        let sighting = self.with(|cluster| cluster.sight(id.vmid, look));
        Yield::default().await;
        sighting
    }

    async fn look_further(&self, id: &MachineId, seen: Box<Machine>, look: Look) -> Sighting {
        Yield::default().await;
        let missing = look.without(seen.look);
        let further = self.with(|cluster| cluster.sight(id.vmid, missing));
        Yield::default().await;
        match further {
            Sighting::Seen(further) => Sighting::Seen(Box::new(seen.with(*further))),
            unseen => unseen,
        }
    }

    async fn tasks(&self, _cluster: &ClusterName, tasks: &[TaskId]) -> Vec<TaskState> {
        Yield::default().await;
        let states = self.with(|cluster| tasks.iter().map(|task| cluster.task_state(task)).collect());
        Yield::default().await;
        states
    }

    async fn holder(&self, machine: &MachineId, _lock: &str) -> Holder {
        Yield::default().await;
        let holder = self.with(|cluster| cluster.holder(machine.vmid));
        Yield::default().await;
        holder
    }

    async fn leftovers(&self, machine: &MachineId) -> Result<Vec<Leftover>, LookError> {
        Yield::default().await;
        let found = self.with(|cluster| cluster.leftovers(machine));
        Yield::default().await;
        found
    }

    async fn backups(&self, machine: &MachineId) -> Result<Backups, LookError> {
        Yield::default().await;
        let found = self.with(|cluster| cluster.look_for_backups(machine.vmid));
        Yield::default().await;
        found
    }

    async fn archived(&self, _machine: &MachineId, backup: &Backup) -> Result<Shown, LookError> {
        Yield::default().await;
        let shown = self.with(|cluster| cluster.archived(backup));
        Yield::default().await;
        shown
    }

    async fn inventory(&self, _cluster: &ClusterName) -> Result<Vec<Summary>, LookError> {
        Yield::default().await;
        let list = self.with(Cluster::inventory);
        Yield::default().await;
        list
    }

    /// Between the last look at the clock and the wire it yields once more: that gap no software can close.
    async fn submit(&self, target: &Target, change: &Change) -> Result<Submitted, SubmitError> {
        Yield::default().await;
        self.with(|cluster| cluster.may_leave(target))?;
        Yield::default().await;
        let outcome = self.with(|cluster| cluster.submit(target, change));
        Yield::default().await;
        outcome
    }
}

/// Pending once, then ready.
#[derive(Default)]
struct Yield {
    yielded: bool,
}

impl Future for Yield {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.yielded {
            return Poll::Ready(());
        }
        self.yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}
