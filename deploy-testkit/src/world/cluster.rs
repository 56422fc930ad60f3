//! The cluster: its machines, volumes, tasks and requests on their way.

use super::{Archive, Delivery, Effect, Fault, Faults, ModelMachine, show::revision, task::Tasks};
use deploy_core::{
    Backup, Bytes, Change, ChangeKind, ErrorClass, NodeName, OwnerMark, Sent, SmbiosUuid, StorageId,
    SubmitError, Submitted, Target, Unread, Vmid,
};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// A cluster's state, open to whoever tests with it.
#[derive(Debug, Default)]
pub struct Cluster {
    /// Its machines.
    pub machines: BTreeMap<Vmid, ModelMachine>,
    /// Every volume of every machine, by name.
    pub volumes: BTreeMap<String, Volume>,
    /// What the backups hold, by volume. One that is missing here is of a machine that nobody knows any more.
    pub archives: BTreeMap<String, Archive>,
    /// Storages that may hold backups and cannot be read.
    pub unread: Vec<Unread>,
    /// Backups that outlived their machine, by its number.
    pub kept_backups: BTreeMap<Vmid, Vec<Backup>>,
    /// What was counted.
    pub counters: Counters,
    /// What becomes of the next requests.
    pub faults: Faults,
    /// How long things take.
    pub timing: Timing,
    /// Whether settings are written by a task (PVE: `POST config`) or at once (`PUT config`).
    pub configures_by_task: bool,
    /// Whether we may see which resource pool a machine is in.
    pub shows_pools: bool,
    /// Machines that its list does not show, for want of a right or because it is late.
    pub unlisted: BTreeSet<Vmid>,
    /// Nodes that do not answer.
    pub nodes_down: BTreeSet<NodeName>,
    /// When the high-availability manager looks next.
    pub(super) ha_round: Option<Timestamp>,
    pub(super) tasks: Tasks,
    pub(super) late: Vec<Late>,
    pub(super) now: Timestamp,
    pub(super) numbers: u64,
}

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// The machine it was made for.
    pub vmid: Vmid,
    /// Its storage.
    pub storage: StorageId,
    /// When it was made, where the storage knows.
    pub made_at: Option<Timestamp>,
    /// The volume that it was copied from, with the size that that one had.
    pub copy_of: Option<(String, Option<Bytes>)>,
}

/// What was counted. Most of it must stay zero.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counters {
    /// Looks at machines.
    pub looks: u64,
    /// Changes asked for.
    pub changes: u64,
    /// Clones that succeeded, by number.
    pub clones: BTreeMap<Vmid, u32>,
    /// Changes that were asked of a machine that is not the target's: nobody looked whose it is.
    pub misdirected: u32,
    /// Settings that were sent without the revision they were decided on.
    pub unguarded: u32,
    /// Disks that were created in a slot that held one, whose volume is left behind.
    pub overwritten: u32,
    /// Settings that took away the disk that a machine boots from.
    pub without_system_disk: u32,
    /// Clones to a number while there was, or was being made, what an earlier one was to make: PVE refuses them.
    pub clones_over: u32,
    /// Starts while something was pending.
    pub started_pending: u32,
    /// Changes that left later than they may, and by how much: their sender stood still between its last look at the clock
    /// and the wire.
    pub sent_late: Vec<(ChangeKind, SignedDuration)>,
    /// Backups without protection that outlived their machine, which was destroyed with a purge.
    pub backups_left: Vec<Backup>,
    /// Changes that are no goals, each time that one had its effect: resets, backups, going back to a snapshot or a backup.
    pub pulses: Vec<(Vmid, ChangeKind)>,
}

/// How long things take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// A clone. In its first half it shows nothing of itself but its lock.
    pub clone: SignedDuration,
    /// A migration.
    pub migration: SignedDuration,
    /// Every other task.
    pub task: SignedDuration,
    /// From the start until the guest agent answers.
    pub boot: SignedDuration,
}

impl Default for Timing {
    fn default() -> Self {
        let seconds = SignedDuration::from_secs;
        Self { clone: seconds(8), migration: seconds(6), task: seconds(1), boot: seconds(5) }
    }
}

/// A request that arrives later.
#[derive(Debug)]
pub(super) struct Late {
    at: Timestamp,
    target: Target,
    change: Change,
    effect: Effect,
}

impl Cluster {
    /// Adds a machine with its volumes, as somebody else would.
    pub fn add(&mut self, vmid: Vmid, machine: ModelMachine) {
        for disk in machine.config.disks.values() {
            self.volumes.insert(
                disk.volume.clone(),
                Volume { vmid, storage: disk.storage.clone(), made_at: None, copy_of: None },
            );
        }
        self.machines.insert(vmid, machine);
    }

    /// The numbers of the machines that carry a mark.
    pub fn marked(&self, mark: OwnerMark) -> Vec<Vmid> {
        let has = |machine: &ModelMachine| OwnerMark::find(&machine.config.description) == Some(mark);
        self.machines.iter().filter(|(_, machine)| has(machine)).map(|(vmid, _)| *vmid).collect()
    }

    /// The volumes that were made for a number.
    pub fn volumes_of(&self, vmid: Vmid) -> usize {
        self.volumes.values().filter(|volume| volume.vmid == vmid).count()
    }

    /// Whether a clone to this number is on its way and has not arrived.
    pub fn clone_on_its_way(&self, vmid: Vmid) -> bool {
        self.late
            .iter()
            .any(|late| matches!(late.change, Change::Clone { .. }) && late.target.machine.vmid == vmid)
    }

    /// Whether nothing is under way, neither a task nor a request.
    pub fn is_idle(&self) -> bool {
        self.tasks.next_event().is_none() && self.late.is_empty()
    }

    /// Everything due by `now` happens, in the order of its time.
    pub(super) fn pass_time(&mut self, now: Timestamp) {
        loop {
            let arrival = self.late.iter().map(|late| late.at).min().filter(|at| *at <= now);
            let end = self.tasks.next_event().filter(|at| *at <= now);
            let first = arrival.into_iter().chain(end).min();
            if self.tend_before(first.unwrap_or(now)) {
                continue;
            }
            match (arrival, end) {
                (Some(arrival), end) if end.is_none_or(|end| arrival <= end) => {
                    self.now = arrival;
                    self.arrive(arrival);
                }
                (_, Some(end)) => {
                    self.now = end;
                    self.work(end);
                }
                (_, None) => break,
            }
        }
        self.now = now;
    }

    fn arrive(&mut self, at: Timestamp) {
        let Some(index) = self.late.iter().position(|late| late.at == at) else { return };
        let late = self.late.remove(index);
        // Nobody waits for the answer.
        let _ = self.carry_out(&late.target, &late.change, late.effect);
    }

    /// The sender's last look at the clock.
    pub(super) fn may_leave(&self, target: &Target) -> Result<(), SubmitError> {
        if target.is_over(self.now) {
            return Err(error(ErrorClass::Unreachable, Sent::No, "too late to be sent"));
        }
        Ok(())
    }

    pub(super) fn submit(&mut self, target: &Target, change: &Change) -> Result<Submitted, SubmitError> {
        self.counters.changes += 1;
        if let Some(not_after) = target.not_after.filter(|not_after| self.now > *not_after) {
            self.counters.sent_late.push((change.kind(), self.now.duration_since(not_after)));
        }
        self.judge(target, change)?;
        let Fault { delivery, effect } = self.faults.next_change();
        match delivery {
            Delivery::Answered => self.carry_out(target, change, effect),
            Delivery::NotSent => Err(error(ErrorClass::Unreachable, Sent::No, "connection refused")),
            Delivery::RequestLost => Err(lost()),
            Delivery::AnswerLost => {
                let _ = self.carry_out(target, change, effect);
                Err(lost())
            }
            Delivery::Late(after) => {
                let at = self.now + after;
                self.late.push(Late { at, target: target.clone(), change: change.clone(), effect });
                Err(lost())
            }
        }
    }

    /// What the call itself can tell before it is sent.
    fn judge(&mut self, target: &Target, change: &Change) -> Result<(), SubmitError> {
        let there = self.machines.get(&target.machine.vmid);
        match change {
            Change::Clone { .. } => {
                let is_of_earlier = |machine: &&ModelMachine| {
                    let mark = OwnerMark::find(&machine.config.description);
                    mark == Some(target.mark) || (mark.is_none() && machine.lock.as_deref() == Some("clone"))
                };
                self.counters.clones_over += u32::from(there.as_ref().is_some_and(is_of_earlier));
                return Ok(());
            }
            // A volume is no machine.
            Change::DeleteBackup(_) => return Ok(()),
            Change::Configure(_) | Change::Import { .. } => {
                self.counters.unguarded += u32::from(target.revision.is_none());
            }
            Change::RestoreBackup { backup, identity, .. } => {
                self.judge_archive(target, backup, *identity)?;
            }
            _ => {}
        }
        match there {
            Some(machine) if takes_husks(change) && is_husk_of(target, machine) => Ok(()),
            Some(machine) if !is_target(target, machine) => {
                // One that left too late had been looked at, only too long ago.
                self.counters.misdirected += u32::from(!target.is_over(self.now));
                Err(error(ErrorClass::Refused, Sent::No, "that is somebody else's machine"))
            }
            _ => Ok(()),
        }
    }

    /// A number that is never given twice.
    pub(super) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    pub(super) fn new_smbios(&mut self) -> SmbiosUuid {
        SmbiosUuid(uuid::Uuid::from_u128((0xc1_0e << 96) | u128::from(self.number())))
    }

    pub(super) fn new_volume(&mut self, vmid: Vmid, storage: &StorageId) -> String {
        let name = format!("{storage}:vm-{vmid}-disk-{}", self.number());
        self.volumes.insert(
            name.clone(),
            Volume { vmid, storage: storage.clone(), made_at: Some(self.now), copy_of: None },
        );
        name
    }
}

/// Whether a machine is the one that a change is meant for.
pub(super) fn is_target(target: &Target, machine: &ModelMachine) -> bool {
    match target.smbios {
        Some(uuid) => machine.config.smbios == Some(uuid),
        None => OwnerMark::find(&machine.config.description) == Some(target.mark),
    }
}

/// Whether a husk is as good as the machine.
fn takes_husks(change: &Change) -> bool {
    matches!(change, Change::Destroy(_) | Change::RestoreBackup { .. })
}

/// Whether it is what a restore left where the target's machine was.
pub(super) fn is_husk_of(target: &Target, machine: &ModelMachine) -> bool {
    target.smbios.is_some() && machine.lock.is_none() && machine.config.is_husk()
}

/// Whether the configuration is another than the one that was decided on.
pub(super) fn is_outdated(target: &Target, machine: &ModelMachine) -> bool {
    target.revision.is_some() && target.revision != revision(machine.revision)
}

pub(super) fn error(class: ErrorClass, sent: Sent, message: &str) -> SubmitError {
    SubmitError { class, sent, message: message.to_owned() }
}

pub(super) fn answered(class: ErrorClass, message: &str) -> SubmitError {
    error(class, Sent::Answered, message)
}

fn lost() -> SubmitError {
    error(ErrorClass::Unknown, Sent::Unknown, "connection reset")
}
