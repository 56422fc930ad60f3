//! The seams: what the core needs from the outside, as traits.
//!
//! Each is small and held as `Arc<dyn _>`; its documentation says what it guarantees and what its caller may rely on, and
//! `deploy-testkit` has a suite that holds every implementation to that.

mod address;
mod address_audit;
mod clock;
mod dns;
mod dns_entry;
mod doorbell;
mod entropy;
mod gate;
mod hypervisor;
mod job;
mod lock;
mod notifier;
mod retention;
mod span;
mod store;
mod surveyor;
mod traffic;

pub use address::{
    AddressRange, AddressRequest, AddressStore, AssignError, Assignment, HeldAddress, IpPool, Pool,
    PoolError, PoolUsage, TakeError, Want,
};
pub use address_audit::{AddressAudit, OrphanedAddress};
pub use clock::Clock;
pub use dns::{DnsChange, DnsClaim, DnsClaimed, DnsDesk, DnsStatus, DnsStore, DnsWriteError, PtrError};
pub use dns_entry::{DnsData, DnsEntry, DnsKind, DnsRecord, DnsState, reverse_name};
pub use doorbell::{Doorbell, NoDoorbell};
pub use entropy::Entropy;
pub use gate::{Gate, OpenGate, Slot};
pub use hypervisor::{Ended, Holder, Hypervisor, LookError, Sent, SubmitError, Submitted, TaskState};
pub use job::{Job, JobOutcome, JobReport, JobRun, JobRunning, JobStart, JobState, JobStore, JobTerms};
pub use lock::{LockStore, LockedSince, SeenLock};
pub use notifier::{Notifier, NotifyError};
pub use retention::{LogKeep, LogPruned, LogRetention};
pub use span::Span;
pub use store::{
    ClusterSettings, CommandError, CommitError, CreateError, Created, Lease, LeaseStore, Leased, ListQuery,
    RecordStore, RenumberError, Resting, StoreError, StoreOutcome, WorkerInfo,
};
pub use surveyor::{
    GuestKind, Hidden, Inspected, Inspection, NodeState, RunningTask, Survey, Surveyed, Surveyor,
};
pub use traffic::TrafficStore;
