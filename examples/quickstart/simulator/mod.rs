//! The simulated cluster: in this process, or in one of its own that outlives this one.

mod beside;
mod config;
mod inspect;
mod serve;
mod state_file;

pub(crate) use config::Tried;
pub(crate) use inspect::{Counters, Inspection};
pub(crate) use serve::serve;

use anyhow::Context as _;
use examples::access;
use proxmox_api::Client;
use proxmox_sim::{ClusterConfig, Faults, Running, Server, ServerOptions};
use state_file::Files;
use std::path::Path;

pub(crate) use state_file::Address;

/// A simulated cluster that is being served.
pub(crate) struct Simulator {
    address: Address,
    place: Place,
}

enum Place {
    /// In this process; ends with it.
    Here(Running),
    /// In a process of its own, beside a database.
    Beside(Files),
}

impl Simulator {
    /// A cluster in this process.
    pub(crate) async fn here(tried: &Tried, faults: f64) -> anyhow::Result<Self> {
        let running = start(tried.config.clone(), faults).await?;
        Ok(Self { address: Address::of(&running), place: Place::Here(running) })
    }

    /// The cluster that belongs to a database: the one that is there, or a new one in a process of its own. `living` is
    /// the number of machines in the database; they would be nowhere in a new cluster.
    pub(crate) async fn beside(
        database: &Path,
        tried: &Tried,
        faults: f64,
        living: usize,
    ) -> anyhow::Result<Self> {
        let files = Files::of(database);
        let (begin, config) = (files.clone(), tried.config.clone());
        let address =
            tokio::task::spawn_blocking(move || beside::find_or_spawn(&begin, &config, faults, living))
                .await??;
        let simulator = Self { address, place: Place::Beside(files) };
        simulator.set_faults(faults).await?;
        Ok(simulator)
    }

    /// Whether a simulated cluster belongs to a database.
    pub(crate) fn belongs_to(database: &Path) -> bool {
        Files::of(database).state.exists()
    }

    /// Whether a simulated cluster of a database is alive.
    pub(crate) fn is_alive(database: &Path) -> anyhow::Result<bool> {
        Files::of(database).is_alive()
    }

    /// Where it is served, and how one gets in.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// A client of it, with its certificate pinned.
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        let address = self.address();
        let trust = access::fingerprints(std::slice::from_ref(&address.fingerprint))?;
        access::client(std::slice::from_ref(&address.url), address.token.parse()?, trust)
    }

    /// Ends the cluster, and everything in it.
    pub(crate) async fn end(self) -> anyhow::Result<()> {
        match self.place {
            Place::Here(running) => {
                running.shutdown().await;
                Ok(())
            }
            Place::Beside(files) => tokio::task::spawn_blocking(move || beside::end(&files)).await?,
        }
    }
}

/// Serves a cluster on a free port of this machine, over HTTPS.
async fn start(config: ClusterConfig, faults: f64) -> anyhow::Result<Running> {
    let config = ClusterConfig { faults: Faults::at_rate(faults), ..config };
    Server::start(config, ServerOptions::default()).await.context("the simulated cluster cannot be started")
}
