//! Mocks of the seams, for tests that say call by call what is to happen.
//!
//! Made with [`mockall`]; each is named `Mock` and the seam. A test that only needs a store is better off with
//! [`MemoryStore`](crate::MemoryStore), which does what a store does.

use async_trait::async_trait;
use deploy_core::{
    AddressRange, AddressRequest, AddressStore, Admission, AssignError, Assignment, Backup, Backups, Change,
    Clock, ClusterName, ClusterSettings, Command, CommandError, CommandId, Commit, CommitError, CreateError,
    Created, Doorbell, Entropy, ExternalRef, Gate, HeldAddress, Holder, Hypervisor, IpPool, Lease,
    LeaseStore, Leased, Leftover, ListQuery, LogEntry, LogId, Look, LookError, MachineId, NewRecord,
    NoticeId, Notifier, NotifyError, Pool, PoolError, PoolName, PoolUsage, QueuedNotice, RecordStore,
    RenumberError, Resting, Shown, Sighting, Slot, StoreError, SubmitError, Submitted, Summary, TakeError,
    Target, TaskId, TaskState, VmKey, VmRecord, Vmid, Want, WorkerId, WorkerInfo,
};
use jiff::{SignedDuration, Timestamp};
use std::net::IpAddr;

mockall::mock! {
    /// A hypervisor that does what the test says.
    #[derive(Debug)]
    pub Hypervisor {}

    #[async_trait]
    impl Hypervisor for Hypervisor {
        async fn machine(&self, id: &MachineId, look: Look) -> Sighting;
        async fn tasks(&self, cluster: &ClusterName, tasks: &[TaskId]) -> Vec<TaskState>;
        async fn holder(&self, machine: &MachineId, lock: &str) -> Holder;
        async fn leftovers(&self, machine: &MachineId) -> Result<Vec<Leftover>, LookError>;
        async fn backups(&self, machine: &MachineId) -> Result<Backups, LookError>;
        async fn archived(&self, machine: &MachineId, backup: &Backup) -> Result<Shown, LookError>;
        async fn inventory(&self, cluster: &ClusterName) -> Result<Vec<Summary>, LookError>;
        async fn submit(&self, target: &Target, change: &Change) -> Result<Submitted, SubmitError>;
    }
}

mockall::mock! {
    /// An IP pool that does what the test says.
    #[derive(Debug)]
    pub IpPool {}

    #[async_trait]
    impl IpPool for IpPool {
        async fn assign(&self, lease: &Lease, requests: &[AddressRequest]) -> Result<Vec<Assignment>, AssignError>;
        async fn release(&self, lease: &Lease) -> Result<Vec<IpAddr>, AssignError>;
        async fn release_only(&self, lease: &Lease, addresses: &[IpAddr]) -> Result<Vec<IpAddr>, AssignError>;
    }
}

mockall::mock! {
    /// A store, as workers see it, that does what the test says.
    #[derive(Debug)]
    pub LeaseStore {}

    #[async_trait]
    impl LeaseStore for LeaseStore {
        async fn heartbeat(&self, worker: &WorkerInfo, alive_for: SignedDuration) -> Result<(), CommitError>;
        async fn retire(&self, worker: WorkerId) -> Result<(), StoreError>;
        async fn claim(&self, worker: WorkerId, limit: usize) -> Result<Vec<Leased>, StoreError>;
        async fn reload(&self, lease: &Lease) -> Result<VmRecord, CommitError>;
        async fn commit(&self, lease: &Lease, commit: Commit) -> Result<(), CommitError>;
        async fn release(&self, lease: &Lease) -> Result<(), CommitError>;
        async fn renumber(&self, lease: &Lease, taken: Vmid) -> Result<Vmid, RenumberError>;
        async fn sweep(&self) -> Result<u64, StoreError>;
        async fn resting(&self, after: Option<VmKey>, limit: usize) -> Result<Vec<Resting>, StoreError>;
        async fn check(&self, key: VmKey) -> Result<(), StoreError>;
        async fn next_due(&self) -> Result<Option<Timestamp>, StoreError>;
        async fn notices(&self, worker: WorkerId, limit: usize) -> Result<Vec<QueuedNotice>, StoreError>;
        async fn delivered(&self, id: NoticeId) -> Result<(), StoreError>;
    }
}

mockall::mock! {
    /// A store, as panels see it, that does what the test says.
    #[derive(Debug)]
    pub RecordStore {}

    #[async_trait]
    impl RecordStore for RecordStore {
        async fn put_cluster(&self, settings: &ClusterSettings) -> Result<(), StoreError>;
        async fn clusters(&self) -> Result<Vec<ClusterSettings>, StoreError>;
        async fn create(&self, order: &NewRecord) -> Result<Created, CreateError>;
        async fn command(&self, key: VmKey, id: CommandId, command: Command) -> Result<Admission, CommandError>;
        async fn get(&self, key: VmKey) -> Result<Option<VmRecord>, StoreError>;
        async fn by_reference(&self, reference: &ExternalRef) -> Result<Option<VmRecord>, StoreError>;
        async fn list(&self, query: &ListQuery) -> Result<Vec<VmRecord>, StoreError>;
        async fn log(&self, key: VmKey, after: LogId, limit: usize) -> Result<Vec<LogEntry>, StoreError>;
        async fn events(&self, after: LogId, limit: usize) -> Result<Vec<LogEntry>, StoreError>;
    }
}

mockall::mock! {
    /// A store of addresses that does what the test says.
    #[derive(Debug)]
    pub AddressStore {}

    #[async_trait]
    impl AddressStore for AddressStore {
        async fn put_pool(&self, pool: &Pool, usable: &[AddressRange]) -> Result<(), PoolError>;
        async fn delete_pool(&self, name: &PoolName) -> Result<(), PoolError>;
        async fn pools(&self) -> Result<Vec<PoolUsage>, StoreError>;
        async fn definitions(&self) -> Result<Vec<Pool>, StoreError>;
        async fn take(&self, lease: &Lease, wants: &[Want]) -> Result<Vec<HeldAddress>, TakeError>;
        async fn give_back(&self, lease: &Lease) -> Result<Vec<HeldAddress>, CommitError>;
        async fn give_back_only(&self, lease: &Lease, addresses: &[IpAddr]) -> Result<Vec<HeldAddress>, CommitError>;
        async fn held(&self, key: VmKey) -> Result<Vec<HeldAddress>, StoreError>;
    }
}

mockall::mock! {
    /// A clock that shows what the test says; mostly [`ManualClock`](crate::ManualClock) is handier.
    #[derive(Debug)]
    pub Clock {}

    impl Clock for Clock {
        fn now(&self) -> Timestamp;
    }
}

mockall::mock! {
    /// A source of randomness that gives what the test says.
    #[derive(Debug)]
    pub Entropy {}

    impl Entropy for Entropy {
        fn fill(&self, buffer: &mut [u8]);
    }
}

mockall::mock! {
    /// A gate that lets in whom the test says.
    #[derive(Debug)]
    pub Gate {}

    impl Gate for Gate {
        fn enter(&self, key: VmKey, slots: &[Slot]) -> Result<(), Slot>;
        fn leave(&self, key: VmKey);
    }
}

mockall::mock! {
    /// A notifier that delivers what the test says.
    #[derive(Debug)]
    pub Notifier {}

    #[async_trait]
    impl Notifier for Notifier {
        async fn notify(&self, notice: &QueuedNotice) -> Result<(), NotifyError>;
    }
}

mockall::mock! {
    /// A doorbell that is watched.
    #[derive(Debug)]
    pub Doorbell {}

    impl Doorbell for Doorbell {
        fn ring(&self, key: VmKey);
        fn wake(&self);
    }
}
