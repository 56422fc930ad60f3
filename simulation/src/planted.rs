use clap::ValueEnum;
use deploy_core::{Sighting, Target};
use std::fmt;

/// A bug that is planted on the way to the cluster: a simulation that does not see it proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Planted {
    /// A look that gets no answer says that nothing is there.
    FalseAbsence,
    /// Settings are sent without the revision that they were decided on.
    NoRevision,
}

impl fmt::Display for Planted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::FalseAbsence => "false-absence",
            Self::NoRevision => "no-revision",
        })
    }
}

impl Planted {
    /// What is seen with the bug.
    pub(crate) fn seen(self, sighting: Sighting) -> Sighting {
        match (self, sighting) {
            (Self::FalseAbsence, Sighting::Unknown(_)) => Sighting::ProvenAbsent,
            (_, sighting) => sighting,
        }
    }

    /// What is asked for with the bug.
    pub(crate) fn target(self, target: &Target) -> Target {
        match self {
            Self::NoRevision => Target { revision: None, ..target.clone() },
            Self::FalseAbsence => target.clone(),
        }
    }
}
