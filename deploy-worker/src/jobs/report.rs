use super::{OrphanReport, SnapshotReport, TrafficReport};
use crate::{AuditReport, Pruned, TickReport};
use deploy_core::{ClusterName, JobOutcome};
use jiff::{SignedDuration, Timestamp};
use std::fmt;

/// What came of a job at a tick.
#[derive(Debug, Clone, PartialEq)]
pub enum JobTick {
    /// It ran.
    Ran {
        /// What it came to, as it is kept.
        outcome: JobOutcome,
        /// How long it took.
        took: SignedDuration,
        /// All of what it found, where it ended by itself.
        report: Option<Report>,
    },
    /// Nothing was done: its last run began too short a time ago.
    Early {
        /// When the next one may begin.
        next: Timestamp,
    },
    /// Nothing was done: somebody else runs it.
    Busy {
        /// Who.
        info: String,
        /// Since when.
        since: Timestamp,
    },
    /// Nothing was done: it is not in the plan.
    Off,
    /// Nothing was done: the store could not be asked.
    Unasked(String),
}

impl fmt::Display for JobTick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ran { outcome, .. } => outcome.fmt(f),
            Self::Early { next } => write!(f, "too early; next at {next:.0}"),
            Self::Busy { info, since } => write!(f, "{info} runs it, since {since:.0}"),
            Self::Off => f.write_str("not in the plan"),
            Self::Unasked(why) => write!(f, "failed: {why}"),
        }
    }
}

/// All that a job found.
#[derive(Debug, Clone, PartialEq)]
pub enum Report {
    /// Of [`Job::Process`](deploy_core::Job::Process).
    Process(TickReport),
    /// Of [`Job::Audit`](deploy_core::Job::Audit).
    Audit(AuditReport),
    /// Of [`Job::Snapshots`](deploy_core::Job::Snapshots).
    Snapshots(SnapshotReport),
    /// Of [`Job::Orphans`](deploy_core::Job::Orphans).
    Orphans(OrphanReport),
    /// Of [`Job::Traffic`](deploy_core::Job::Traffic).
    Traffic(TrafficReport),
    /// Of [`Job::Retention`](deploy_core::Job::Retention).
    Retention(Pruned),
}

impl Report {
    /// What is kept of it. A job that could not ask some of the clusters has failed, and says what it did all the same.
    pub(super) fn outcome(&self) -> JobOutcome {
        let summary = self.summary();
        match self.unread() {
            [] => JobOutcome::Done { summary },
            unread => {
                let unread: Vec<String> =
                    unread.iter().map(|(cluster, why)| format!("{cluster}: {why}")).collect();
                JobOutcome::Failed { message: format!("{summary}; not read: {}", unread.join("; ")) }
            }
        }
    }

    fn summary(&self) -> String {
        match self {
            Self::Process(TickReport {
                machines, ready, terminated, waiting, attention, notices, ..
            }) => format!(
                "{machines} machines were due: {ready} ready, {terminated} gone, {waiting} on their way, {attention} need a \
                 human; {notices} notices"
            ),
            Self::Audit(AuditReport { machines, missing, checked, .. }) => {
                format!(
                    "{machines} machines rest, {missing} not where they are listed, {} looked at",
                    checked.len()
                )
            }
            Self::Snapshots(SnapshotReport { machines, deleted, failed, .. }) => format!(
                "{machines} machines have snapshots, {} deleted, {} could not be",
                deleted.len(),
                failed.len()
            ),
            Self::Orphans(OrphanReport { machines, addresses, unlooked, .. }) => format!(
                "{} machines and {} addresses belong to nobody; {unlooked} machines of others were not looked at",
                machines.len(),
                addresses.len()
            ),
            Self::Traffic(TrafficReport { counted, left_out, .. }) => {
                format!("{counted} machines counted, {left_out} could not be")
            }
            Self::Retention(Pruned { log_entries }) => {
                format!("{log_entries} entries of the deploy log deleted")
            }
        }
    }

    fn unread(&self) -> &[(ClusterName, String)] {
        match self {
            Self::Process(_) | Self::Retention(_) => &[],
            Self::Audit(report) => &report.unread,
            Self::Snapshots(report) => &report.unread,
            Self::Orphans(report) => &report.unread,
            Self::Traffic(report) => &report.unread,
        }
    }
}
