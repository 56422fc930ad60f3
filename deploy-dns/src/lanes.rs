//! The providers, each with what it can bear.

use crate::{DnsError, DnsProvider, Zones};
use deploy_core::{DnsName, ProviderName};
use jiff::Timestamp;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::{Semaphore, SemaphorePermit};

/// The providers by name.
#[derive(Clone, Default)]
pub struct Providers {
    lanes: BTreeMap<ProviderName, Arc<Lane>>,
}

/// A provider, how many requests it gets at once, and until when it is left alone.
pub(crate) struct Lane {
    pub(crate) provider: Arc<dyn DnsProvider>,
    slots: Semaphore,
    left_alone_until: Mutex<Option<Timestamp>>,
}

/// Whether a zone can be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneCheck {
    /// The provider.
    pub provider: ProviderName,
    /// The zone.
    pub zone: DnsName,
    /// What is missing, if anything.
    pub outcome: Result<(), DnsError>,
}

impl Providers {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// One more, which gets at most `at_once` machines' requests at the same time (at least one).
    #[must_use]
    pub fn with(mut self, name: ProviderName, provider: Arc<dyn DnsProvider>, at_once: usize) -> Self {
        let slots = Semaphore::new(at_once.clamp(1, Semaphore::MAX_PERMITS));
        self.lanes.insert(name, Arc::new(Lane { provider, slots, left_alone_until: Mutex::default() }));
        self
    }

    /// Whether each of these zones can be written, one after the other.
    ///
    /// # Cancel safety
    /// Dropped, it may leave a record at [`PROBE`](crate::PROBE) behind in one zone.
    pub async fn check(&self, zones: &Zones) -> Vec<ZoneCheck> {
        let mut checks = Vec::new();
        for zone in zones.all() {
            let outcome = match self.lane(&zone.provider) {
                Some(lane) => lane.provider.check(&zone.name).await,
                None => Err(not_configured(&zone.provider)),
            };
            checks.push(ZoneCheck { provider: zone.provider.clone(), zone: zone.name.clone(), outcome });
        }
        checks
    }

    pub(crate) fn lane(&self, name: &ProviderName) -> Option<&Arc<Lane>> {
        self.lanes.get(name)
    }
}

/// What is said of records whose provider was taken out of the configuration.
pub(crate) fn not_configured(name: &ProviderName) -> DnsError {
    let message = format!(
        "the DNS provider {name} is not configured: put it back until its records are withdrawn, or withdraw them by hand"
    );
    DnsError::not_sent(deploy_core::ErrorClass::Refused, message)
}

impl Lane {
    /// Waits until it can bear one machine more. Cancel-safe.
    pub(crate) async fn enter(&self) -> Option<SemaphorePermit<'_>> {
        // Never closed; were it, the limit would be gone and not the records.
        self.slots.acquire().await.ok()
    }

    /// Until when it is left alone, if it is now.
    pub(crate) fn left_alone(&self, now: Timestamp) -> Option<Timestamp> {
        let until = *self.left_alone_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.filter(|until| now < *until)
    }

    /// Leaves it alone until then.
    pub(crate) fn leave_alone(&self, until: Timestamp) {
        *self.left_alone_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
    }
}
