//! Cloudflare, by its HTTP API (version 4).

mod envelope;

use crate::{DnsError, DnsProvider, PROBE, Standing, StandingData, http::Http};
use async_trait::async_trait;
use deploy_core::{DnsData, DnsName, ErrorClass, Invalid};
use envelope::{Envelope, Named, Shown, refused};
use reqwest::{Method, header::AUTHORIZATION};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::json;
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// Where the API is.
const BASE: &str = "https://api.cloudflare.com/client/v4";

/// So many records are asked for at once.
const PAGE: usize = 100;

/// The record is there already, under this code or the other.
const EXISTS: [u64; 2] = [81057, 81058];

/// The record is gone already.
const GONE: u64 = 81044;

/// Cloudflare, by an API token with the rights `Zone / DNS / Edit` and `Zone / Zone / Read` for the zones.
///
/// Records are never proxied: a machine's name is to show its own address.
pub struct Cloudflare {
    http: Http,
    /// The zones' ids, as far as they were asked for.
    ids: Mutex<BTreeMap<DnsName, String>>,
}

impl Cloudflare {
    /// The API at its own place.
    ///
    /// # Errors
    /// [`Invalid`] for what cannot be a token.
    pub fn new(token: &SecretString) -> Result<Self, Invalid> {
        Self::at(BASE, token)
    }

    /// The API at another place.
    ///
    /// # Errors
    /// [`Invalid`] for what is no URL or cannot be a token.
    pub fn at(url: &str, token: &SecretString) -> Result<Self, Invalid> {
        let bearer = SecretString::from(format!("Bearer {}", token.expose_secret().trim()));
        Ok(Self { http: Http::new(url, AUTHORIZATION, bearer)?, ids: Mutex::default() })
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&serde_json::Value>,
    ) -> Result<Envelope<T>, Refused> {
        let answer = self.http.send(method, path, query, body).await?;
        if !answer.status.is_success() {
            return Err(Refused { error: refused(&answer), codes: envelope::codes(&answer) });
        }
        let envelope: Envelope<T> = answer.json()?;
        if !envelope.success {
            return Err(Refused { error: refused(&answer), codes: envelope::codes(&answer) });
        }
        Ok(envelope)
    }

    /// All pages of a list.
    async fn pages<T: DeserializeOwned>(
        &self,
        path: &[&str],
        filter: (&str, &str),
    ) -> Result<Vec<T>, DnsError> {
        let (mut all, mut page) = (Vec::new(), 1_u32);
        loop {
            let (at, per_page) = (page.to_string(), PAGE.to_string());
            let query = [filter, ("page", &*at), ("per_page", &*per_page)];
            let envelope: Envelope<Vec<T>> =
                self.send(Method::GET, path, &query, None).await.map_err(|refused| refused.error)?;
            let pages = envelope.result_info.map_or(1, |info| info.total_pages);
            let found = envelope.result.unwrap_or_default();
            let is_last = page >= pages || found.is_empty();
            all.extend(found);
            if is_last {
                return Ok(all);
            }
            page += 1;
        }
    }

    /// The id of a zone.
    async fn id(&self, zone: &DnsName) -> Result<String, DnsError> {
        if let Some(id) = self.ids.lock().unwrap_or_else(PoisonError::into_inner).get(zone) {
            return Ok(id.clone());
        }
        let zones: Vec<Named> = self.pages(&["zones"], ("name", zone.as_str())).await?;
        let Some(found) = zones.into_iter().find(|found| found.name.eq_ignore_ascii_case(zone.as_str()))
        else {
            let message = format!(
                "Cloudflare shows no zone {zone} to this token: it needs the rights Zone / Zone / Read and \
                 Zone / DNS / Edit for it"
            );
            return Err(DnsError::answered(ErrorClass::Refused, message));
        };
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).insert(zone.clone(), found.id.clone());
        Ok(found.id)
    }

    /// The records at a name, with their ids.
    async fn shown(&self, zone: &DnsName, name: &DnsName) -> Result<(String, Vec<Shown>), DnsError> {
        let id = self.id(zone).await?;
        let found = self.pages(&["zones", &id, "dns_records"], ("name", name.as_str())).await;
        if let Err(error) = &found
            && error.class == ErrorClass::Refused
        {
            // A zone that was taken away and added again has another id.
            self.ids.lock().unwrap_or_else(PoisonError::into_inner).remove(zone);
        }
        let mut found: Vec<Shown> = found?;
        found.retain(|record| record.name.eq_ignore_ascii_case(name.as_str()));
        Ok((id, found))
    }

    async fn create(&self, zone: &str, record: &serde_json::Value) -> Result<(), DnsError> {
        let made = self
            .send::<serde_json::Value>(Method::POST, &["zones", zone, "dns_records"], &[], Some(record))
            .await;
        match made {
            Ok(_) => Ok(()),
            Err(Refused { codes, .. }) if EXISTS.iter().any(|code| codes.contains(code)) => Ok(()),
            Err(Refused { error, .. }) => Err(error),
        }
    }

    async fn remove(&self, zone: &str, record: &str) -> Result<(), DnsError> {
        let path = ["zones", zone, "dns_records", record];
        match self.send::<serde_json::Value>(Method::DELETE, &path, &[], None).await {
            Ok(_) => Ok(()),
            Err(Refused { codes, .. }) if codes.contains(&GONE) => Ok(()),
            Err(Refused { error, .. }) => Err(error),
        }
    }
}

/// What the API did not do.
struct Refused {
    error: DnsError,
    codes: Vec<u64>,
}

impl From<DnsError> for Refused {
    fn from(error: DnsError) -> Self {
        Self { error, codes: Vec::new() }
    }
}

/// A time to live that the API takes: from a minute to a day.
fn allowed(ttl: u32) -> u32 {
    ttl.clamp(60, 86_400)
}

#[async_trait]
impl DnsProvider for Cloudflare {
    async fn list(&self, zone: &DnsName, name: &DnsName) -> Result<Vec<Standing>, DnsError> {
        let (_, shown) = self.shown(zone, name).await?;
        Ok(shown.iter().map(Shown::standing).collect())
    }

    /// Records have ids of their own here, so that no other one is touched whatever `seen` says.
    async fn upsert(
        &self,
        zone: &DnsName,
        name: &DnsName,
        data: &DnsData,
        ttl: u32,
        _seen: &[Standing],
    ) -> Result<(), DnsError> {
        let (id, shown) = self.shown(zone, name).await?;
        let ttl = allowed(ttl);
        let Some(there) = shown.iter().find(|record| record.says(data)) else {
            let record = json!({
                "type": data.kind().as_str(), "name": name.as_str(), "content": data.to_string(),
                "ttl": ttl, "proxied": false,
            });
            return self.create(&id, &record).await;
        };
        if there.ttl != ttl {
            let path = ["zones", &*id, "dns_records", &*there.id];
            let change = json!({ "ttl": ttl });
            let changed = self.send::<serde_json::Value>(Method::PATCH, &path, &[], Some(&change)).await;
            changed.map_err(|refused| refused.error)?;
        }
        Ok(())
    }

    async fn delete(&self, zone: &DnsName, name: &DnsName, data: &DnsData) -> Result<(), DnsError> {
        let (id, shown) = self.shown(zone, name).await?;
        for record in shown.iter().filter(|record| record.says(data)) {
            self.remove(&id, &record.id).await?;
        }
        Ok(())
    }

    async fn check(&self, zone: &DnsName) -> Result<(), DnsError> {
        let name: DnsName = format!("{PROBE}.{zone}").parse().map_err(|error: Invalid| {
            DnsError::not_sent(ErrorClass::Refused, format!("zone {zone} is too long to be checked: {error}"))
        })?;
        let id = self.id(zone).await?;
        let probe =
            json!({ "type": "TXT", "name": name.as_str(), "content": "\"can be written\"", "ttl": 60 });
        self.create(&id, &probe).await.map_err(|error| error.at(format!("zone {zone} cannot be written")))?;
        let (id, shown) = self.shown(zone, &name).await?;
        let probes: Vec<&Shown> = shown.iter().filter(|record| record.kind == "TXT").collect();
        for probe in &probes {
            self.remove(&id, &probe.id).await?;
        }
        if probes.is_empty() {
            let message = format!("zone {zone}: a record was accepted and is not shown");
            return Err(DnsError::answered(ErrorClass::Failed, message));
        }
        Ok(())
    }
}

impl Shown {
    fn standing(&self) -> Standing {
        Standing { data: StandingData::read(&self.kind, &self.content), ttl: self.ttl }
    }

    fn says(&self, data: &DnsData) -> bool {
        self.standing().data == StandingData::Known(data.clone())
    }
}
