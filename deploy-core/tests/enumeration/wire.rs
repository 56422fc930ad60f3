//! The cluster as one worker reaches it, with bugs planted on the way.

use async_trait::async_trait;
use deploy_core::*;
use deploy_testkit::world::World;
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// A bug, each of which breaks one promise of a seam.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Planted {
    /// The store writes commits without asking whose lease it is.
    UnfencedCommits,
    /// The pool gives and takes addresses without asking whose lease it is.
    UnfencedPool,
    /// The store writes log line and notice outside of the fenced transaction.
    LogOutside,
    /// A clone whose number is taken is made under another.
    AnotherNumber,
    /// Settings are sent without the revision they were decided on.
    NoRevision,
    /// A look that failed says that nothing is there.
    FalseAbsence,
    /// Disks grow by a difference.
    ResizeBy,
    /// Rules are looked for, but not how often they are there.
    RulesUnseen,
    /// A clone that is under way is not seen.
    HiddenClone,
}

pub(crate) struct Wire {
    pub(crate) world: Arc<World>,
    pub(crate) planted: Option<Planted>,
}

impl Wire {
    async fn grow(&self, target: &Target, slot: DiskSlot, size: GiB) -> Result<Submitted, SubmitError> {
        let before = self.size(target, slot);
        Yield::default().await;
        let (wanted, there) = (size.bytes().0, self.size(target, slot));
        let grown = (there + wanted.saturating_sub(before)) >> 30;
        let size = GiB::try_from(grown).unwrap_or(size);
        self.world.submit(target, &Change::Resize { slot, size }).await
    }

    fn size(&self, target: &Target, slot: DiskSlot) -> u64 {
        self.world.with(|cluster| {
            let machine = cluster.machines.get(&target.machine.vmid);
            let disk = machine.and_then(|machine| machine.config.disks.get(&slot));
            disk.and_then(|disk| disk.size).map_or(0, |size| size.0)
        })
    }

    async fn submit_planted(&self, target: &Target, change: &Change) -> Result<Submitted, SubmitError> {
        match (self.planted, change) {
            (Some(Planted::NoRevision), Change::Configure(_)) => {
                let blind = Target { revision: None, ..target.clone() };
                self.world.submit(&blind, change).await
            }
            (Some(Planted::ResizeBy), Change::Resize { slot, size }) => self.grow(target, *slot, *size).await,
            (Some(Planted::AnotherNumber), Change::Clone { .. }) => {
                match self.world.submit(target, change).await {
                    Err(SubmitError { class: ErrorClass::Busy, .. }) => {
                        let mut next = target.clone();
                        next.machine.vmid = (next.machine.vmid.get() + 50).try_into().unwrap();
                        self.world.submit(&next, change).await
                    }
                    outcome => outcome,
                }
            }
            _ => self.world.submit(target, change).await,
        }
    }
}

#[async_trait]
impl Hypervisor for Wire {
    async fn machine(&self, id: &MachineId, look: Look) -> Sighting {
        match (self.planted, self.world.machine(id, look).await) {
            (Some(Planted::FalseAbsence), Sighting::Unknown(_)) => Sighting::ProvenAbsent,
            (Some(Planted::HiddenClone), Sighting::Seen(machine))
                if machine.lock.as_deref() == Some("clone") =>
            {
                Sighting::ProvenAbsent
            }
            (Some(Planted::RulesUnseen), Sighting::Seen(mut machine)) => {
                if let Some(firewall) = machine.firewall.as_mut().filter(|seen| seen.rules.len() > 2) {
                    firewall.rules.truncate(2);
                }
                Sighting::Seen(machine)
            }
            (_, sighting) => sighting,
        }
    }

    async fn tasks(&self, cluster: &ClusterName, tasks: &[TaskId]) -> Vec<TaskState> {
        self.world.tasks(cluster, tasks).await
    }

    async fn inventory(&self, cluster: &ClusterName) -> Result<Vec<Summary>, LookError> {
        self.world.inventory(cluster).await
    }

    async fn submit(&self, target: &Target, change: &Change) -> Result<Submitted, SubmitError> {
        self.submit_planted(target, change).await
    }
}

/// Pending once, then ready.
#[derive(Default)]
pub(crate) struct Yield {
    yielded: bool,
}

impl Future for Yield {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.yielded {
            return Poll::Ready(());
        }
        self.yielded = true;
        Poll::Pending
    }
}
