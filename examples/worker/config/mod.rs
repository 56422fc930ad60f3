//! The worker's file.

mod cluster;
mod database;
mod delays;
mod dns;
mod jobs;
mod notices;
#[cfg(test)]
mod tests;
mod tuning;

pub(crate) use tuning::Tuning;

use crate::{names::Names, post::Post};
use anyhow::Context as _;
use cluster::Table;
use database::Postgres;
use delays::{Delays, Seconds};
use deploy_core::{ClusterName, ExternalRef};
use dns::DnsTable;
use examples::{
    clusters::Cluster,
    database::Database,
    input::{self, Problem, Rejected},
    orders::{self, Order},
};
use jobs::JobsTable;
use notices::{SmtpTable, WebhookTable};
use proxmox_api::Client;
use serde::Deserialize;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};
use toml::Spanned;
use tuning::Concurrency;

/// What the worker is to do; all input was read and judged, and nothing was created yet.
pub(crate) struct Job {
    pub(crate) database: Database,
    /// How each cluster is reached.
    pub(crate) clients: Vec<(ClusterName, Client)>,
    /// The clusters that the file defines.
    pub(crate) clusters: Vec<Cluster>,
    /// What is to be there.
    pub(crate) orders: Vec<Order>,
    /// What is to be gone.
    pub(crate) terminate: BTreeSet<ExternalRef>,
    /// Who is told of notices, beside the standard output.
    pub(crate) post: Post,
    /// Where the machines' names go, if anywhere.
    pub(crate) names: Option<Names>,
    pub(crate) tuning: Tuning,
}

/// The whole file; paths in it begin at its folder.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    database: Spanned<String>,
    postgres: Option<Spanned<Postgres>>,
    #[serde(rename = "cluster")]
    clusters: Vec<Spanned<Table>>,
    orders: Option<PathBuf>,
    #[serde(default)]
    terminate: BTreeSet<ExternalRef>,
    name: Option<String>,
    lease_seconds: Option<Seconds>,
    poll_seconds: Option<Seconds>,
    audit_seconds: Option<Seconds>,
    #[serde(default)]
    jobs: JobsTable,
    smtp: Option<Spanned<SmtpTable>>,
    webhook: Option<Spanned<WebhookTable>>,
    dns: Option<Spanned<DnsTable>>,
    #[serde(default)]
    concurrency: Concurrency,
    #[serde(default)]
    delays: Delays,
}

/// Reads and judges the file and everything that it names.
pub(crate) fn load(path: &Path) -> anyhow::Result<Job> {
    let shown = path.display().to_string();
    let text = fs::read_to_string(path).with_context(|| format!("{shown} cannot be read"))?;
    let file: File = input::read(&shown, &text)?;
    let beside = |named: &Path| path.parent().unwrap_or(Path::new(".")).join(named);
    let mut problems = Vec::new();
    let database = database::database(&file.database, file.postgres.as_ref(), &beside);
    let database = database.map_err(|problem| problems.push(problem)).ok();
    let clusters = cluster::definitions(&file.clusters, &mut problems);
    let clients = cluster::clients(&file.clusters, &beside, &mut problems);
    let post = notices::post(file.smtp.as_ref(), file.webhook.as_ref(), &beside, &mut problems);
    let names = dns::names(file.dns.as_ref(), &beside, &mut problems);
    if file.clusters.is_empty() {
        problems.push(Problem::new(0..0, "cluster: is empty; the worker needs at least one to work on"));
    }
    let Some(database) = database.filter(|_| problems.is_empty()) else {
        return Err(Rejected::new(&shown, &text, &problems).into());
    };
    let mut orders = match &file.orders {
        Some(path) => orders::load_machines(&beside(path), "orders", &clusters)?,
        None => Vec::new(),
    };
    orders.retain(|order| !file.terminate.contains(&order.reference));
    Ok(Job {
        database,
        clients,
        clusters,
        orders,
        terminate: file.terminate,
        post,
        names,
        tuning: Tuning {
            name: file.name,
            lease: file.lease_seconds,
            poll: file.poll_seconds,
            audit: file.audit_seconds,
            jobs: file.jobs,
            concurrency: file.concurrency,
            delays: file.delays,
        },
    })
}
