//! The seam's trait, each call one write or one read.

use crate::SqliteStore;
use async_trait::async_trait;
use deploy_core::{
    CommitError, DnsChange, DnsClaim, DnsClaimed, DnsName, DnsRecord, DnsStatus, DnsStore, DnsWriteError,
    PtrError, StoreError, VmKey,
};
use jiff::{SignedDuration, Timestamp};
use std::net::IpAddr;

#[async_trait]
impl DnsStore for SqliteStore {
    async fn dns_plan(&self, fingerprint: u64) -> Result<(), StoreError> {
        self.write(move |tx| super::plan(tx, fingerprint)).await
    }

    async fn claim_dns(&self, limit: usize, lasting: SignedDuration) -> Result<Vec<DnsClaimed>, StoreError> {
        self.write(move |tx| super::claim(tx, limit, lasting)).await
    }

    async fn next_dns_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.read(super::next_due).await
    }

    async fn write_dns(&self, claim: &DnsClaim, changes: &[DnsChange]) -> Result<(), DnsWriteError> {
        let (claim, changes) = (*claim, changes.to_vec());
        self.write(move |tx| super::write(tx, &claim, &changes)).await
    }

    async fn finish_dns(&self, claim: &DnsClaim, due: Option<Timestamp>) -> Result<(), CommitError> {
        let claim = *claim;
        self.write(move |tx| super::finish(tx, &claim, due)).await
    }

    async fn dns_holder(&self, key: VmKey, record: &DnsRecord) -> Result<Option<VmKey>, StoreError> {
        let record = record.clone();
        self.read(move |conn| super::holder(conn, key, &record)).await
    }

    async fn set_ptr(&self, key: VmKey, address: IpAddr, name: Option<DnsName>) -> Result<i64, PtrError> {
        self.write(move |tx| super::set_ptr(tx, key, address, name.as_ref())).await
    }

    async fn refresh_dns(&self, key: VmKey) -> Result<Option<i64>, StoreError> {
        self.write(move |tx| super::refresh(tx, key)).await
    }

    async fn dns_status(&self, key: VmKey) -> Result<Option<DnsStatus>, StoreError> {
        self.read(move |conn| {
            // Several statements that must see one state; a read transaction holds up nobody.
            let tx = conn.unchecked_transaction()?;
            super::status(&tx, key)
        })
        .await
    }
}
