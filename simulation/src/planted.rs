use clap::ValueEnum;
use deploy_core::{Commit, Machine, Operation, Sighting, Step, Target, VmRecord};
use ipnet::IpNet;
use std::fmt;

/// A bug that is planted on the way to the cluster or to the store: a simulation that does not see it proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Planted {
    /// A look that gets no answer says that nothing is there.
    FalseAbsence,
    /// Settings are sent without the revision that they were decided on.
    NoRevision,
    /// Addresses are replaced, and the firewall's sets are taken for refreshed.
    StaleFilter,
    /// A start that is under way forgets that the machine is suspended.
    ForgottenSuspension,
}

impl fmt::Display for Planted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::FalseAbsence => "false-absence",
            Self::NoRevision => "no-revision",
            Self::StaleFilter => "stale-filter",
            Self::ForgottenSuspension => "forgotten-suspension",
        })
    }
}

impl Planted {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::FalseAbsence, Self::NoRevision, Self::StaleFilter, Self::ForgottenSuspension];

    /// What is seen with the bug, of the machine that a record is about.
    pub(crate) fn seen(self, sighting: Sighting, record: Option<&VmRecord>) -> Sighting {
        match (self, sighting, record) {
            (Self::FalseAbsence, Sighting::Unknown(_), _) => Sighting::ProvenAbsent,
            (Self::StaleFilter, Sighting::Seen(mut machine), Some(record)) => {
                refreshed(&mut machine, record);
                Sighting::Seen(machine)
            }
            (_, sighting, _) => sighting,
        }
    }

    /// What is asked for with the bug.
    pub(crate) fn target(self, target: &Target) -> Target {
        match self {
            Self::NoRevision => Target { revision: None, ..target.clone() },
            _ => target.clone(),
        }
    }

    /// What is written down with the bug.
    pub(crate) fn commit(self, record: &VmRecord, mut commit: Commit) -> Commit {
        let forgets = self == Self::ForgottenSuspension && record.step == Step::Starting;
        if forgets && commit.step == Some(Step::Suspended) {
            commit.step = Some(Step::Ready);
            let life = commit.life.get_or_insert_with(|| Box::new(record.life.clone()));
            life.suspended = None;
        }
        commit
    }
}

/// While a package is changed, each set that is there seems to have the addresses that the record says.
fn refreshed(machine: &mut Machine, record: &VmRecord) {
    let Some(firewall) = machine.firewall.as_mut().filter(|_| record.operation == Operation::ChangePackage)
    else {
        return;
    };
    for (nic, members) in &mut firewall.filters {
        let held = record.addresses.iter().filter(|held| held.nic == *nic);
        *members = held.map(|held| IpNet::from(held.address)).collect();
    }
}
