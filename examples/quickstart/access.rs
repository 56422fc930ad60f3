//! How a cluster is reached: addresses, token, trust.

use crate::{cli::Cli, simulator::Simulator};
use anyhow::Context as _;
use proxmox_api::{ApiToken, Client, Credentials, Fingerprint, Trust};
use std::fs;

/// The client of the cluster that the command line names. Nothing is sent yet.
pub(crate) fn of_cluster(cli: &Cli) -> anyhow::Result<Client> {
    let path = cli.token_file.as_deref().context("--token-file is missing")?;
    let text = fs::read_to_string(path)
        .with_context(|| format!("--token-file: {} cannot be read", path.display()))?;
    let token: ApiToken = text.parse().with_context(|| format!("--token-file: {}", path.display()))?;
    client(&cli.url, token, trust(cli)?).context("--url")
}

fn trust(cli: &Cli) -> anyhow::Result<Trust> {
    if let Some(path) = &cli.ca {
        let pem = fs::read(path).with_context(|| format!("--ca: {} cannot be read", path.display()))?;
        return Ok(Trust::Ca(pem));
    }
    if cli.fingerprint.is_empty() {
        return Ok(Trust::SystemRoots);
    }
    let parse =
        |text: &String| text.parse::<Fingerprint>().with_context(|| format!("--fingerprint: {text:?}"));
    cli.fingerprint.iter().map(parse).collect::<anyhow::Result<_>>().map(Trust::Fingerprints)
}

/// The client of a simulated cluster, with its certificate pinned.
pub(crate) fn of_simulator(simulator: &Simulator) -> anyhow::Result<Client> {
    let address = simulator.address();
    let trust = Trust::Fingerprints(vec![address.fingerprint.parse()?]);
    client(std::slice::from_ref(&address.url), address.token.parse()?, trust)
}

fn client(urls: &[String], token: ApiToken, trust: Trust) -> anyhow::Result<Client> {
    let builder = Client::builder().credentials(Credentials::Token(token)).trust(trust);
    Ok(urls.iter().fold(builder, proxmox_api::ClientBuilder::url).build()?)
}
