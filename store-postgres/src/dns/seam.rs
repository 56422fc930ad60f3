//! The seam's trait, each call one transaction.

use crate::PostgresStore;
use async_trait::async_trait;
use deploy_core::{
    CommitError, DnsChange, DnsClaim, DnsClaimed, DnsName, DnsRecord, DnsStatus, DnsStore, DnsWriteError,
    PtrError, StoreError, VmKey,
};
use jiff::{SignedDuration, Timestamp};
use std::net::IpAddr;

#[async_trait]
impl DnsStore for PostgresStore {
    async fn dns_plan(&self, fingerprint: u64) -> Result<(), StoreError> {
        self.write(fingerprint, |db, fingerprint| Box::pin(super::plan(db, *fingerprint))).await
    }

    async fn claim_dns(&self, limit: usize, lasting: SignedDuration) -> Result<Vec<DnsClaimed>, StoreError> {
        self.write((limit, lasting), |db, (limit, lasting)| Box::pin(super::claim(db, *limit, *lasting)))
            .await
    }

    async fn next_dns_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.write((), |db, ()| Box::pin(super::next_due(db))).await
    }

    async fn write_dns(&self, claim: &DnsClaim, changes: &[DnsChange]) -> Result<(), DnsWriteError> {
        self.write((*claim, changes.to_vec()), |db, (claim, changes)| {
            Box::pin(super::write(db, claim, changes))
        })
        .await
    }

    async fn finish_dns(&self, claim: &DnsClaim, due: Option<Timestamp>) -> Result<(), CommitError> {
        self.write((*claim, due), |db, (claim, due)| Box::pin(super::finish(db, claim, *due))).await
    }

    /// Asked where the writes go: it follows from what was just written.
    async fn dns_holder(&self, key: VmKey, record: &DnsRecord) -> Result<Option<VmKey>, StoreError> {
        self.write((key, record.clone()), |db, (key, record)| Box::pin(super::holder(db, *key, record))).await
    }

    async fn set_ptr(&self, key: VmKey, address: IpAddr, name: Option<DnsName>) -> Result<i64, PtrError> {
        self.write((key, address, name), |db, (key, address, name)| {
            Box::pin(super::set_ptr(db, *key, *address, name.as_ref()))
        })
        .await
    }

    async fn refresh_dns(&self, key: VmKey) -> Result<Option<i64>, StoreError> {
        self.write(key, |db, key| Box::pin(super::refresh(db, *key))).await
    }

    async fn dns_status(&self, key: VmKey) -> Result<Option<DnsStatus>, StoreError> {
        self.read(key, |db, key| Box::pin(super::status(db, *key))).await
    }
}
