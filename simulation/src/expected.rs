use crate::{
    commands::{Given, draw},
    customer::Wish,
};
use deploy_core::{
    Command, CommandOutcome, Draw, Family, NicSlot, Resume, SnapshotName, Step, VmRecord, VmSpec,
};
use std::collections::BTreeSet;

/// What the commands that were carried out make of a machine, in the order in which they were.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools)] // independent of each other
pub(crate) struct Expected {
    pub(crate) spec: VmSpec,
    pub(crate) runs: bool,
    /// With whether it ran before.
    pub(crate) suspended: Option<bool>,
    pub(crate) removed: bool,
    pub(crate) terminated: bool,
    pub(crate) snapshots: BTreeSet<SnapshotName>,
    /// How often it was made from its template.
    pub(crate) clones: u64,
    /// Its disks were taken back once, so that those that came later are kept beside it.
    pub(crate) rolled_back: bool,
}

impl Expected {
    pub(crate) fn of(record: &VmRecord, wish: &Wish) -> Self {
        let mut expected = Self {
            spec: wish.spec.clone(),
            runs: true,
            suspended: None,
            removed: false,
            terminated: wish.takes_back,
            snapshots: BTreeSet::new(),
            clones: 1,
            rolled_back: false,
        };
        for settled in record.life.settled.iter().filter(|settled| settled.outcome == CommandOutcome::Done) {
            if let Some(given) = wish.given.iter().find(|given| given.id == settled.id) {
                expected.carry_out(given);
            }
        }
        expected
    }

    fn carry_out(&mut self, given: &Given) {
        match &given.command {
            Command::Terminate => self.terminated = true,
            Command::Start | Command::Restart(_) => self.runs = true,
            Command::Stop(_) => self.runs = false,
            Command::Suspend if self.suspended.is_none() => {
                self.suspended = Some(self.runs);
                self.runs = false;
            }
            Command::Unsuspend(how) => {
                if let Some(ran) = self.suspended.take() {
                    self.runs = *how == Resume::Started || ran;
                }
            }
            Command::ChangePackage(package) => self.spec = package.spec.clone(),
            Command::SetCredentials(new) => {
                if let Some(told) = &mut self.spec.cloud_init {
                    told.user = new.user.clone().or(told.user.take());
                    told.password = new.password.clone().or(told.password.take());
                    told.ssh_keys =
                        new.ssh_keys.clone().unwrap_or_else(|| std::mem::take(&mut told.ssh_keys));
                }
            }
            Command::AddAddress(nic, family) => self.draws(*nic, *family, |count| count + 1),
            Command::RemoveAddress(address) => {
                if let Some(nic) = given.nic {
                    self.draws(nic, Family::of(*address), |count| count - 1);
                }
            }
            Command::Reinstall(new) => {
                self.spec.template = new.template.clone().unwrap_or(self.spec.template.clone());
                self.spec.cloud_init = new.cloud_init.clone().or(self.spec.cloud_init.take());
                self.is_made();
                self.is_started();
            }
            Command::RunOn(_) => {
                if self.removed {
                    self.is_made();
                }
                self.is_started();
            }
            Command::Step(Step::Clone) if self.removed => {
                self.is_made();
                self.runs = false;
            }
            Command::Remove => {
                self.removed = true;
                self.snapshots.clear();
            }
            Command::CreateSnapshot(new) => {
                self.snapshots.insert(new.name.clone());
            }
            Command::DeleteSnapshot(name) => {
                self.snapshots.remove(name);
            }
            Command::RollBack(_) => self.rolled_back = true,
            _ => {}
        }
    }

    /// It runs, but for a suspension.
    fn is_started(&mut self) {
        match &mut self.suspended {
            Some(ran) => *ran = true,
            None => self.runs = true,
        }
    }

    fn is_made(&mut self) {
        self.clones += 1;
        self.removed = false;
        self.rolled_back = false;
        self.snapshots.clear();
    }

    fn draws(&mut self, nic: NicSlot, family: Family, count: impl Fn(u8) -> u8) {
        if let Some(of_family) = draw(&mut self.spec, nic, family) {
            let (had, pools) = of_family.take().map_or((0, Vec::new()), |draw| (draw.count, draw.pools));
            let count = count(had);
            *of_family = (count > 0).then_some(Draw { count, pools });
        }
    }

    /// Where it rests.
    pub(crate) fn rest(&self) -> Step {
        match (self.terminated, self.removed, self.suspended) {
            (true, ..) => Step::Terminated,
            (_, true, _) => Step::Removed,
            (_, _, Some(_)) => Step::Suspended,
            _ => Step::Ready,
        }
    }
}
