use crate::{
    Admission, ClusterName, Command, CommandId, Commit, Denied, DnsName, Due, ExternalRef, Invalid, LogEntry,
    LogId, NewRecord, NodeName, NoticeId, QueuedNotice, Step, VmKey, VmRecord, Vmid, VmidRange, WorkerId,
};
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// The store as workers see it.
///
/// # Guarantees
/// - A record is leased to one worker at a time. The lease carries the fencing token (`epoch`), which grows with every
///   lease; whatever a worker writes is written only while both match.
/// - A commit is one transaction: fields, log line, notice and consumed command, or nothing.
/// - A record with waiting commands is due, whatever its commits say.
/// - Lease arithmetic uses the store's clock, never the worker's.
///
/// # Cancel safety
/// A dropped write may have been carried out. A worker that does not know reloads and compares.
#[async_trait]
pub trait LeaseStore: Send + Sync {
    /// Says that a worker lives, for so long; called at its start and then well before the time is over.
    ///
    /// # Errors
    /// [`CommitError::Fenced`] where the worker's time was over and its machines may already be somebody else's: it must
    /// drop them all and come back under a new id.
    async fn heartbeat(&self, worker: &WorkerInfo, alive_for: SignedDuration) -> Result<(), CommitError>;

    /// Takes a worker off and releases all it holds.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn retire(&self, worker: WorkerId) -> Result<(), StoreError>;

    /// Leases due records that nobody holds, the longest due first, at most `limit`; only while the worker lives.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn claim(&self, worker: WorkerId, limit: usize) -> Result<Vec<Leased>, StoreError>;

    /// Reads a leased record again, with its waiting commands.
    ///
    /// # Errors
    /// [`CommitError`].
    async fn reload(&self, lease: &Lease) -> Result<VmRecord, CommitError>;

    /// Writes down a commit. A log line equal to the record's last one ([`LogEntry::folds`]) is counted there. A commit
    /// that ends at [`Step::Terminated`](crate::Step::Terminated) frees the reference, and the number after the cluster's
    /// quarantine.
    ///
    /// # Errors
    /// [`CommitError`].
    async fn commit(&self, lease: &Lease, commit: Commit) -> Result<(), CommitError>;

    /// Ends a lease; the record can be claimed when it is due.
    ///
    /// # Errors
    /// [`CommitError`].
    async fn release(&self, lease: &Lease) -> Result<(), CommitError>;

    /// Reserves another number for a machine whose number `taken` turned out to be a stranger's. The machine keeps
    /// `taken` reserved too, so that nobody else runs into it; asked again before the new number was committed, it answers
    /// the same.
    ///
    /// # Errors
    /// [`RenumberError`].
    async fn renumber(&self, lease: &Lease, taken: Vmid) -> Result<Vmid, RenumberError>;

    /// Releases what workers hold whose time is over, and says how many records. Safe to repeat, and for several workers
    /// to do at once.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn sweep(&self) -> Result<u64, StoreError>;

    /// Machines that are ready or suspended and of which nothing is due, in the order of their keys, after this one, at most so many.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn resting(&self, after: Option<VmKey>, limit: usize) -> Result<Vec<Resting>, StoreError>;

    /// Makes a machine due that is ready or suspended and of which nothing is due, for a look whether it is still there. Of any other
    /// nothing is changed. Needs no lease, like a command: what comes of it is done under one.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn check(&self, key: VmKey) -> Result<(), StoreError>;

    /// When the next record that nobody holds is due.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError>;

    /// Notices that wait to be delivered, oldest first, for this worker to deliver: as long as it lives no other one gets
    /// them, nor any later ones of their machines. Asked again, it gets the same and what came since.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn notices(&self, worker: WorkerId, limit: usize) -> Result<Vec<QueuedNotice>, StoreError>;

    /// Notes that a notice was delivered; noting it twice is fine.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn delivered(&self, id: NoticeId) -> Result<(), StoreError>;
}

/// The store as panels see it.
///
/// # Guarantees
/// Every call is one transaction.
#[async_trait]
pub trait RecordStore: Send + Sync {
    /// Writes down a cluster's settings; changing them does not touch numbers already reserved.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn put_cluster(&self, settings: &ClusterSettings) -> Result<(), StoreError>;

    /// All clusters by name.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn clusters(&self) -> Result<Vec<ClusterSettings>, StoreError>;

    /// Writes down an order: reserves a number of the cluster's range that no record that is not terminated has and that
    /// is not in quarantine, resolves the names, and writes the log's first line. Numbers are given in turn, not the
    /// lowest first, so that a number comes back as late as possible.
    ///
    /// Where it [adopts](NewRecord::adopts) a machine, that machine's number is reserved instead, also outside of the range: if no
    /// record that is not terminated has it reserved, and if it does not rest. After an adoption that was let go of
    /// ([`Life::adopts`](crate::Life::adopts)) a number does not rest for another one, for nothing was done to its machine.
    ///
    /// # Errors
    /// [`CreateError`].
    async fn create(&self, order: &NewRecord) -> Result<Created, CreateError>;

    /// Queues a command, if [`admit`](crate::admit) takes it; judged and written in one transaction. The record is due at
    /// once.
    ///
    /// # Errors
    /// [`CommandError`].
    async fn command(&self, key: VmKey, id: CommandId, command: Command) -> Result<Admission, CommandError>;

    /// The record of a machine.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn get(&self, key: VmKey) -> Result<Option<VmRecord>, StoreError>;

    /// The record that is not terminated and has this reference; without one, the terminated one that was ordered last.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn by_reference(&self, reference: &ExternalRef) -> Result<Option<VmRecord>, StoreError>;

    /// Records in the order of their keys.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn list(&self, query: &ListQuery) -> Result<Vec<VmRecord>, StoreError>;

    /// A machine's log after an entry, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn log(&self, key: VmKey, after: LogId, limit: usize) -> Result<Vec<LogEntry>, StoreError>;

    /// Every machine's log after an entry, oldest first: what happened since.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn events(&self, after: LogId, limit: usize) -> Result<Vec<LogEntry>, StoreError>;
}

/// What a store must know of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterSettings {
    /// Its name.
    pub name: ClusterName,
    /// The numbers it gives to our machines. Nobody else should use them.
    pub vmids: VmidRange,
    /// How long a number rests after its machine is gone: a request that was lost may still arrive, and backups of the
    /// old machine carry its number.
    pub quarantine: SignedDuration,
}

/// A worker process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerInfo {
    /// Its id, fresh at every start.
    pub id: WorkerId,
    /// Who it is, for people: host, process id.
    pub info: String,
}

/// The right to act on a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The machine.
    pub key: VmKey,
    /// The worker.
    pub worker: WorkerId,
    /// The fencing token.
    pub epoch: i64,
}

/// A leased record.
#[derive(Debug, Clone, PartialEq)]
pub struct Leased {
    /// The lease.
    pub lease: Lease,
    /// The record.
    pub record: VmRecord,
}

impl Leased {
    /// A record as it was just leased.
    pub fn new(lease: Lease, record: VmRecord) -> Self {
        Self { lease, record }
    }
}

/// A machine that is ready or suspended and of which nothing is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resting {
    /// Its key.
    pub key: VmKey,
    /// Its cluster.
    pub cluster: ClusterName,
    /// Its number.
    pub vmid: Vmid,
    /// Its name in the hypervisor: another machine under its number has another one, as a rule.
    pub name: DnsName,
    /// The node it was last seen on.
    pub node: NodeName,
}

impl Resting {
    /// The record's, if it rests so.
    pub fn of(record: &VmRecord) -> Option<Self> {
        let rests = matches!(record.step, Step::Ready | Step::Suspended);
        (rests && record.due == Due::OnCommand).then(|| Self {
            key: record.key,
            cluster: record.spec.cluster.clone(),
            vmid: record.numbered.vmid,
            name: record.numbered.pve_name.clone(),
            node: record.node.clone(),
        })
    }
}

/// Which records to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListQuery {
    /// Only of this cluster.
    pub cluster: Option<ClusterName>,
    /// Also the terminated ones.
    pub terminated: bool,
    /// Only after this key.
    pub after: Option<VmKey>,
    /// At most so many.
    pub limit: usize,
}

impl Default for ListQuery {
    fn default() -> Self {
        Self { cluster: None, terminated: false, after: None, limit: 1000 }
    }
}

/// The outcome of an order.
#[derive(Debug, Clone, PartialEq)]
pub enum Created {
    /// It was written down.
    New(VmRecord),
    /// A machine with this reference exists; nothing was written.
    Existing(VmRecord),
}

impl Created {
    /// The record, new or not.
    pub fn record(&self) -> &VmRecord {
        match self {
            Self::New(record) | Self::Existing(record) => record,
        }
    }
}

/// The store could not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("store: {message}")]
pub struct StoreError {
    /// What happened, in words.
    pub message: String,
    /// Whether it may have been written all the same.
    pub outcome: StoreOutcome,
}

/// Whether a failed write may have been carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreOutcome {
    /// Nothing was written.
    NotWritten,
    /// Nobody knows: reload and compare.
    Unknown,
}

impl StoreError {
    /// An error after which nothing was written.
    pub fn not_written(message: impl Into<String>) -> Self {
        Self { message: message.into(), outcome: StoreOutcome::NotWritten }
    }
}

/// A worker's write failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// The lease is no longer ours: drop the machine, never try the write again.
    #[error("the machine belongs to another worker now")]
    Fenced,
    /// The store could not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Another number could not be reserved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenumberError {
    /// The lease is no longer ours.
    #[error("the machine belongs to another worker now")]
    Fenced,
    /// Every number of the range is taken.
    #[error("cluster {cluster}: all numbers from {} to {} are taken", range.first(), range.last())]
    Exhausted {
        /// The cluster.
        cluster: ClusterName,
        /// Its range.
        range: VmidRange,
    },
    /// The store could not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An order could not be written down. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// The order contradicts itself.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The cluster is not configured.
    #[error("cluster: {0} is not configured")]
    UnknownCluster(ClusterName),
    /// Every number of the range is taken.
    #[error("cluster {cluster}: all numbers from {} to {} are taken", range.first(), range.last())]
    NoNumber {
        /// The cluster.
        cluster: ClusterName,
        /// Its range.
        range: VmidRange,
    },
    /// The machine that is to be adopted has a number that is reserved for another record's.
    #[error("{}", reserved(cluster, *vmid, reference, *until))]
    Reserved {
        /// The cluster.
        cluster: ClusterName,
        /// The number.
        vmid: Vmid,
        /// The reference of that record.
        reference: ExternalRef,
        /// Until then it rests, where that record is terminated.
        until: Option<Timestamp>,
    },
    /// The store could not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn reserved(cluster: &ClusterName, vmid: Vmid, reference: &ExternalRef, until: Option<Timestamp>) -> String {
    let of = format!("number {vmid} of cluster {cluster}");
    match until {
        None => format!("{of} is reserved for the machine of {reference}"),
        // What was sent to the machine that had it may still arrive.
        Some(until) => format!("{of} rests until {until}, after the machine of {reference}; adopt then"),
    }
}

/// A command could not be queued. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// There is no such machine.
    #[error("there is no machine {0}")]
    NotFound(VmKey),
    /// It is not possible now.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The store could not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}
