//! A store at each of whose calls a turn can end.

use async_trait::async_trait;
use deploy_core::{
    CommitError, DnsChange, DnsClaim, DnsClaimed, DnsName, DnsRecord, DnsStatus, DnsStore, DnsWriteError,
    PtrError, StoreError, VmKey,
};
use deploy_testkit::MemoryStore;
use jiff::{SignedDuration, Timestamp};
use std::net::IpAddr;
use tokio::task::yield_now;

/// The memory store, with a point to end at before and after each call of a turn.
pub(super) struct Stops(pub(super) MemoryStore);

#[async_trait]
impl DnsStore for Stops {
    async fn dns_plan(&self, fingerprint: u64) -> Result<(), StoreError> {
        self.0.dns_plan(fingerprint).await
    }

    async fn claim_dns(&self, limit: usize, lasting: SignedDuration) -> Result<Vec<DnsClaimed>, StoreError> {
        self.0.claim_dns(limit, lasting).await
    }

    async fn next_dns_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.0.next_dns_due().await
    }

    async fn write_dns(&self, claim: &DnsClaim, changes: &[DnsChange]) -> Result<(), DnsWriteError> {
        yield_now().await;
        let written = self.0.write_dns(claim, changes).await;
        yield_now().await;
        written
    }

    async fn finish_dns(&self, claim: &DnsClaim, due: Option<Timestamp>) -> Result<(), CommitError> {
        yield_now().await;
        let written = self.0.finish_dns(claim, due).await;
        yield_now().await;
        written
    }

    async fn dns_holder(&self, key: VmKey, record: &DnsRecord) -> Result<Option<VmKey>, StoreError> {
        yield_now().await;
        self.0.dns_holder(key, record).await
    }

    async fn set_ptr(&self, key: VmKey, address: IpAddr, name: Option<DnsName>) -> Result<i64, PtrError> {
        self.0.set_ptr(key, address, name).await
    }

    async fn refresh_dns(&self, key: VmKey) -> Result<Option<i64>, StoreError> {
        self.0.refresh_dns(key).await
    }

    async fn dns_status(&self, key: VmKey) -> Result<Option<DnsStatus>, StoreError> {
        self.0.dns_status(key).await
    }
}
