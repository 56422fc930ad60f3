use crate::{CommitError, Invalid, RunId, StoreError};
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Makes the enum and its names from one list, so that they cannot drift apart.
macro_rules! jobs {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// Work that is done now and then, by whichever process comes first: from cron, or by a worker that runs.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        #[non_exhaustive]
        pub enum Job {
            $($(#[$doc])* $variant,)*
        }

        impl Job {
            /// Every job.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The job's name.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

jobs! {
    /// Machines that are due are taken as far as they can be.
    Process = "process",
    /// Machines at rest are looked for.
    Audit = "audit",
    /// Snapshots whose time is over are deleted.
    Snapshots = "snapshots",
    /// What is on the clusters or holds addresses, and no record knows, is reported.
    Orphans = "orphans",
    /// Traffic is counted, for billing.
    Traffic = "traffic",
    /// What is old is deleted from logs and outbox.
    Retention = "retention",
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Job {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::ALL
            .iter()
            .copied()
            .find(|job| job.as_str() == text)
            .ok_or_else(|| Invalid::new("job", text, "the name of a job, such as \"traffic\""))
    }
}

crate::text::kept_as_text!(Job);

/// The locks of jobs, and how their last runs went.
///
/// # Guarantees
/// - Two runs of a job never have its lock at once. The lock of a run that gives no sign of life any more is free again when
///   its time is over; whoever comes late then is fenced.
/// - Every call is one transaction, and goes by the store's clock.
///
/// # Cancel safety
/// A dropped call may have been carried out. Asked again under the same run, it is answered the same.
#[async_trait]
pub trait JobStore: Send + Sync {
    /// Takes a job's lock for a run, if nobody has it and its last run began long enough ago. A run that died before it
    /// ended counts for no pause: the next one may begin as soon as its lock is free.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn begin_job(&self, job: Job, run: &JobRun, terms: JobTerms) -> Result<JobStart, StoreError>;

    /// Says that a run still works, for so much longer from now on.
    ///
    /// # Errors
    /// [`CommitError::Fenced`] where the lock is not this run's any more.
    async fn prolong_job(&self, job: Job, run: RunId, alive_for: SignedDuration) -> Result<(), CommitError>;

    /// Gives the lock back and keeps what the run came to; also of a run whose time was over. Ending twice is fine.
    ///
    /// # Errors
    /// [`CommitError::Fenced`] where another run has begun.
    async fn end_job(&self, job: Job, run: RunId, outcome: &JobOutcome) -> Result<(), CommitError>;

    /// Every job that was ever begun, in the order of [`Job::ALL`].
    ///
    /// # Errors
    /// [`StoreError`].
    async fn jobs(&self) -> Result<Vec<JobState>, StoreError>;
}

/// A run of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRun {
    /// Its id, fresh for each run.
    pub id: RunId,
    /// Who runs it, for people: host, process id.
    pub info: String,
}

/// What a run asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobTerms {
    /// The least time from the beginning of one run to the beginning of the next.
    pub gap: SignedDuration,
    /// How long the lock outlives the run's last sign of life.
    pub alive_for: SignedDuration,
}

/// Whether a run may begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobStart {
    /// It has the lock.
    Begun,
    /// The last run began too short a time ago.
    Early {
        /// When the next one may begin.
        next: Timestamp,
    },
    /// Another run has the lock.
    Busy {
        /// Who runs it.
        info: String,
        /// Since when.
        since: Timestamp,
    },
}

/// How a job stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobState {
    /// The job.
    pub job: Job,
    /// The run that has the lock, if one has.
    pub running: Option<JobRunning>,
    /// The last run that is over.
    pub last: Option<JobReport>,
}

/// A run that has its job's lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRunning {
    /// Who runs it.
    pub info: String,
    /// Since when.
    pub since: Timestamp,
}

/// A run that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobReport {
    /// When it began.
    pub began_at: Timestamp,
    /// When it ended; of one that died, when its lock was free again.
    pub ended_at: Timestamp,
    /// What it came to.
    pub outcome: JobOutcome,
}

impl JobReport {
    /// How long it took.
    pub fn took(&self) -> SignedDuration {
        self.ended_at.duration_since(self.began_at)
    }
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum JobOutcome {
    /// It did its work.
    Done {
        /// What it did, in words.
        summary: String,
    },
    /// It could not do it, or not all of it.
    Failed {
        /// Why, in words.
        message: String,
    },
    /// It never said: its process was killed, or lost the database.
    Died,
}

impl fmt::Display for JobOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done { summary } => f.write_str(summary),
            Self::Failed { message } => write!(f, "failed: {message}"),
            Self::Died => f.write_str("died before it ended"),
        }
    }
}
