//! Any server that takes dynamic updates (RFC 2136), such as BIND, Knot and PowerDNS.

mod key;
mod message;
mod wire;

use crate::{DnsError, DnsProvider, PROBE, Standing, StandingData};
use async_trait::async_trait;
use deploy_core::{DnsData, DnsName, ErrorClass, Invalid};
use hickory_proto::rr::{
    RData, RecordType,
    rdata::{A, AAAA, PTR, TXT},
};
pub use key::{TsigAlgorithm, TsigKey};
use message::{Update, name_of};
use std::{net::SocketAddr, time::Duration};
use wire::Wire;

/// A server that takes dynamic updates, over TCP, each signed with a TSIG key (RFC 8945).
///
/// It must be the zones' primary, and answer queries about them. Updates say what was seen at the name as their
/// prerequisite: where it is otherwise by then, the server does nothing.
pub struct Rfc2136 {
    wire: Wire,
}

impl Rfc2136 {
    /// The server at this address, with the key that it knows us by.
    ///
    /// # Errors
    /// [`Invalid`] for a key that cannot be used.
    pub fn new(server: SocketAddr, key: &TsigKey) -> Result<Self, Invalid> {
        Ok(Self { wire: Wire { server, signer: key.signer()?, patience: Duration::from_secs(10) } })
    }

    async fn update(&self, update: Update) -> Result<(), DnsError> {
        let zone = update.zone.clone();
        let mut connection = self.wire.connect().await?;
        let answer = connection.ask(update.message()).await?;
        message::outcome(&answer, &zone)
    }

    /// Records of these types at a name, asked for one after the other.
    async fn look(
        &self,
        zone: &DnsName,
        name: &DnsName,
        kinds: &[RecordType],
    ) -> Result<Vec<Standing>, DnsError> {
        let mut connection = self.wire.connect().await?;
        let mut standing: Vec<Standing> = Vec::new();
        for kind in kinds {
            let answer = connection.ask(message::query(name, *kind)).await?;
            for found in message::standing(&answer, zone, name)? {
                // An alias is in the answer to each of the questions.
                if !standing.contains(&found) {
                    standing.push(found);
                }
            }
        }
        Ok(standing)
    }
}

#[async_trait]
impl DnsProvider for Rfc2136 {
    async fn list(&self, zone: &DnsName, name: &DnsName) -> Result<Vec<Standing>, DnsError> {
        self.look(zone, name, &[RecordType::A, RecordType::AAAA, RecordType::PTR]).await
    }

    async fn upsert(
        &self,
        zone: &DnsName,
        name: &DnsName,
        data: &DnsData,
        ttl: u32,
        seen: &[Standing],
    ) -> Result<(), DnsError> {
        let beside = |standing: &&Standing| {
            standing.data.kind() == data.kind().as_str() && standing.data != StandingData::Known(data.clone())
        };
        // A set has one time to live: one that has other records keeps its own.
        let ttl = seen.iter().find(beside).map_or(ttl, |standing| standing.ttl);
        let mut update = Update::of(zone);
        for kind in [RecordType::A, RecordType::AAAA, RecordType::PTR, RecordType::CNAME] {
            let of_kind: Vec<RData> =
                seen.iter().filter_map(known).filter(|r| r.record_type() == kind).collect();
            update.require(name, kind, of_kind);
        }
        update.add(name, ttl, rdata(data));
        self.update(update).await
    }

    async fn delete(&self, zone: &DnsName, name: &DnsName, data: &DnsData) -> Result<(), DnsError> {
        let mut update = Update::of(zone);
        update.remove(name, rdata(data));
        self.update(update).await
    }

    async fn check(&self, zone: &DnsName) -> Result<(), DnsError> {
        let name: DnsName = format!("{PROBE}.{zone}").parse().map_err(|error: Invalid| {
            DnsError::not_sent(ErrorClass::Refused, format!("zone {zone} is too long to be checked: {error}"))
        })?;
        let probe = RData::TXT(TXT::new(vec!["can be written".to_owned()]));
        let mut put = Update::of(zone);
        put.add(&name, 60, probe.clone());
        self.update(put).await?;
        let seen = self.look(zone, &name, &[RecordType::TXT]).await;
        let mut take_away = Update::of(zone);
        take_away.remove(&name, probe);
        self.update(take_away).await?;
        if seen?.is_empty() {
            let message = format!("zone {zone}: an update was accepted and is not to be seen");
            return Err(DnsError::answered(ErrorClass::Failed, message));
        }
        Ok(())
    }
}

/// What a record says, as messages have it.
fn rdata(data: &DnsData) -> RData {
    match data {
        DnsData::A(address) => RData::A(A(*address)),
        DnsData::Aaaa(address) => RData::AAAA(AAAA(*address)),
        DnsData::Ptr(name) => RData::PTR(PTR(name_of(name))),
    }
}

/// What was seen, where it can be said as a prerequisite.
fn known(standing: &Standing) -> Option<RData> {
    match &standing.data {
        StandingData::Known(data) => Some(rdata(data)),
        StandingData::Other { .. } => None,
    }
}
