//! The front door for panels.

use deploy_core::{
    DnsDesk, DnsEntry, DnsName, DnsStatus, DnsStore, Doorbell, Invalid, NoDoorbell, PtrError, StoreError,
    VmKey,
};
use std::{net::IpAddr, sync::Arc, time::Duration};

/// What a panel does with DNS records: look at them, name addresses, have them set at once. It only writes down what is asked
/// for; a [`DnsWorker`](crate::DnsWorker), in this process or another, does the work.
#[derive(Clone)]
pub struct Dns {
    store: Arc<dyn DnsStore>,
    doorbell: Arc<dyn Doorbell>,
}

/// Records could not be set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SetDnsError {
    /// There is no such machine.
    #[error("there is no machine {0}")]
    NotFound(VmKey),
    /// The store could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Dns {
    /// A front door to this store.
    pub fn new(store: Arc<dyn DnsStore>) -> Self {
        Self { store, doorbell: Arc::new(NoDoorbell) }
    }

    /// Rings for a worker of this process, so that it need not poll.
    #[must_use]
    pub fn with_doorbell(mut self, doorbell: Arc<dyn Doorbell>) -> Self {
        self.doorbell = doorbell;
        self
    }

    /// Where a worker has machines' DNS records set on command (`deploy_worker::Worker::with_dns`).
    pub fn desk(&self) -> DnsDesk {
        DnsDesk { store: Arc::clone(&self.store), doorbell: Arc::clone(&self.doorbell) }
    }

    /// A machine's records and how far each is; none where there is no such machine. Cancel-safe.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn status(&self, key: VmKey) -> Result<Option<DnsStatus>, StoreError> {
        self.store.dns_status(key).await
    }

    /// Has an address of a machine named otherwise than the machine.
    ///
    /// # Errors
    /// [`PtrError`]; nothing was written. A name of a single label is refused: nobody could look it up.
    ///
    /// # Cancel safety
    /// Dropped, it may have been written; asking again is safe.
    pub async fn set_ptr(&self, key: VmKey, address: IpAddr, name: DnsName) -> Result<(), PtrError> {
        if name.parent().is_none() {
            return Err(Invalid::new("ptr", &name, "a full name, such as \"mail.example.org\"").into());
        }
        self.store.set_ptr(key, address, Some(name)).await?;
        self.doorbell.ring(key);
        Ok(())
    }

    /// Has an address of a machine named as the machine again.
    ///
    /// # Errors
    /// [`PtrError`]; nothing was written.
    ///
    /// # Cancel safety
    /// Dropped, it may have been written; asking again is safe.
    pub async fn reset_ptr(&self, key: VmKey, address: IpAddr) -> Result<(), PtrError> {
        self.store.set_ptr(key, address, None).await?;
        self.doorbell.ring(key);
        Ok(())
    }

    /// Has all of a machine's records looked at and set at once, whatever delay they wait for, and says what became of each.
    /// Waits until a worker has done it, also where there is none: see `tokio::time::timeout`.
    ///
    /// # Errors
    /// [`SetDnsError`].
    ///
    /// # Cancel safety
    /// Dropped, it is done all the same, unheard.
    pub async fn set_dns_records(&self, key: VmKey) -> Result<Vec<DnsEntry>, SetDnsError> {
        let mark = self.store.refresh_dns(key).await?.ok_or(SetDnsError::NotFound(key))?;
        self.doorbell.ring(key);
        let mut pause = Duration::from_millis(20);
        loop {
            let status = self.store.dns_status(key).await?.ok_or(SetDnsError::NotFound(key))?;
            if status.done >= mark {
                return Ok(status.entries);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
        }
    }
}
