//! PowerDNS Authoritative Server, by its HTTP API.

mod rrset;

use crate::{
    DnsError, DnsProvider, PROBE, Standing, StandingData,
    http::{Answer, Http},
};
use async_trait::async_trait;
use deploy_core::{DnsData, DnsName, ErrorClass, Invalid};
use reqwest::{Method, header::HeaderName};
use rrset::{Record, RrSet, ZoneShown};
use secrecy::SecretString;
use serde_json::json;

/// PowerDNS by its HTTP API (`api=yes`, `webserver=yes`, `api-key=...`).
///
/// The API changes whole sets of records. So a set is read right before it is written, and written with all that is in it, also
/// what is disabled, for which the whole zone must be read; what somebody else changes between these two requests is lost. Where the set is no longer as it was judged, nothing is
/// written. A set has one time to live: one that has other records keeps its own.
///
/// With its SQLite backend (`gsqlite3`) the server fails some of several changes at once (500): one at a time is the limit to give
/// to [`Providers::with`](crate::Providers::with) then. They are tried again either way.
pub struct PowerDns {
    http: Http,
    server: String,
}

impl PowerDns {
    /// The server at `url` (such as `http://ns1.example.net:8081`), with its API key.
    ///
    /// # Errors
    /// [`Invalid`] for what is no URL or cannot be a key.
    pub fn new(url: &str, key: SecretString) -> Result<Self, Invalid> {
        let http = Http::new(url, HeaderName::from_static("x-api-key"), key)?;
        Ok(Self { http, server: "localhost".to_owned() })
    }

    /// Another server id than `localhost`, for proxies in front of several.
    #[must_use]
    pub fn with_server(mut self, server: impl Into<String>) -> Self {
        self.server = server.into();
        self
    }

    async fn send(
        &self,
        method: Method,
        zone: &DnsName,
        query: &[(&str, &str)],
        body: Option<&serde_json::Value>,
    ) -> Result<Answer, DnsError> {
        let id = dotted(zone);
        let path = ["api", "v1", "servers", &self.server, "zones", &id];
        let answer = self.http.send(method, &path, query, body).await?;
        if answer.status.is_success() { Ok(answer) } else { Err(refused(&answer, zone)) }
    }

    /// The zone, with what is served at a name.
    async fn served(&self, zone: &DnsName, name: &DnsName) -> Result<ZoneShown, DnsError> {
        self.shown(zone, name, &[("rrset_name", &*dotted(name))]).await
    }

    /// The zone, with all the sets at a name, also what of them is disabled: asked for a name alone the server (4.7) leaves that
    /// out, and to write the set without it would delete it. So the whole zone is asked for.
    async fn kept(&self, zone: &DnsName, name: &DnsName) -> Result<ZoneShown, DnsError> {
        self.shown(zone, name, &[]).await
    }

    async fn shown(
        &self,
        zone: &DnsName,
        name: &DnsName,
        query: &[(&str, &str)],
    ) -> Result<ZoneShown, DnsError> {
        let mut shown: ZoneShown = self.send(Method::GET, zone, query, None).await?.json()?;
        // Older servers do not know the parameter and show every set of the zone.
        shown.rrsets.retain(|set| set.is_at(name));
        Ok(shown)
    }

    async fn write(&self, zone: &DnsName, set: &RrSet) -> Result<(), DnsError> {
        let change = if set.records.is_empty() {
            json!({ "name": set.name, "type": set.kind, "changetype": "DELETE" })
        } else {
            // Comments that are not named stay.
            json!({
                "name": set.name, "type": set.kind, "ttl": set.ttl, "changetype": "REPLACE",
                "records": set.records,
            })
        };
        self.send(Method::PATCH, zone, &[], Some(&json!({ "rrsets": [change] }))).await?;
        Ok(())
    }

    /// Reads the set that a record is in, has it changed, and writes it where that changed anything.
    async fn change(
        &self,
        zone: &DnsName,
        name: &DnsName,
        kind: &str,
        change: impl FnOnce(&[RrSet], &mut RrSet) -> Result<(), DnsError> + Send,
    ) -> Result<(), DnsError> {
        let shown = self.kept(zone, name).await?;
        let there = shown.rrsets.iter().find(|set| set.kind == kind).cloned();
        let before = there.unwrap_or_else(|| RrSet::empty(name, kind));
        let mut after = before.clone();
        change(&shown.rrsets, &mut after)?;
        if after == before { Ok(()) } else { self.write(zone, &after).await }
    }
}

#[async_trait]
impl DnsProvider for PowerDns {
    async fn list(&self, zone: &DnsName, name: &DnsName) -> Result<Vec<Standing>, DnsError> {
        Ok(self.served(zone, name).await?.rrsets.iter().flat_map(RrSet::standing).collect())
    }

    async fn upsert(
        &self,
        zone: &DnsName,
        name: &DnsName,
        data: &DnsData,
        ttl: u32,
        seen: &[Standing],
    ) -> Result<(), DnsError> {
        self.change(zone, name, data.kind().as_str(), |sets, set| {
            let standing = |standing: &Standing| standing.data.clone();
            let mut now: Vec<StandingData> = sets.iter().flat_map(RrSet::standing).map(|s| s.data).collect();
            let mut before: Vec<StandingData> = seen.iter().map(standing).collect();
            now.sort_unstable();
            before.sort_unstable();
            if now != before {
                let message = format!("{name} was changed by somebody else just now; it is looked at again");
                return Err(DnsError::not_sent(ErrorClass::Busy, message));
            }
            set.put(data, ttl);
            Ok(())
        })
        .await
    }

    async fn delete(&self, zone: &DnsName, name: &DnsName, data: &DnsData) -> Result<(), DnsError> {
        self.change(zone, name, data.kind().as_str(), |_, set| {
            set.remove(data);
            Ok(())
        })
        .await
    }

    async fn check(&self, zone: &DnsName) -> Result<(), DnsError> {
        let name: DnsName = format!("{PROBE}.{zone}").parse().map_err(|error: Invalid| {
            DnsError::not_sent(ErrorClass::Refused, format!("zone {zone} is too long to be checked: {error}"))
        })?;
        let shown = self.served(zone, &name).await?;
        if matches!(shown.kind.as_str(), "Slave" | "Consumer") {
            let message = format!(
                "zone {zone} is a secondary on this server: name the server that is its primary (kind Native or Master)"
            );
            return Err(DnsError::answered(ErrorClass::Refused, message));
        }
        let records = vec![Record { content: "\"can be written\"".to_owned(), disabled: false }];
        let probe = RrSet { name: dotted(&name), kind: "TXT".to_owned(), ttl: 60, records };
        self.write(zone, &probe).await?;
        let written = self.served(zone, &name).await?.rrsets.contains(&probe);
        self.write(zone, &RrSet { records: Vec::new(), ..probe }).await?;
        if written {
            return Ok(());
        }
        let message =
            format!("zone {zone}: a record was accepted and is not shown; is the backend read-only?");
        Err(DnsError::answered(ErrorClass::Failed, message))
    }
}

/// A name as the API has it.
fn dotted(name: &DnsName) -> String {
    format!("{name}.")
}

/// What the server says where it does not do it.
fn refused(answer: &Answer, zone: &DnsName) -> DnsError {
    let said = serde_json::from_str::<serde_json::Value>(&answer.body).ok();
    let said = said.as_ref().and_then(|body| body.get("error")).and_then(serde_json::Value::as_str);
    let said = said.unwrap_or(answer.body.trim());
    let message = match answer.status.as_u16() {
        401 => format!("PowerDNS does not take the API key (api-key in its configuration): {said}"),
        403 => format!("PowerDNS does not let us in (webserver-allow-from in its configuration): {said}"),
        404 => format!("PowerDNS has no zone {zone}: {said}"),
        status => format!("PowerDNS, zone {zone}: {said} ({status})"),
    };
    DnsError { retry_after: answer.retry_after, ..DnsError::answered(answer.class(), message) }
}
