//! Sets of records, as the API has them.

use crate::{Standing, StandingData};
use deploy_core::{DnsData, DnsKind, DnsName};
use serde::{Deserialize, Serialize};

/// What is needed of a zone.
#[derive(Debug, Deserialize)]
pub(super) struct ZoneShown {
    #[serde(default)]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) rrsets: Vec<RrSet>,
}

/// All records of one type at one name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct RrSet {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) ttl: u32,
    pub(super) records: Vec<Record>,
}

/// A record of a set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) content: String,
    /// Kept in the set and not served.
    #[serde(default)]
    pub(super) disabled: bool,
}

impl RrSet {
    pub(super) fn empty(name: &DnsName, kind: &str) -> Self {
        Self { name: format!("{name}."), kind: kind.to_owned(), ttl: 0, records: Vec::new() }
    }

    pub(super) fn is_at(&self, name: &DnsName) -> bool {
        self.name.strip_suffix('.').unwrap_or(&self.name).eq_ignore_ascii_case(name.as_str())
    }

    /// What is served of it.
    pub(super) fn standing(&self) -> impl Iterator<Item = Standing> {
        let served = self.records.iter().filter(|record| !record.disabled);
        served.map(|record| Standing { data: StandingData::read(&self.kind, &record.content), ttl: self.ttl })
    }

    /// Puts a record in. Beside others the time to live stays theirs.
    pub(super) fn put(&mut self, data: &DnsData, ttl: u32) {
        if self.records.iter().all(|record| record.says(data)) {
            self.ttl = ttl;
        }
        if self.records.iter().all(|record| !record.says(data)) {
            let content = match data {
                DnsData::A(_) | DnsData::Aaaa(_) => data.to_string(),
                DnsData::Ptr(name) => format!("{name}."),
            };
            self.records.push(Record { content, disabled: false });
        }
    }

    /// Takes a record out.
    pub(super) fn remove(&mut self, data: &DnsData) {
        self.records.retain(|record| !record.says(data));
    }
}

impl Record {
    /// Whether it is served and says this. One that is disabled is somebody's who wants it kept.
    fn says(&self, data: &DnsData) -> bool {
        let kind: DnsKind = data.kind();
        !self.disabled && DnsData::parse(kind, &self.content).is_ok_and(|said| said == *data)
    }
}
