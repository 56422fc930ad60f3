use crate::{CommitError, DnsEntry, DnsName, DnsRecord, Doorbell, ProviderName, StoreError, VmKey, VmRecord};
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use std::{net::IpAddr, sync::Arc};

/// The queue of machines whose DNS records are due, and what is known of those records.
///
/// It is apart from the machines' leases: what is wrong with DNS never holds a machine back, and the other way round.
///
/// # Guarantees
/// - **Level-triggered.** Whatever may change a machine's records (its addresses, its name, the operation it is in) marks
///   it as due in the same transaction. A mark that comes while the machine is claimed makes it due again afterwards.
/// - A machine is claimed by one worker at a time, for so long and no longer. The claim carries a token, which grows with every
///   claim; what is written under it is written only while it matches.
/// - A name of a zone belongs to one machine at a time, as long as any record of it [may stand](DnsEntry::may_stand) there.
/// - Every call is one transaction. Times are the store's clock's.
///
/// # Cancel safety
/// A dropped write may have been carried out. A worker that does not know ends its turn; the next one reads again.
#[async_trait]
pub trait DnsStore: Send + Sync {
    /// Says by a fingerprint which zones there are and how they are used. Where it is another one than was said last, every
    /// machine that was ever marked is due. It costs the same however many there are.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn dns_plan(&self, fingerprint: u64) -> Result<(), StoreError>;

    /// Claims due machines that nobody has claimed, the longest due first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn claim_dns(&self, limit: usize, lasting: SignedDuration) -> Result<Vec<DnsClaimed>, StoreError>;

    /// When the next machine can be claimed.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn next_dns_due(&self) -> Result<Option<Timestamp>, StoreError>;

    /// Changes a claimed machine's entries: all of it or nothing.
    ///
    /// # Errors
    /// [`DnsWriteError`].
    async fn write_dns(&self, claim: &DnsClaim, changes: &[DnsChange]) -> Result<(), DnsWriteError>;

    /// Ends a claim. The machine is due again at this time, or at once where it was marked or the zones were changed meanwhile.
    ///
    /// # Errors
    /// [`CommitError`].
    async fn finish_dns(&self, claim: &DnsClaim, due: Option<Timestamp>) -> Result<(), CommitError>;

    /// The other machine that has records at this name, or may have.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn dns_holder(&self, key: VmKey, record: &DnsRecord) -> Result<Option<VmKey>, StoreError>;

    /// Keeps a name for an address of a machine, or forgets it again, and marks the machine; says the mark.
    ///
    /// # Errors
    /// [`PtrError`].
    async fn set_ptr(&self, key: VmKey, address: IpAddr, name: Option<DnsName>) -> Result<i64, PtrError>;

    /// Marks a machine for a thorough turn: one that waits for no delay and looks also at what is published. Says the mark, or
    /// none where there is no such machine.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn refresh_dns(&self, key: VmKey) -> Result<Option<i64>, StoreError>;

    /// What is known of a machine's records; none where there is no such machine.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn dns_status(&self, key: VmKey) -> Result<Option<DnsStatus>, StoreError>;
}

/// Where a turn has a machine's DNS records set: in the queue, at the worker of this process that works on it, if there is one.
#[derive(Clone)]
pub struct DnsDesk {
    /// The queue.
    pub store: Arc<dyn DnsStore>,
    /// Tells that worker.
    pub doorbell: Arc<dyn Doorbell>,
}

/// The right to see to a machine's records, for a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DnsClaim {
    /// The machine.
    pub key: VmKey,
    /// The fencing token.
    pub token: i64,
}

/// A claimed machine.
#[derive(Debug, Clone, PartialEq)]
pub struct DnsClaimed {
    /// The claim.
    pub claim: DnsClaim,
    /// Its record.
    pub record: VmRecord,
    /// Names that its addresses have instead of its own.
    pub names: Vec<(IpAddr, DnsName)>,
    /// Its entries, in the order of their records.
    pub entries: Vec<DnsEntry>,
    /// Whether no delay is waited for, and what is published is looked at too.
    pub thorough: bool,
}

/// A change of a machine's entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DnsChange {
    /// The entry of its record is this one now.
    Put(DnsEntry),
    /// There is no entry of this record any more.
    Forget(DnsRecord),
}

/// How a machine's records are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsStatus {
    /// The entries, in the order of their records.
    pub entries: Vec<DnsEntry>,
    /// Names that its addresses have instead of its own, in the order of the addresses.
    pub names: Vec<(IpAddr, DnsName)>,
    /// How many times something happened that may change its records.
    pub mark: i64,
    /// The mark that the last finished turn began with.
    pub done: i64,
    /// When its next turn is, if one is due.
    pub due: Option<Timestamp>,
}

impl DnsStatus {
    /// Whether all that happened was seen to, successfully or not.
    pub fn is_settled(&self) -> bool {
        self.done >= self.mark
    }
}

/// Entries could not be changed. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DnsWriteError {
    /// The claim is over: another worker has the machine, or may have.
    #[error("the machine's DNS records belong to another worker now")]
    Fenced,
    /// A name is another machine's.
    #[error("{name} is still a name of machine {by}")]
    Held {
        /// The name.
        name: DnsName,
        /// The zone's provider.
        provider: ProviderName,
        /// The machine.
        by: VmKey,
    },
    /// The store could not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<CommitError> for DnsWriteError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Fenced => Self::Fenced,
            CommitError::Store(error) => Self::Store(error),
        }
    }
}

/// The name of an address could not be set. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PtrError {
    /// There is no such machine.
    #[error("there is no machine {0}")]
    NotFound(VmKey),
    /// It does not hold the address.
    #[error("machine {key} does not hold {address}")]
    NotHeld {
        /// The machine.
        key: VmKey,
        /// The address.
        address: IpAddr,
    },
    /// The name is none that an address can have.
    #[error(transparent)]
    Invalid(#[from] crate::Invalid),
    /// The store could not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}
