//! Where the machines' names go.

use super::delays::Seconds;
use crate::names::Names;
use deploy_core::{DnsName, Invalid, ProviderName};
use deploy_dns::{
    Cloudflare, DnsProvider, Matching, PowerDns, Providers, Rfc2136, TsigAlgorithm, TsigKey, Zone, Zones,
};
use examples::{access, input::Problem};
use serde::Deserialize;
use std::{
    net::SocketAddr,
    num::NonZero,
    path::{Path, PathBuf},
    sync::Arc,
};
use toml::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DnsTable {
    #[serde(default)]
    matching: MatchingName,
    poll_seconds: Option<Seconds>,
    #[serde(rename = "provider")]
    providers: Vec<Spanned<ProviderTable>>,
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum MatchingName {
    #[default]
    Longest,
    All,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProviderTable {
    name: Spanned<ProviderName>,
    zones: Vec<DnsName>,
    ttl_seconds: Option<NonZero<u32>>,
    at_once: Option<NonZero<usize>>,
    powerdns: Option<Spanned<PowerDnsTable>>,
    cloudflare: Option<Spanned<CloudflareTable>>,
    rfc2136: Option<Spanned<Rfc2136Table>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PowerDnsTable {
    url: String,
    key_file: PathBuf,
    server: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CloudflareTable {
    token_file: PathBuf,
    url: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rfc2136Table {
    server: SocketAddr,
    key: DnsName,
    algorithm: Option<String>,
    secret_file: PathBuf,
}

type Beside<'b> = &'b dyn Fn(&Path) -> PathBuf;

/// How long others may keep a record, where the file does not say it.
const TTL: u32 = 3600;

/// How many machines' requests a provider gets at once, where the file does not say it.
const AT_ONCE: usize = 4;

/// Everything is judged, and nothing is sent yet; what is wrong goes to `problems`.
pub(super) fn names(
    table: Option<&Spanned<DnsTable>>,
    beside: Beside<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Names> {
    let table = table?.get_ref();
    let (mut providers, mut zones) = (Providers::new(), Vec::new());
    for (at, spanned) in table.providers.iter().enumerate() {
        let provider = spanned.get_ref();
        let path = format!("dns.provider[{at}]");
        let name = provider.name.get_ref();
        if table.providers[..at].iter().any(|other| other.get_ref().name.get_ref() == name) {
            let message = "name: another provider of this file has it; each must have one of its own";
            problems.push(Problem::new(provider.name.span(), message).under(&path));
        }
        match provider.provider(spanned, beside) {
            Ok(made) => {
                let at_once = provider.at_once.map_or(AT_ONCE, NonZero::get);
                providers = providers.with(name.clone(), made, at_once);
            }
            Err(problem) => problems.push(problem.under(&path)),
        }
        let ttl = provider.ttl_seconds.map_or(TTL, NonZero::get);
        let zone = |zone: &DnsName| Zone { provider: name.clone(), name: zone.clone(), ttl };
        zones.extend(provider.zones.iter().map(zone));
    }
    let matching = match table.matching {
        MatchingName::Longest => Matching::Longest,
        MatchingName::All => Matching::All,
    };
    let poll = table.poll_seconds.map(Seconds::duration);
    Some(Names { providers, zones: Zones::new(zones, matching), poll })
}

impl ProviderTable {
    fn provider(&self, place: &Spanned<Self>, beside: Beside<'_>) -> Result<Arc<dyn DnsProvider>, Problem> {
        match (&self.powerdns, &self.cloudflare, &self.rfc2136) {
            (Some(table), None, None) => made("powerdns", table, |table| table.provider(beside)),
            (None, Some(table), None) => made("cloudflare", table, |table| table.provider(beside)),
            (None, None, Some(table)) => made("rfc2136", table, |table| table.provider(beside)),
            _ => Err(Problem::new(place.span(), "needs exactly one of powerdns, cloudflare and rfc2136")),
        }
    }
}

/// What a table makes, or what is wrong with it.
fn made<T>(
    name: &str,
    table: &Spanned<T>,
    make: impl FnOnce(&T) -> anyhow::Result<Arc<dyn DnsProvider>>,
) -> Result<Arc<dyn DnsProvider>, Problem> {
    make(table.get_ref()).map_err(|error| Problem::new(table.span(), format!("{name}: {error:#}")))
}

impl PowerDnsTable {
    fn provider(&self, beside: Beside<'_>) -> anyhow::Result<Arc<dyn DnsProvider>> {
        let provider = PowerDns::new(&self.url, access::secret(&beside(&self.key_file))?)?;
        Ok(match &self.server {
            Some(server) => Arc::new(provider.with_server(server)),
            None => Arc::new(provider),
        })
    }
}

impl CloudflareTable {
    fn provider(&self, beside: Beside<'_>) -> anyhow::Result<Arc<dyn DnsProvider>> {
        let token = access::secret(&beside(&self.token_file))?;
        let provider = match &self.url {
            Some(url) => Cloudflare::at(url, &token)?,
            None => Cloudflare::new(&token)?,
        };
        Ok(Arc::new(provider))
    }
}

impl Rfc2136Table {
    fn provider(&self, beside: Beside<'_>) -> anyhow::Result<Arc<dyn DnsProvider>> {
        let algorithm = self.algorithm.as_deref().map(str::parse::<TsigAlgorithm>);
        let algorithm: Option<TsigAlgorithm> = algorithm.transpose().map_err(|error: Invalid| error)?;
        let key = TsigKey {
            name: self.key.clone(),
            algorithm: algorithm.unwrap_or_default(),
            secret: access::secret(&beside(&self.secret_file))?,
        };
        Ok(Arc::new(Rfc2136::new(self.server, &key)?))
    }
}
