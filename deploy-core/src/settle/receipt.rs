//! What to write down about what became of a machine's resources.

use super::Settling;
use crate::{Change, Commit, Fate, Kept, Leftover, LogEvent, Operation, Receipt, Resource, Step, StopMode};
use std::net::IpAddr;

impl Settling<'_> {
    fn terminates(&self) -> bool {
        self.record.operation == Operation::Terminate
    }

    fn put_down(&self, resource: Resource, fate: Fate, commit: &mut Commit) {
        if self.terminates() {
            self.life_of(commit).put_down(resource, fate);
        }
    }

    /// What is kept, or not known, is also told in the log.
    pub(super) fn receipt(&self, lines: Vec<(Resource, Fate)>) -> Commit {
        let mut commit = Commit::default();
        for (resource, fate) in lines {
            if fate != Fate::Pending {
                // The next one has tries of its own.
                commit.failures = Some(0);
                let what = format!("{resource}: {fate}");
                commit.log = Some(self.line(LogEvent::Noted { what }));
            }
            self.put_down(resource, fate, &mut commit);
        }
        commit
    }

    /// A change is about to go out. Whether it was carried out is seen when its step is done.
    pub(super) fn receipt_of_change(&self, change: &Change, commit: &mut Commit) {
        let (resource, fate) = match change {
            Change::LeaveHa => (Resource::Ha, Fate::Pending),
            Change::Stop(StopMode::Hard) => (Resource::Guest, Fate::Stopped),
            Change::Stop(StopMode::Graceful { patience }) => {
                (Resource::Guest, Fate::ShutDown { patience: *patience })
            }
            Change::DeleteBackup(backup) => (backup.resource(), Fate::Pending),
            Change::Configure(configure) if configure.protected == Some(false) => {
                (Resource::Protection, Fate::Pending)
            }
            Change::Destroy(_) => (Resource::Machine(self.record.numbered.vmid), Fate::Pending),
            _ => return,
        };
        self.put_down(resource, fate, commit);
    }

    /// A step is done when it was seen that nothing is left of what it is about.
    pub(super) fn receipt_of_step(&self, commit: &mut Commit) {
        if !self.terminates() {
            return;
        }
        let record = self.record;
        let machine = Resource::Machine(record.numbered.vmid);
        if record.step == Step::Stopping && record.life.fate_of(&Resource::Guest).is_none() {
            self.put_down(Resource::Guest, Fate::NotRunning, commit);
        }
        match record.step {
            // Whatever went with a machine that nobody here destroyed was taken by somebody else.
            Step::Removing if record.life.fate_of(&machine).is_none() => {
                self.replace_pending(&Fate::AlreadyGone, commit);
                self.put_down(machine, Fate::AlreadyGone, commit);
            }
            Step::Stopping | Step::DeletingBackups | Step::Removing => {
                self.replace_pending(&Fate::Deleted, commit);
            }
            _ => {}
        }
    }

    fn replace_pending(&self, by: &Fate, commit: &mut Commit) {
        for line in &mut self.life_of(commit).receipt {
            if let Receipt::Resource { fate: fate @ Fate::Pending, .. } = line {
                fate.clone_from(by);
            }
        }
    }

    /// Also those that were given back before somebody died.
    pub(super) fn receipt_of_addresses(&self, released: &[IpAddr], commit: &mut Commit) {
        let known = self.record.addresses.iter().chain(&self.record.life.retiring).map(|held| held.address);
        for address in known.chain(released.iter().copied()) {
            self.put_down(Resource::Address(address), Fate::Deleted, commit);
        }
    }

    /// Of the disks that went with the machine, these are still there.
    pub(super) fn receipt_of_disks_left(&self, found: &[Leftover], commit: &mut Commit) {
        if found.is_empty() || !self.terminates() {
            return;
        }
        for line in &mut self.life_of(commit).receipt {
            if let Receipt::Resource { resource: Resource::Disk { volume, .. }, fate } = line
                && found.iter().any(|left| left.volume == *volume)
            {
                *fate = Fate::Kept(Kept::Unproven);
            }
        }
    }

    /// Volumes that no line names yet.
    pub(super) fn receipt_of_leftovers(&self, found: &[Leftover], commit: &mut Commit) {
        for Leftover { node, volume, .. } in found {
            let is_named = |line: &Receipt| matches!(line, Receipt::Resource { resource: Resource::Disk { volume: named, .. }, .. } if named == volume);
            if !self.record.life.receipt.iter().any(is_named) {
                let (node, volume) = (node.clone(), volume.clone());
                self.put_down(Resource::Leftover { node, volume }, Fate::Kept(Kept::Unproven), commit);
            }
        }
    }

    /// Whether disks are gone is not known either.
    pub(super) fn receipt_of_unknown_leftovers(&self, why: &str, commit: &mut Commit) {
        if !self.terminates() {
            return;
        }
        for line in &mut self.life_of(commit).receipt {
            if let Receipt::Resource { resource: Resource::Disk { .. }, fate: fate @ Fate::Pending } = line {
                *fate = Fate::NotKnown(why.to_owned());
            }
        }
        self.put_down(Resource::Leftovers, Fate::NotKnown(why.to_owned()), commit);
    }
}
