//! The command line.

use anyhow::{Context as _, bail};
use clap::Parser;
use examples::access;
use proxmox_api::Client;
use std::path::PathBuf;

/// Deploys machines on a Proxmox VE cluster, from the order to `ready`.
///
/// Without arguments it starts a simulated cluster in this process and deploys the machines of the built-in order file there.
/// With --url it does the same on a cluster of yours, with an order file and a database of yours.
#[derive(Debug, Parser)]
#[command(name = "quickstart", version, after_help = AFTER)]
pub(crate) struct Cli {
    /// The order file: cluster, pools, packages and machines [default: the demonstration, examples/orders.toml]
    #[arg(long, value_name = "FILE")]
    pub(crate) orders: Option<PathBuf>,

    /// A node of a real cluster, `https://pve1.example.com:8006`; several nodes of one cluster repeated or with commas.
    /// Needs --orders, --db and --token-file
    #[arg(long, value_name = "URL", value_delimiter = ',', requires = "token_file")]
    pub(crate) url: Vec<String>,

    /// A file with the API token: USER@REALM!TOKENID=SECRET
    #[arg(long, value_name = "FILE", requires = "url")]
    pub(crate) token_file: Option<PathBuf>,

    /// The CA that signed the nodes' certificates, a PEM file (/etc/pve/pve-root-ca.pem) [default: the system's CAs]
    #[arg(long, value_name = "FILE", requires = "url", conflicts_with = "fingerprint")]
    pub(crate) ca: Option<PathBuf>,

    /// The SHA-256 fingerprint of a node's certificate; one for each node, repeated or with commas
    #[arg(long, value_name = "FP", value_delimiter = ',', requires = "url")]
    pub(crate) fingerprint: Vec<String>,

    /// Keeps everything in this database: after a Ctrl-C or a crash the same command goes on where it stopped
    #[arg(long, value_name = "FILE")]
    pub(crate) db: Option<PathBuf>,

    /// The share of requests, 0 to 0.9, that meet a fault: lost, answered to nobody, refused, late, or with a failing task
    #[arg(long, value_name = "RATE", value_parser = rate, conflicts_with = "url", allow_negative_numbers = true)]
    pub(crate) faults: Option<f64>,

    /// Prints one JSON document at the end, and nothing else, on the standard output
    #[arg(long)]
    pub(crate) json: bool,

    /// Takes the machines away again afterwards, and proves that nothing is left. Orders nothing where --db knows machines
    /// of the order file already
    #[arg(long)]
    pub(crate) terminate: bool,

    /// Seconds to wait, when nothing else is left to do, for machines that need attention
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub(crate) patience: u32,

    /// Serves the simulated cluster of --db; started by this program itself.
    #[arg(long, hide = true, requires = "db")]
    pub(crate) serve_simulator: bool,
}

impl Cli {
    /// Judges what the options say together.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        if self.url.is_empty() {
            return Ok(());
        }
        if self.orders.is_none() {
            bail!(
                "--url needs --orders FILE: the built-in order file is a demonstration with made-up addresses, templates and \
                 nodes, which must not be tried on a real cluster. Copy examples/orders.toml and put in yours"
            );
        }
        if self.db.is_none() {
            bail!(
                "--url needs --db FILE: the database alone knows which machines and addresses of the cluster are ours. Without \
                 it they could neither be finished after an interruption nor be taken away again"
            );
        }
        Ok(())
    }

    /// The client of the cluster that is named. Nothing is sent yet.
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        let token = self.token_file.as_deref().context("--token-file is missing")?;
        let token = access::token(token).context("--token-file")?;
        let trust = match &self.ca {
            Some(path) => access::ca(path).context("--ca")?,
            None => access::fingerprints(&self.fingerprint).context("--fingerprint")?,
        };
        access::client(&self.url, token, trust).context("--url")
    }
}

const AFTER: &str = "\
Exit status: 0 everything is ready (with --terminate: nothing is left), 1 something is not, 2 wrong input, 130 interrupted.

Try:
  quickstart                                 four machines on a simulated cluster
  quickstart --faults 0.3                    the same while a third of all requests go wrong
  quickstart --db /tmp/demo.db               kill it at any moment, and run it again
  quickstart --db /tmp/demo.db --terminate   and take everything away
  quickstart --orders my.toml                how your own orders would do, on a simulated cluster";

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (0.0..=0.9).contains(&rate) => Ok(rate),
        _ => Err("a share from 0 to 0.9, such as 0.3".to_owned()),
    }
}
