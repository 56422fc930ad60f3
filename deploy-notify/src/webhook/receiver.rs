use super::{WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP, WebhookConfigError};
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Collected, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use std::{error::Error, fmt, sync::Arc, time::Duration};
use url::{Host, Url};

/// How much of a refusal is read, and how much of it is told.
const READ: usize = 4096;
const TOLD: usize = 200;

/// A program that takes webhooks, by its URL.
#[derive(Clone)]
pub(super) struct Receiver {
    url: Url,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    timeout: Duration,
}

/// What is posted.
pub(super) struct Message {
    pub(super) id: String,
    pub(super) timestamp: i64,
    pub(super) signatures: String,
    pub(super) body: Vec<u8>,
}

impl Receiver {
    pub(super) fn new(url: &str) -> Result<Self, WebhookConfigError> {
        let url = Url::parse(url).map_err(|error| WebhookConfigError::Url(error.to_string()))?;
        match url.scheme() {
            "https" => {}
            "http" if is_this_machine(&url) => {}
            "http" => return Err(WebhookConfigError::PlainAcrossNetwork),
            other => return Err(WebhookConfigError::Url(format!("it begins with {other}:"))),
        }
        if !url.username().is_empty() || url.password().is_some() {
            let why = "a receiver knows who it is by the signature; leave out the user";
            return Err(WebhookConfigError::Url(why.to_owned()));
        }
        // Of a receiver in the clear no certificate is looked at: it needs no CA to be there.
        let roots = if url.scheme() == "https" { system_roots() } else { RootCertStore::empty() };
        Ok(Self { url, client: client(roots)?, timeout: Duration::from_secs(20) })
    }

    pub(super) fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    pub(super) fn with_ca(mut self, pem: &[u8]) -> Result<Self, WebhookConfigError> {
        self.client = client(roots_from_pem(pem)?)?;
        Ok(self)
    }

    /// Posts it. The error says what came instead of a receipt; redirects are no receipt, and are not followed.
    pub(super) async fn post(&self, message: Message) -> Result<(), String> {
        match tokio::time::timeout(self.timeout, self.exchange(message)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(format!("{self}: no answer in {} s", self.timeout.as_secs_f32())),
        }
    }

    async fn exchange(&self, message: Message) -> Result<(), String> {
        let request = self.request(message).map_err(|error| format!("{self}: {error}"))?;
        let answer =
            self.client.request(request).await.map_err(|error| format!("{self}: {}", root(&error)))?;
        let (head, body) = answer.into_parts();
        match head.status {
            status if status.is_success() => Ok(()),
            status if status.is_redirection() => Err(format!(
                "{self}: answered {status}; redirects are not followed, for the signature would go along"
            )),
            status => Err(format!("{self}: answered {}", refusal(status, body).await)),
        }
    }

    fn request(&self, message: Message) -> Result<Request<Full<Bytes>>, http::Error> {
        Request::builder()
            .method(Method::POST)
            .uri(self.url.as_str())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("pve-deploy/", env!("CARGO_PKG_VERSION")))
            .header(WEBHOOK_ID, message.id)
            .header(WEBHOOK_TIMESTAMP, message.timestamp)
            .header(WEBHOOK_SIGNATURE, message.signatures)
            .body(Full::new(Bytes::from(message.body)))
    }
}

/// By its origin alone: paths and queries of webhooks are secrets, as often as not.
impl fmt::Display for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url.origin().ascii_serialization())
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The status, and the beginning of what was said, in one line.
async fn refusal(status: StatusCode, body: Incoming) -> String {
    let said = Limited::new(body, READ).collect().await.map(Collected::to_bytes).unwrap_or_default();
    let text = String::from_utf8_lossy(&said);
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(TOLD).collect();
    match line.trim() {
        "" => status.to_string(),
        line => format!("{status}: {line}"),
    }
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn client(
    roots: RootCertStore,
) -> Result<Client<HttpsConnector<HttpConnector>, Full<Bytes>>, WebhookConfigError> {
    // The provider is named, not the process-wide default: two crates of one program may have set different ones.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| WebhookConfigError::Trust(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    // Nothing in the environment makes it use a proxy.
    let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
    Ok(Client::builder(TokioExecutor::new())
        .pool_idle_timeout(Duration::from_secs(30))
        .pool_timer(TokioTimer::new())
        .build(connector))
}

fn system_roots() -> RootCertStore {
    let loaded = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Where there are none, each connection says so; a CA of one's own may still be given.
    roots.add_parsable_certificates(loaded.certs);
    roots
}

fn roots_from_pem(pem: &[u8]) -> Result<RootCertStore, WebhookConfigError> {
    let refused = |error: &dyn fmt::Display| WebhookConfigError::Trust(error.to_string());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        roots.add(certificate.map_err(|error| refused(&error))?).map_err(|error| refused(&error))?;
    }
    if roots.is_empty() {
        return Err(refused(&"the PEM text holds no certificate"));
    }
    Ok(roots)
}

/// The innermost text: the outer ones say no more than that something failed.
fn root(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
