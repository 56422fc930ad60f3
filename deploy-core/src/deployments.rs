//! The front door for panels.

use crate::{
    Admission, Clock, ClusterSettings, Command, CommandError, CommandId, Commanded, CreateError, Created,
    Doorbell, Entropy, ExternalRef, Invalid, ListQuery, LogEntry, LogId, MacAddr, NewRecord, NoDoorbell,
    Package, PasswordHash, RecordStore, StoreError, VmKey, VmRecord, VmSpec,
};
use secrecy::SecretString;
use std::sync::Arc;

/// What a panel does with machines: order them, command them, look at them. It only writes records; a worker, in this
/// process or another, does the work.
///
/// # Cancel safety
/// A dropped call may have been carried out. Ordering again under the same reference and giving a command again are safe.
#[derive(Clone)]
pub struct Deployments {
    store: Arc<dyn RecordStore>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    doorbell: Arc<dyn Doorbell>,
}

impl Deployments {
    /// A front door to this store.
    pub fn new(store: Arc<dyn RecordStore>, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { store, clock, entropy, doorbell: Arc::new(NoDoorbell) }
    }

    /// Rings for a worker of this process, so that it need not poll.
    #[must_use]
    pub fn with_doorbell(mut self, doorbell: Arc<dyn Doorbell>) -> Self {
        self.doorbell = doorbell;
        self
    }

    /// Orders a machine. Idempotent on `reference`: ordering it again answers with the machine that exists, also from
    /// another process at the same moment. `metadata` is the caller's own and rides on the record.
    ///
    /// # Errors
    /// [`CreateError`]; nothing was written.
    pub async fn create(
        &self,
        reference: ExternalRef,
        spec: VmSpec,
        metadata: serde_json::Value,
    ) -> Result<Created, CreateError> {
        let order = self.prepare(reference, spec, metadata)?;
        self.write_down(&order).await
    }

    pub(crate) async fn write_down(&self, order: &NewRecord) -> Result<Created, CreateError> {
        let created = self.store.create(order).await?;
        self.doorbell.ring(created.record().key);
        Ok(created)
    }

    /// An order, checked and complete with key and MACs, that is not written down: for stores that let it be written inside a
    /// transaction of the caller's.
    ///
    /// # Errors
    /// [`Invalid`].
    pub fn prepare(
        &self,
        reference: ExternalRef,
        spec: VmSpec,
        metadata: serde_json::Value,
    ) -> Result<NewRecord, Invalid> {
        spec.check()?;
        Ok(NewRecord {
            key: VmKey(self.entropy.uuid()),
            external_ref: reference,
            macs: spec.nics.iter().map(|_| MacAddr::local(self.entropy.bytes())).collect(),
            spec,
            metadata,
            created_at: self.clock.now(),
            adopts: None,
        })
    }

    /// Hashes a password for an order, with a salt of its own.
    ///
    /// # Errors
    /// [`Invalid`] for a password that no guest would take.
    pub fn hash_password(&self, password: &SecretString) -> Result<PasswordHash, Invalid> {
        PasswordHash::of(password, self.entropy.bytes())
    }

    /// Gives a machine a command. What becomes of it can be awaited ([`Commanded::await_outcome`]).
    ///
    /// # Errors
    /// [`CommandError`]; nothing was written.
    pub async fn command(&self, key: VmKey, command: Command) -> Result<Commanded, CommandError> {
        let admission = self.store.command(key, CommandId(self.entropy.uuid()), command).await?;
        self.doorbell.ring(key);
        Ok(self.commanded(key, admission))
    }

    /// Makes a machine what this order says: [`Command::ChangePackage`] with MACs for the NICs that it has more.
    ///
    /// # Errors
    /// [`CommandError`]; nothing was written. A smaller disk, another node, cluster or template are refused by name.
    pub async fn change_package(&self, key: VmKey, spec: VmSpec) -> Result<Commanded, CommandError> {
        let macs = spec.nics.iter().map(|_| MacAddr::local(self.entropy.bytes())).collect();
        self.command(key, Command::ChangePackage(Box::new(Package { spec, macs }))).await
    }

    /// A command that was given before, in this process or another.
    pub fn commanded(&self, key: VmKey, admission: Admission) -> Commanded {
        Commanded::new(Arc::clone(&self.store), key, admission)
    }

    /// A machine's record: its step, what it waits for, its addresses.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn status(&self, key: VmKey) -> Result<Option<VmRecord>, StoreError> {
        self.store.get(key).await
    }

    /// The record with this reference that is not terminated, or else the last that was.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn by_reference(&self, reference: &ExternalRef) -> Result<Option<VmRecord>, StoreError> {
        self.store.by_reference(reference).await
    }

    /// Records in the order of their keys, a page at a time.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list(&self, query: &ListQuery) -> Result<Vec<VmRecord>, StoreError> {
        self.store.list(query).await
    }

    /// A machine's deploy log after an entry, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn log(&self, key: VmKey, after: LogId, limit: usize) -> Result<Vec<LogEntry>, StoreError> {
        self.store.log(key, after, limit).await
    }

    /// What happened to all machines after an entry, oldest first. A repetition that is only counted is no new entry.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn events(&self, after: LogId, limit: usize) -> Result<Vec<LogEntry>, StoreError> {
        self.store.events(after, limit).await
    }

    /// Writes down a cluster's settings.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_cluster(&self, settings: &ClusterSettings) -> Result<(), StoreError> {
        self.store.put_cluster(settings).await
    }

    /// All clusters by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn clusters(&self) -> Result<Vec<ClusterSettings>, StoreError> {
        self.store.clusters().await
    }
}
