use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use url::Url;

use crate::auth::Credentials;
use crate::carrier::{Carrier, Https};
use crate::client::Client;
use crate::timeouts::Timeouts;
use crate::tls::{Trust, TrustError};
use crate::transport::Transport;

/// Requests at once.
const AT_ONCE: usize = 128;

/// Describes a [`Client`]: servers, credentials and trust are needed, time-outs have defaults.
#[derive(Clone, Default)]
pub struct ClientBuilder {
    urls: Vec<String>,
    credentials: Option<Credentials>,
    trust: Option<Trust>,
    timeouts: Timeouts,
    plain_http: bool,
    carrier: Option<Arc<dyn Carrier>>,
    at_once: Option<NonZeroUsize>,
}

/// Why a client could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// No server was named.
    #[error("no server was given")]
    NoUrl,
    /// No credentials were given.
    #[error("no credentials were given")]
    NoCredentials,
    /// Nothing says how the servers prove who they are.
    #[error("nothing says which certificates to trust")]
    NoTrust,
    /// An address is not one of an HTTP server.
    #[error("`{0}` is not the address of a server, such as https://pve1.example.com:8006")]
    Url(String),
    /// An address would send the credentials in the clear.
    #[error("`{0}` is not encrypted; PVE speaks https (plain http must be allowed expressly, for tests)")]
    PlainHttp(String),
    /// Trust could not be set up.
    #[error(transparent)]
    Trust(#[from] TrustError),
}

impl ClientBuilder {
    /// Adds a server of the cluster, such as `https://pve1.example.com:8006`. Give several: while one cannot be
    /// reached, the next one is asked.
    ///
    /// Without a port it is 8006, where PVE listens. A proxy in front of PVE on the port of HTTPS needs `:443`.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.urls.push(url.into());
        self
    }

    /// Sets who we are.
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// Sets how the servers prove who they are.
    pub fn trust(mut self, trust: Trust) -> Self {
        self.trust = Some(trust);
        self
    }

    /// Replaces the default time-outs.
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Allows addresses with `http://`. For a simulator on this machine; a real PVE has no such port.
    pub fn allow_plain_http(mut self) -> Self {
        self.plain_http = true;
        self
    }

    /// Sends requests by this instead of HTTPS. Trust is then the carrier's own affair and need not be set.
    pub fn carrier(mut self, carrier: Arc<dyn Carrier>) -> Self {
        self.carrier = Some(carrier);
        self
    }

    /// Sends no more requests than that at once; the others wait, without a time-out. Default 128.
    ///
    /// Each needs a connection, which costs a handshake and memory, on both sides. PVE takes 500 for each of its three worker
    /// processes, and ends kept ones early from 480 on.
    pub fn requests_at_once(mut self, requests: NonZeroUsize) -> Self {
        self.at_once = Some(requests);
        self
    }

    /// Makes the client. Nothing is sent yet.
    ///
    /// # Errors
    /// Anything missing or unusable in the description.
    pub fn build(self) -> Result<Client, BuildError> {
        let credentials = self.credentials.ok_or(BuildError::NoCredentials)?;
        let bases: Vec<_> =
            self.urls.iter().map(|url| base(url, self.plain_http)).collect::<Result<_, _>>()?;
        if bases.is_empty() {
            return Err(BuildError::NoUrl);
        }
        let carrier = match (self.carrier, self.trust) {
            (Some(carrier), _) => carrier,
            (None, Some(trust)) => Arc::new(Https::new(trust.client_config()?, &self.timeouts)),
            (None, None) if bases.iter().all(|base| base.starts_with("http://")) => {
                Arc::new(Https::new(Trust::nobody()?, &self.timeouts))
            }
            (None, None) => return Err(BuildError::NoTrust),
        };
        let at_once = self.at_once.map_or(AT_ONCE, NonZeroUsize::get);
        Ok(Client::new(Transport::new(carrier, bases, self.timeouts, at_once), credentials))
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("urls", &self.urls)
            .field("credentials", &self.credentials)
            .field("trust", &self.trust)
            .field("timeouts", &self.timeouts)
            .finish_non_exhaustive()
    }
}

/// Where PVE's API listens.
const PORT: u16 = 8006;

/// The address with `/api2/json` behind it, however much of that was given.
fn base(url: &str, plain_http: bool) -> Result<String, BuildError> {
    // Credentials have their own place; an address that holds some is refused, and not repeated in the error.
    let wrong = || BuildError::Url(if url.contains('@') { "(withheld)" } else { url }.to_owned());
    let mut parsed = Url::parse(url.trim()).map_err(|_| wrong())?;
    match parsed.scheme() {
        "https" => {}
        "http" if plain_http => {}
        "http" => return Err(BuildError::PlainHttp(url.to_owned())),
        _ => return Err(wrong()),
    }
    let bare_path = matches!(parsed.path().trim_end_matches('/'), "" | "/api2/json");
    let bare = bare_path && parsed.query().is_none() && parsed.fragment().is_none();
    if !bare || !parsed.has_host() || !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(wrong());
    }
    if parsed.scheme() == "https" && !names_port(url) && parsed.set_port(Some(PORT)).is_err() {
        return Err(wrong());
    }
    Ok(format!("{}/api2/json", parsed.origin().ascii_serialization()))
}

/// True if the address says which port. The parsed one has forgotten a `:443`, which is the default of the scheme.
fn names_port(url: &str) -> bool {
    let authority = url.split_once("://").map_or("", |(_, rest)| rest).split(['/', '?', '#']).next();
    // The colons of an IPv6 address are inside its brackets.
    let behind_host = authority.and_then(|text| text.rsplit(']').next()).unwrap_or_default();
    behind_host.rsplit_once(':').is_some_and(|(_, port)| !port.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_completed_or_refused() {
        for url in ["https://pve1:8006", "https://pve1:8006/", " https://pve1:8006/api2/json/"] {
            assert_eq!(base(url, false).unwrap(), "https://pve1:8006/api2/json");
        }
        assert_eq!(
            base("https://[2001:db8::1]:8006", false).unwrap(),
            "https://[2001:db8::1]:8006/api2/json"
        );
        assert!(matches!(base("http://pve1:8006", false), Err(BuildError::PlainHttp(_))));
        assert_eq!(base("http://127.0.0.1:1", true).unwrap(), "http://127.0.0.1:1/api2/json");
        for url in [
            "pve1:8006",
            "",
            "ftp://pve1",
            "https://root:secret@pve1",
            "https://pve1/other",
            "https://pve1/?a",
        ] {
            let error = base(url, true).unwrap_err();
            assert!(matches!(error, BuildError::Url(_)), "{url}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn the_port_is_pves_unless_another_is_named() {
        for (url, expected) in [
            ("https://pve1", "https://pve1:8006"),
            ("https://pve1/", "https://pve1:8006"),
            (" https://pve1:/api2/json ", "https://pve1:8006"),
            ("https://[2001:db8::1]/", "https://[2001:db8::1]:8006"),
            ("https://[2001:db8::1]:9000", "https://[2001:db8::1]:9000"),
            ("https://pve1:443", "https://pve1"),
            ("https://pve1:9000/", "https://pve1:9000"),
        ] {
            assert_eq!(base(url, false).unwrap(), format!("{expected}/api2/json"), "{url}");
        }
        assert_eq!(base("http://pve1", true).unwrap(), "http://pve1/api2/json", "no port of PVE's");
    }

    #[test]
    fn nothing_is_assumed() {
        let token = || Credentials::Token("a@pve!t=s".parse().unwrap());
        let url = "https://pve1:8006";
        assert!(matches!(Client::builder().url(url).build(), Err(BuildError::NoCredentials)));
        assert!(matches!(Client::builder().credentials(token()).build(), Err(BuildError::NoUrl)));
        assert!(matches!(Client::builder().url(url).credentials(token()).build(), Err(BuildError::NoTrust)));
    }
}
