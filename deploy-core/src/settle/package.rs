//! What to write down about an order that takes another's place.

use super::Settling;
use crate::{
    Assignment, Commit, DiskSlot, Family, LogEvent, Numbered, Operation, Order, Remembered, Replacing,
    life::Wanted,
};

impl Settling<'_> {
    pub(super) fn ran(&self) -> Commit {
        let mut commit = Commit::default();
        let life = self.life_of(&mut commit);
        match &mut life.suspended {
            Some(suspension) if self.record.operation == Operation::Suspend => suspension.ran = true,
            _ => life.ran = true,
        }
        commit
    }

    /// Which disk is freed in the end is fixed before the other one is in its place.
    pub(super) fn replaces(&self, old: String) -> Commit {
        let what = format!("the disk that is replaced is {old}");
        let mut commit = Commit { log: Some(self.line(LogEvent::Noted { what })), ..Commit::default() };
        if let Some(replacing) = &mut self.life_of(&mut commit).replacing {
            replacing.old = Some(old);
        }
        commit
    }

    /// From here on the new order is what every goal compares with.
    pub(super) fn package(&self, slots: Vec<DiskSlot>, replacing: Option<Replacing>) -> Commit {
        let record = self.record;
        let mut commit = Commit::default();
        let Some(wanted) = self.life_of(&mut commit).wanted.take() else { return Commit::default() };
        let Wanted { spec, macs, retiring } = *wanted;
        let life = self.life_of(&mut commit);
        life.replacing = replacing;
        life.retiring.extend(retiring.into_iter().filter(|held| !record.life.retiring.contains(held)));
        let password = |spec: &crate::VmSpec| spec.cloud_init.as_ref().and_then(|told| told.password.clone());
        if password(&spec) != password(&record.spec) {
            commit.remembered = self.without(&[Remembered::PasswordWritten]);
        }
        // It was resolved when the command began, with the same number.
        let numbered = Numbered::resolve(&spec, &record.external_ref, record.numbered.vmid);
        commit.numbered = numbered.ok().filter(|numbered| *numbered != record.numbered);
        commit.slots = Some(slots);
        commit.order = Some(Box::new(Order { spec, macs }));
        commit.log = Some(self.line(LogEvent::Noted { what: "the new order is in force".to_owned() }));
        commit
    }

    /// Addresses in the order in which the guest has them: those that stay keep their place, and one that comes for another takes
    /// its place, so that the main address of a NIC stays the first.
    pub(super) fn in_place(&self, assigned: &[Assignment]) -> Vec<Assignment> {
        let mut fresh = assigned.to_vec();
        fresh.retain(|new| !self.record.addresses.iter().any(|old| old.address == new.address));
        let mut placed = Vec::with_capacity(assigned.len());
        for old in &self.record.addresses {
            let is_alike =
                |new: &Assignment| new.nic == old.nic && Family::of(new.address) == Family::of(old.address);
            if let Some(kept) = assigned.iter().find(|held| held.address == old.address) {
                placed.push(kept.clone());
            } else if let Some(at) = fresh.iter().position(is_alike) {
                placed.push(fresh.remove(at));
            }
        }
        placed.extend(fresh);
        placed
    }
}
