//! A name server in memory, for the machines' names.

use async_trait::async_trait;
use deploy_core::{Clock, DnsData, DnsName, DnsStore, Invalid};
use deploy_dns::{
    Dns, DnsError, DnsProvider, DnsWorker, Matching, Providers, RunningDns, Standing, StandingData, Zone,
    Zones,
};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

/// For how many seconds others may keep a record.
const TTL: u32 = 300;

/// A name server in memory.
#[derive(Default)]
pub(super) struct NameServer(Mutex<BTreeSet<(DnsName, DnsData)>>);

impl NameServer {
    /// Keeps the names of all machines of this store.
    pub(super) fn keep(
        self: &Arc<Self>,
        store: Arc<dyn DnsStore>,
        clock: Arc<dyn Clock>,
    ) -> Result<(RunningDns, Dns), Invalid> {
        let provider: Arc<dyn DnsProvider> = Arc::clone(self) as _;
        let providers = Providers::new().with("memory".parse()?, provider, 4);
        let zone = Zone { provider: "memory".parse()?, name: "example.net".parse()?, ttl: TTL };
        let zones = Zones::new([zone], Matching::Longest);
        let worker = DnsWorker::new(Arc::clone(&store), providers, zones, clock).start();
        let desk = Dns::new(store).with_doorbell(worker.doorbell());
        Ok((worker, desk))
    }

    /// What stands at a name.
    pub(super) fn records(&self, of: &DnsName) -> Vec<String> {
        self.with(|records| {
            records.iter().filter(|(name, _)| name == of).map(|(_, data)| data.to_string()).collect()
        })
    }

    /// Somebody deletes all that stands at a name.
    pub(super) fn forget(&self, of: &DnsName) {
        self.with(|records| records.retain(|(name, _)| name != of));
    }

    fn with<T>(&self, look: impl FnOnce(&mut BTreeSet<(DnsName, DnsData)>) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl DnsProvider for NameServer {
    async fn list(&self, _zone: &DnsName, of: &DnsName) -> Result<Vec<Standing>, DnsError> {
        let standing = |data: &DnsData| Standing { data: StandingData::Known(data.clone()), ttl: TTL };
        Ok(self.with(|records| {
            records.iter().filter(|(name, _)| name == of).map(|(_, data)| standing(data)).collect()
        }))
    }

    async fn upsert(
        &self,
        _zone: &DnsName,
        name: &DnsName,
        data: &DnsData,
        _ttl: u32,
        _seen: &[Standing],
    ) -> Result<(), DnsError> {
        self.with(|records| records.insert((name.clone(), data.clone())));
        Ok(())
    }

    async fn delete(&self, _zone: &DnsName, name: &DnsName, data: &DnsData) -> Result<(), DnsError> {
        self.with(|records| records.remove(&(name.clone(), data.clone())));
        Ok(())
    }

    async fn check(&self, _zone: &DnsName) -> Result<(), DnsError> {
        Ok(())
    }
}
