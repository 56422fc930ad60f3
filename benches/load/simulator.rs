//! The simulated cluster, in a process of its own.

use crate::{
    child::{self, Child},
    cli::Role,
};
use anyhow::Context as _;
use benches::process_cpu;
use proxmox_sim::{ClusterConfig, Server, ServerOptions};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A simulated cluster at work.
pub(crate) struct Simulator {
    child: Child,
    address: Address,
}

/// How one gets in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Address {
    /// `https://127.0.0.1:port`
    pub(crate) url: String,
    /// The fingerprint of its certificate.
    pub(crate) fingerprint: String,
    /// An API token.
    pub(crate) token: String,
}

/// What it saw, from its own beginning to its end.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// Requests by method and path.
    pub(crate) requests: BTreeMap<String, u64>,
    /// Its workers that waited too long for a lock.
    pub(crate) lock_timeouts: u64,
    /// Its tasks, in the order of their ends.
    pub(crate) tasks: Vec<Task>,
    /// What it took of the processors itself, seconds.
    pub(crate) cpu: f64,
}

/// A task as it was, in seconds since the simulator's start.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) kind: String,
    pub(crate) vmid: Option<u32>,
    pub(crate) began: f64,
    pub(crate) ended: f64,
    pub(crate) ok: bool,
}

impl Simulator {
    /// Starts it.
    pub(crate) async fn start(config: &ClusterConfig) -> anyhow::Result<Self> {
        let mut child = Child::start(Role::Simulator, config).await?;
        let address = child.said().await.context("the simulated cluster did not start")?;
        Ok(Self { child, address })
    }

    /// How one gets in.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// Ends it, and says what it saw.
    pub(crate) async fn end(self) -> anyhow::Result<Seen> {
        self.child.end().await
    }
}

/// The process: serves until it shall end, then says what it saw.
pub(crate) async fn serve() -> anyhow::Result<()> {
    child::raise_open_files();
    let (config, ended) = child::told::<ClusterConfig>()?;
    let running = Server::start(config, ServerOptions::default()).await?;
    child::say(&Address {
        url: running.url().to_owned(),
        fingerprint: running.fingerprint().to_owned(),
        token: running.token().to_owned(),
    })?;
    // An end without a word is one, too.
    let _ = ended.await;
    let counters = running.counters();
    let task = |task: proxmox_sim::TaskTimes| Task {
        kind: task.kind.to_owned(),
        vmid: task.vmid,
        began: task.began,
        ended: task.ended,
        ok: task.ok,
    };
    let seen = Seen {
        requests: counters.requests,
        lock_timeouts: counters.lock_timeouts,
        tasks: running.task_times().into_iter().map(task).collect(),
        cpu: process_cpu().as_secs_f64(),
    };
    child::say(&seen)?;
    running.shutdown().await;
    Ok(())
}
