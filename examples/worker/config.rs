//! The worker's file.

use crate::delays::{Delays, Seconds};
use anyhow::{Context as _, bail};
use deploy_core::ExternalRef;
use deploy_worker::{Limits, Worker};
use examples::{
    access,
    orders::{self, Orders},
};
use proxmox_api::Client;
use serde::Deserialize;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

/// What the worker is to do; all input was read and judged, and nothing was created yet.
pub(crate) struct Job {
    pub(crate) database: PathBuf,
    /// What is to be there.
    pub(crate) orders: Orders,
    /// What is to be gone.
    pub(crate) terminate: BTreeSet<ExternalRef>,
    pub(crate) client: Client,
    pub(crate) tuning: Tuning,
}

/// The whole file; paths in it begin at its folder.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    database: PathBuf,
    orders: PathBuf,
    #[serde(default)]
    terminate: BTreeSet<ExternalRef>,
    access: Access,
    #[serde(default)]
    concurrency: Concurrency,
    #[serde(default)]
    delays: Delays,
    lease_seconds: Option<Seconds>,
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

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Concurrency {
    turns: Option<usize>,
    cluster: Option<u32>,
    node: Option<u32>,
    clone_storage: Option<u32>,
    template: Option<u32>,
    migration: Option<u32>,
}

/// Reads and judges the file and everything that it names.
pub(crate) fn load(path: &Path) -> anyhow::Result<Job> {
    let text = fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let file: File = toml::from_str(&text).with_context(|| path.display().to_string())?;
    let beside = |named: &Path| path.parent().unwrap_or(Path::new(".")).join(named);
    let mut orders = orders::load(&beside(&file.orders), "orders")?;
    orders.machines.retain(|order| !file.terminate.contains(&order.reference));
    Ok(Job {
        database: beside(&file.database),
        orders,
        terminate: file.terminate,
        client: file.access.client(beside).with_context(|| format!("{}: access", path.display()))?,
        tuning: Tuning {
            concurrency: file.concurrency,
            delays: file.delays,
            lease: file.lease_seconds.map(Seconds::duration),
        },
    })
}

impl Access {
    fn client(&self, beside: impl Fn(&Path) -> PathBuf) -> anyhow::Result<Client> {
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

/// How the worker works.
pub(crate) struct Tuning {
    concurrency: Concurrency,
    delays: Delays,
    lease: Option<Duration>,
}

impl Tuning {
    pub(crate) fn apply(&self, mut worker: Worker) -> Worker {
        let Concurrency { turns, cluster, node, clone_storage, template, migration } = self.concurrency;
        let limits = Limits::default();
        worker = worker.with_policy(self.delays.policy()).with_limits(Limits {
            cluster: cluster.unwrap_or(limits.cluster),
            node: node.unwrap_or(limits.node),
            clone_storage: clone_storage.unwrap_or(limits.clone_storage),
            template: template.unwrap_or(limits.template),
            migration: migration.unwrap_or(limits.migration),
        });
        if let Some(turns) = turns {
            worker = worker.with_turns(turns);
        }
        if let Some(lease) = self.lease {
            worker = worker.with_alive_for(lease);
        }
        worker
    }
}

#[cfg(test)]
mod tests {
    use super::File;
    use crate::delays::Delays;
    use deploy_core::RetryPolicy;
    use deploy_worker::Limits;

    const EXAMPLE: &str = include_str!("../worker.toml");

    #[test]
    fn the_example_says_the_defaults() {
        let file: File = toml::from_str(EXAMPLE).unwrap();
        assert_eq!(file.delays.policy(), RetryPolicy::default());
        assert_eq!(file.lease_seconds.unwrap().duration().as_secs(), 30);
        let (said, limits) = (file.concurrency, Limits::default());
        assert_eq!(
            (said.turns, said.cluster, said.node),
            (Some(64), Some(limits.cluster), Some(limits.node))
        );
        assert_eq!(said.clone_storage, Some(limits.clone_storage));
        assert_eq!((said.template, said.migration), (Some(limits.template), Some(limits.migration)));
        assert_eq!(Delays::default().policy(), RetryPolicy::default());
    }

    #[test]
    fn what_is_not_known_or_cannot_be_is_refused() {
        for (from, to, expected) in [
            ("turns = 64", "turn = 64", "unknown field `turn`"),
            ("lease_seconds = 30", "lease_seconds = -1", "a number of seconds from 0"),
            ("database = \"deploy.db\"\n", "", "missing field `database`"),
        ] {
            assert!(EXAMPLE.contains(from), "{from}");
            let error = toml::from_str::<File>(&EXAMPLE.replacen(from, to, 1)).err().expect(to).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
