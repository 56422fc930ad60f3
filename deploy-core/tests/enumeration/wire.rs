//! The cluster as one worker reaches it, with bugs planted on the way.

use crate::{planted::Planted, stage::now};
use async_trait::async_trait;
use deploy_core::*;
use deploy_testkit::{MemoryStore, sample, world::World};
use std::{
    collections::BTreeSet,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

pub(crate) struct Wire {
    pub(crate) world: Arc<World>,
    pub(crate) store: MemoryStore,
    pub(crate) planted: Option<Planted>,
    /// Settings that some worker has been shown, and that one with a bug goes on believing in.
    pub(crate) shown: Arc<Mutex<Option<MachineConfig>>>,
    /// Whether this worker has asked for the machine's destruction.
    pub(crate) destroyed: AtomicBool,
}

impl Wire {
    async fn grow(&self, target: &Target, slot: DiskSlot, size: GiB) -> Result<Submitted, SubmitError> {
        let before = self.size(target, slot);
        Yield::default().await;
        let (wanted, there) = (size.bytes().0, self.size(target, slot));
        let grown = (there + wanted.saturating_sub(before)) >> 30;
        let size = GiB::try_from(grown).unwrap_or(size);
        // What is absolute is as good late as in time; a difference is not.
        let late = Target { not_after: None, ..target.clone() };
        self.world.submit(&late, &Change::Resize { slot, size }).await
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
            (Some(Planted::NoRevision), Change::Configure(_) | Change::Import { .. }) => {
                let blind = Target { revision: None, ..target.clone() };
                self.world.submit(&blind, change).await
            }
            (Some(Planted::DataDiskDropped), Change::Configure(configure))
                if !configure.remove_unused.is_empty() =>
            {
                let slot = sample::parsed("scsi1");
                let more = Configure { remove_disks: [slot].into(), ..(**configure).clone() };
                self.world.submit(target, &Change::Configure(Box::new(more))).await
            }
            (Some(Planted::UnpluggedBefore), Change::Import { slot, .. }) => {
                let unplug = Configure { remove_disks: [*slot].into(), ..Configure::default() };
                self.world.submit(target, &Change::Configure(Box::new(unplug))).await?;
                let blind = Target { revision: None, ..target.clone() };
                self.world.submit(&blind, change).await
            }
            (Some(Planted::ResizeBy), Change::Resize { slot, size }) => self.grow(target, *slot, *size).await,
            (Some(Planted::ResizeBy), Change::Configure(configure)) if !configure.sizes.is_empty() => {
                let mut settings = configure.clone();
                let sizes = std::mem::take(&mut settings.sizes);
                let mut submitted = self.world.submit(target, &Change::Configure(settings)).await?;
                if submitted == Submitted::Applied {
                    for (slot, size) in sizes {
                        submitted = self.grow(target, slot, size).await?;
                    }
                }
                Ok(submitted)
            }
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
            (Some(Planted::ReleasedEarly), Change::Destroy(_)) => {
                self.world.submit(target, change).await?;
                self.destroyed.store(true, Ordering::Relaxed);
                Ok(Submitted::Applied)
            }
            (Some(Planted::FilterKept), Change::SetFirewall(set)) => {
                let kept = SetFirewall { remove_members: BTreeSet::new(), ..(**set).clone() };
                self.world.submit(target, &Change::SetFirewall(Box::new(kept))).await
            }
            // Once it is on its way it is the number's, as PVE knows nothing of identities.
            (None | Some(Planted::LateForgotten), Change::Destroy(_)) => {
                self.world.submit(&Target { smbios: None, ..target.clone() }, change).await
            }
            (Some(Planted::IdentityUnread | Planted::UuidUnread), _) => {
                let there = self.world.with(|cluster| {
                    let machine = cluster.machines.get(&target.machine.vmid)?;
                    Some((machine.config.smbios, OwnerMark::find(&machine.config.description)))
                });
                let (smbios, mark) = there.unwrap_or_default();
                let any = Target { smbios, mark: mark.unwrap_or(target.mark), ..target.clone() };
                self.world.submit(&any, change).await
            }
            _ => self.world.submit(target, change).await,
        }
    }

    fn missee(&self, seen: Sighting) -> Sighting {
        let Some(planted) = self.planted else { return seen };
        if self.destroyed.load(Ordering::Relaxed) {
            return Sighting::ProvenAbsent;
        }
        let mut shown = self.shown.lock().unwrap();
        let record = now(self.store.get(sample::key(1))).unwrap().unwrap();
        if let Sighting::Seen(machine) = &seen
            && record.step != Step::Starting
        {
            *shown = Some(machine.config.clone());
        }
        planted.missee(&record, seen, shown.as_ref())
    }
}

#[async_trait]
impl Hypervisor for Wire {
    async fn machine(&self, id: &MachineId, look: Look) -> Sighting {
        let seen = self.world.machine(id, look).await;
        self.missee(seen)
    }

    async fn look_further(&self, id: &MachineId, seen: Box<Machine>, look: Look) -> Sighting {
        let seen = self.world.look_further(id, seen, look).await;
        self.missee(seen)
    }

    async fn tasks(&self, cluster: &ClusterName, tasks: &[TaskId]) -> Vec<TaskState> {
        self.world.tasks(cluster, tasks).await
    }

    async fn holder(&self, machine: &MachineId, lock: &str) -> Holder {
        self.world.holder(machine, lock).await
    }

    async fn leftovers(&self, machine: &MachineId) -> Result<Vec<Leftover>, LookError> {
        self.world.leftovers(machine).await
    }

    async fn backups(&self, machine: &MachineId) -> Result<Backups, LookError> {
        self.world.backups(machine).await
    }

    async fn archived(&self, machine: &MachineId, backup: &Backup) -> Result<Shown, LookError> {
        let shown = self.world.archived(machine, backup).await;
        let record = now(self.store.get(sample::key(1))).unwrap().unwrap();
        let is_newer = backup.made_at.is_some_and(|made_at| made_at >= record.created_at);
        match shown {
            Ok(shown) if self.planted == Some(Planted::BackupByAge) && is_newer => {
                Ok(Shown { mark: Some(record.mark()), ..shown })
            }
            shown => shown,
        }
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
