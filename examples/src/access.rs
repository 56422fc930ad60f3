//! How clusters and databases are reached: addresses, secrets, trust.

use anyhow::{Context as _, ensure};
use proxmox_api::{ApiToken, Client, Credentials, Fingerprint, Trust};
use secrecy::SecretString;
use std::{fs, path::Path};

/// The token in a file: `USER@REALM!TOKENID=SECRET`.
///
/// # Errors
/// That the file cannot be read, or holds no token. What it holds is not repeated.
pub fn token(path: &Path) -> anyhow::Result<ApiToken> {
    let text = fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    text.parse().with_context(|| path.display().to_string())
}

/// The secret in a file: what it holds, without the end of the line.
///
/// # Errors
/// That it cannot be read, or is empty.
pub fn secret(path: &Path) -> anyhow::Result<SecretString> {
    let text = fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let secret = text.trim_end_matches(['\r', '\n']);
    ensure!(!secret.is_empty(), "{} is empty", path.display());
    Ok(secret.into())
}

/// Trust in the CA of a PEM file.
///
/// # Errors
/// That it cannot be read.
pub fn ca(path: &Path) -> anyhow::Result<Trust> {
    let pem = fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
    Ok(Trust::Ca(pem))
}

/// Trust in the certificates with these SHA-256 fingerprints, or in the system's CAs where there is none.
///
/// # Errors
/// The text that is no fingerprint.
pub fn fingerprints(texts: &[String]) -> anyhow::Result<Trust> {
    if texts.is_empty() {
        return Ok(Trust::SystemRoots);
    }
    let parse = |text: &String| text.parse::<Fingerprint>().with_context(|| format!("{text:?}"));
    texts.iter().map(parse).collect::<anyhow::Result<_>>().map(Trust::Fingerprints)
}

/// The client of the cluster whose nodes have these addresses. Nothing is sent yet.
///
/// # Errors
/// What is wrong with the addresses or the CA.
pub fn client(urls: &[String], token: ApiToken, trust: Trust) -> anyhow::Result<Client> {
    let builder = Client::builder().credentials(Credentials::Token(token)).trust(trust);
    Ok(urls.iter().fold(builder, proxmox_api::ClientBuilder::url).build()?)
}
