//! The clusters of the worker's file: how each is reached, and what it is, unless that is written down by somebody else.

use anyhow::{Context as _, bail};
use deploy_core::ClusterName;
use examples::{
    access,
    clusters::{Cluster, Pool, Vmids},
    input::Problem,
};
use proxmox_api::Client;
use serde::Deserialize;
use std::{
    ops::Range,
    path::{Path, PathBuf},
};
use toml::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    name: Spanned<ClusterName>,
    access: Spanned<Access>,
    vmids: Option<Spanned<Vmids>>,
    quarantine_minutes: Option<u32>,
    #[serde(default)]
    pools: Vec<Spanned<Pool>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Access {
    urls: Vec<String>,
    token_file: PathBuf,
    ca: Option<PathBuf>,
    #[serde(default)]
    fingerprints: Vec<String>,
}

/// The clusters that the file defines; what is wrong with them goes to `problems`.
pub(super) fn definitions(tables: &[Spanned<Table>], problems: &mut Vec<Problem>) -> Vec<Cluster> {
    let mut clusters = Vec::new();
    for (at, table) in tables.iter().enumerate() {
        let mut found = Vec::new();
        let name = &table.get_ref().name;
        if tables[..at].iter().any(|other| other.get_ref().name.get_ref() == name.get_ref()) {
            let message = "name: another cluster of this file has it; each must have one of its own";
            found.push(Problem::new(name.span(), message));
        }
        clusters.extend(table.get_ref().definition(&table.span(), &clusters, &mut found));
        problems.extend(found.into_iter().map(|problem| problem.under(&path(at, table))));
    }
    clusters
}

/// How each cluster is reached; nothing is sent yet. What is wrong goes to `problems`.
pub(super) fn clients(
    tables: &[Spanned<Table>],
    beside: &dyn Fn(&Path) -> PathBuf,
    problems: &mut Vec<Problem>,
) -> Vec<(ClusterName, Client)> {
    let mut clients = Vec::new();
    for (at, table) in tables.iter().enumerate() {
        let Table { name, access, .. } = table.get_ref();
        match access.get_ref().client(beside) {
            Ok(client) => clients.push((name.get_ref().clone(), client)),
            Err(error) => {
                let problem = Problem::new(access.span(), format!("{error:#}")).under("access");
                problems.push(problem.under(&path(at, table)));
            }
        }
    }
    clients
}

fn path(at: usize, table: &Spanned<Table>) -> String {
    format!("cluster[{at}] ({})", table.get_ref().name.get_ref())
}

impl Table {
    fn definition(
        &self,
        place: &Range<usize>,
        earlier: &[Cluster],
        problems: &mut Vec<Problem>,
    ) -> Option<Cluster> {
        match (&self.vmids, self.quarantine_minutes) {
            (Some(vmids), Some(quarantine)) => {
                Cluster::judge(self.name.get_ref(), vmids, quarantine, &self.pools, earlier, problems)
            }
            (None, None) if self.pools.is_empty() => None,
            (vmids, _) => {
                let missing = if vmids.is_none() { "vmids" } else { "quarantine_minutes" };
                let message = format!(
                    "{missing}: is missing; say all of vmids, quarantine_minutes and pools, or nothing where the \
                     database knows the cluster from somebody else"
                );
                problems.push(Problem::new(place.clone(), message));
                None
            }
        }
    }
}

impl Access {
    fn client(&self, beside: &dyn Fn(&Path) -> PathBuf) -> anyhow::Result<Client> {
        let token = access::token(&beside(&self.token_file)).context("token_file")?;
        let trust = match &self.ca {
            Some(_) if !self.fingerprints.is_empty() => {
                bail!("ca and fingerprints: certificates are trusted by one of them; leave out the other")
            }
            Some(path) => access::ca(&beside(path)).context("ca")?,
            None => access::fingerprints(&self.fingerprints).context("fingerprints")?,
        };
        access::client(&self.urls, token, trust).context("urls")
    }
}
