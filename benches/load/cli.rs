//! The command line.

use clap::{Parser, ValueEnum};
use deploy_worker::Limits;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Limits of ours that are out of the way.
const RAISED: u32 = 1024;

/// Deploys many machines and says what that costs: wall time, seconds over the ideal, requests, CPU, memory.
///
/// Without --url they are deployed on a simulated cluster, in a process of its own. Durations and delays are in seconds.
#[derive(Debug, Parser)]
#[command(name = "load", version, after_help = AFTER)]
pub(crate) struct Cli {
    /// How many machines at once; each number is a series of its own
    #[arg(long, value_name = "N,..", value_delimiter = ',', default_values_t = [1, 50, 1000], value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) machines: Vec<u32>,
    /// Runs of each series, each in a fresh process, on a fresh cluster and database; what is shown are medians
    #[arg(long, value_name = "RUNS", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) repeat: u32,
    /// What our own limits are [default: raised; with --contended: default]
    #[arg(long)]
    pub(crate) limits: Option<LimitsChoice>,
    /// Where records are kept. A SQLite file is made in the folder for temporary files (TMPDIR); where that is in memory,
    /// nothing is really flushed
    #[arg(long, default_value = "sqlite")]
    pub(crate) store: StoreChoice,
    /// How long to wait, without another machine becoming ready, before the rest is given up
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    pub(crate) patience: u64,
    /// Writes everything as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Draws cost against the number of machines, as SVG
    #[arg(long, value_name = "FILE.svg")]
    pub(crate) plot: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) simulated: Simulated,
    #[command(flatten)]
    pub(crate) real: Real,
    #[arg(long, hide = true)]
    pub(crate) role: Option<Role>,
}

/// The simulated cluster.
#[derive(Debug, Clone, clap::Args, Serialize)]
#[group(skip)]
#[command(next_help_heading = "Simulated cluster")]
pub(crate) struct Simulated {
    /// How long a clone takes
    #[arg(long, value_name = "SECONDS", default_value_t = 2.3)]
    pub(crate) clone: f64,
    /// How long a migration takes
    #[arg(long, value_name = "SECONDS", default_value_t = 3.4)]
    pub(crate) migrate: f64,
    /// How long a start takes
    #[arg(long, value_name = "SECONDS", default_value_t = 0.6)]
    pub(crate) start: f64,
    /// The share by which durations vary
    #[arg(long, value_name = "SHARE", default_value_t = 0.3)]
    pub(crate) jitter: f64,
    /// What the jitter is drawn from; each repetition takes the next number
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// How long answers to requests that read are on the way
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0)]
    pub(crate) read_latency: f64,
    /// How long answers to requests that write are on the way
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0)]
    pub(crate) write_latency: f64,
    /// As a real cluster: three workers to a daemon, storages that are locked, and everything takes its time. Without it,
    /// only clone, migration and start do
    #[arg(long)]
    pub(crate) contended: bool,
}

/// A cluster that is there.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(next_help_heading = "A cluster of yours")]
pub(crate) struct Real {
    /// A node of it, `https://pve1.example.com:8006`; several repeated or with commas. The machines of --orders are deployed
    /// once, and stay
    #[arg(long, value_name = "URL", value_delimiter = ',', requires_all = ["token_file", "orders", "db"],
        conflicts_with_all = ["machines", "repeat", "store", "clone", "migrate", "start", "jitter", "seed", "read_latency", "write_latency", "contended", "plot"])]
    pub(crate) url: Vec<String>,
    /// A file with the API token: USER@REALM!TOKENID=SECRET
    #[arg(long, value_name = "FILE", requires = "url")]
    pub(crate) token_file: Option<PathBuf>,
    /// The CA that signed the nodes' certificates, a PEM file [default: the system's CAs]
    #[arg(long, value_name = "FILE", requires = "url", conflicts_with = "fingerprint")]
    pub(crate) ca: Option<PathBuf>,
    /// The SHA-256 fingerprint of a node's certificate; one for each node, repeated or with commas
    #[arg(long, value_name = "FP", value_delimiter = ',', requires = "url")]
    pub(crate) fingerprint: Vec<String>,
    /// The order file, as the quickstart reads it
    #[arg(long, value_name = "FILE", requires = "url")]
    pub(crate) orders: Option<PathBuf>,
    /// A new SQLite file. It alone knows afterwards which machines are ours; `quickstart --terminate` takes them away
    #[arg(long, value_name = "FILE", requires = "url")]
    pub(crate) db: Option<PathBuf>,
}

/// What our own limits are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LimitsChoice {
    /// Those of a worker as it comes
    Default,
    /// 1,024 of everything
    Raised,
}

impl LimitsChoice {
    /// The limits.
    pub(crate) fn limits(self) -> Limits {
        match self {
            Self::Default => Limits::default(),
            Self::Raised => Limits {
                cluster: RAISED,
                node: RAISED,
                clone_storage: RAISED,
                template: RAISED,
                migration: RAISED,
                backup: RAISED,
            },
        }
    }
}

/// Where records are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StoreChoice {
    /// A SQLite file, flushed at every commit
    Sqlite,
    /// A PostgreSQL server in a temporary folder, flushed at every commit
    Postgres,
    /// Nowhere: what is left is the cost of all the rest
    Memory,
}

/// What a process of this program is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// To serve the simulated cluster.
    Simulator,
    /// To make one measured run.
    Run,
}

impl Role {
    /// The option that says it.
    pub(crate) fn option(self) -> &'static str {
        match self {
            Self::Simulator => "--role=simulator",
            Self::Run => "--role=run",
        }
    }
}

impl Cli {
    /// The limits of the worker.
    pub(crate) fn limits(&self) -> LimitsChoice {
        let usual = if self.simulated.contended || !self.real.url.is_empty() {
            LimitsChoice::Default
        } else {
            LimitsChoice::Raised
        };
        self.limits.unwrap_or(usual)
    }
}

const AFTER: &str = "\
Exit status: 0 every machine became ready, 1 some did not, 2 it could not be measured, 130 interrupted.

Try:
  load                                               1, 50 and 1,000 machines, medians of five runs
  load --machines 1,10,100,1000,10000 --plot load.svg
  load --machines 50 --read-latency 0.02 --write-latency 0.1
  load --machines 50 --contended                     our default limits, on a cluster that is its own bottleneck";

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_options_fit_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn limits_are_those_that_the_comparison_needs() {
        let limits = |line: &str| Cli::try_parse_from(line.split_whitespace()).expect("options").limits();
        assert_eq!(limits("load"), LimitsChoice::Raised);
        assert_eq!(limits("load --contended"), LimitsChoice::Default);
        assert_eq!(limits("load --contended --limits raised"), LimitsChoice::Raised);
    }

    #[test]
    fn a_real_cluster_needs_orders_and_a_database_that_stays() {
        let parse = |line: &str| Cli::try_parse_from(line.split_whitespace());
        assert!(parse("load --url https://pve1:8006 --token-file t").is_err());
        let whole = "load --url https://pve1:8006 --token-file t --orders o.toml --db d.db";
        assert!(parse(whole).is_ok());
        assert!(parse(&format!("{whole} --repeat 2")).is_err());
    }
}
