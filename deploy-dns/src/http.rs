//! Requests of the providers that speak HTTP, and what their failures mean.

use crate::DnsError;
use deploy_core::{ErrorClass, Invalid};
use jiff::SignedDuration;
use reqwest::{
    Client, Method, StatusCode, Url,
    header::{HeaderName, HeaderValue, RETRY_AFTER},
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use secrecy::{ExposeSecret, SecretString};
use std::{sync::Arc, time::Duration};

/// How long a connection may take to come about, and a whole request.
const CONNECT: Duration = Duration::from_secs(5);
const REQUEST: Duration = Duration::from_secs(15);

/// A server with a secret that each request carries.
pub(crate) struct Http {
    client: Client,
    base: Url,
    header: HeaderName,
    secret: SecretString,
}

/// What a server answered.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: String,
    pub(crate) retry_after: Option<SignedDuration>,
}

impl Http {
    /// Requests to what is below `base`, with `secret` in the header `header`.
    pub(crate) fn new(base: &str, header: HeaderName, secret: SecretString) -> Result<Self, Invalid> {
        let invalid = |expected: &str| Invalid::new("url", base, expected);
        let url: Url = base.parse().map_err(|_| invalid("a URL such as \"https://ns1.example.net:8081\""))?;
        if !matches!(url.scheme(), "http" | "https") || url.cannot_be_a_base() || url.host().is_none() {
            return Err(invalid("a URL that begins with http:// or https://"));
        }
        if HeaderValue::from_str(secret.expose_secret()).is_err() {
            return Err(Invalid::new(
                "key",
                "(hidden)",
                "a key without line breaks and other control characters",
            ));
        }
        let client = client(&url).map_err(|why| invalid(&format!("something to connect to ({why})")))?;
        Ok(Self { client, base: url, header, secret })
    }

    /// Sends a request; `path` is below the base, part by part.
    ///
    /// # Errors
    /// Only where there was no answer.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&serde_json::Value>,
    ) -> Result<Answer, DnsError> {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut value = HeaderValue::from_str(self.secret.expose_secret())
            .map_err(|_| DnsError::not_sent(ErrorClass::Refused, "the key is not fit for a header"))?;
        value.set_sensitive(true);
        let mut request = self.client.request(method, url).header(self.header.clone(), value);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let response = request.send().await.map_err(|error| self.failed(&error))?;
        let (status, retry_after) = (response.status(), retry_after(&response));
        let body = response.text().await.map_err(|error| self.failed(&error))?;
        Ok(Answer { status, body, retry_after })
    }

    fn failed(&self, error: &reqwest::Error) -> DnsError {
        let place = self.base.host_str().unwrap_or_default();
        let words = format!("{place}: {}", words(error));
        if error.is_builder() || error.is_connect() {
            return DnsError::not_sent(ErrorClass::Unreachable, words);
        }
        DnsError::unknown(words)
    }
}

/// One that goes to the server itself where it is on this machine, and otherwise by the environment's proxy.
fn client(url: &Url) -> Result<Client, String> {
    let mut roots = RootCertStore::empty();
    // Single certificates of a system's store may be odd; what cannot be read is not trusted.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let builder = Client::builder()
        .tls_backend_preconfigured(tls)
        .connect_timeout(CONNECT)
        .timeout(REQUEST)
        .redirect(reqwest::redirect::Policy::none());
    let is_here = match url.host() {
        Some(url::Host::Ipv4(v4)) => v4.is_loopback(),
        Some(url::Host::Ipv6(v6)) => v6.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    let builder = if is_here { builder.no_proxy() } else { builder };
    builder.build().map_err(|error| words(&error))
}

/// An error with what caused it; the URL is left out, for the place is said already.
fn words(error: &reqwest::Error) -> String {
    use std::error::Error as _;
    let mut text = if error.is_timeout() { "no answer in time".to_owned() } else { "no answer".to_owned() };
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        // The client's own layers say nothing.
        if !text.contains(&more) && !more.starts_with("client error") {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

/// How many seconds the server wants to be left alone. The form with a date is not read: no clocks are compared.
fn retry_after(response: &reqwest::Response) -> Option<SignedDuration> {
    let seconds: i64 = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(SignedDuration::from_secs(seconds.clamp(0, 24 * 60 * 60)))
}

impl Answer {
    /// The class of a status that is not success.
    pub(crate) fn class(&self) -> ErrorClass {
        match self.status.as_u16() {
            401 | 403 => ErrorClass::Unauthorized,
            429 => ErrorClass::Busy,
            400..=499 => ErrorClass::Refused,
            _ => ErrorClass::Failed,
        }
    }

    /// The body as what it should be. Where it is not, nobody knows what was done.
    pub(crate) fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, DnsError> {
        serde_json::from_str(&self.body).map_err(|error| {
            DnsError::unknown(format!("the answer is not what the documentation says: {error}"))
        })
    }
}
