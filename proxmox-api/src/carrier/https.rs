use std::error::Error as StdError;
use std::time::Duration;

use async_trait::async_trait;
use hyper::ext::ReasonPhrase;

use super::{Carrier, Uncarried};
use crate::builder::BuildError;
use crate::error::Cause;
use crate::timeouts::Timeouts;
use crate::tls::distrust;

/// The real network.
pub(crate) struct Https(reqwest::Client);

impl Https {
    /// Proxies in the environment are ignored: they would see which machines are managed, and a cluster is nearby.
    pub(crate) fn new(tls: rustls::ClientConfig, timeouts: &Timeouts) -> Result<Self, BuildError> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .http1_only()
            .connect_timeout(timeouts.connect)
            .pool_idle_timeout(timeouts.idle)
            // What to repeat is decided where it is known what a repetition does.
            .retry(reqwest::retry::never())
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build();
        client.map(Self).map_err(|error| BuildError::Http(error.to_string()))
    }
}

#[async_trait]
impl Carrier for Https {
    async fn carry(
        &self,
        request: http::Request<Vec<u8>>,
        limit: Duration,
    ) -> Result<http::Response<Vec<u8>>, Uncarried> {
        let mut request = reqwest::Request::try_from(request).map_err(|error| unanswered(&error))?;
        *request.timeout_mut() = Some(limit);
        let response = self.0.execute(request).await.map_err(|error| unanswered(&error))?;
        let mut answer = http::Response::new(Vec::new());
        *answer.status_mut() = response.status();
        if let Some(reason) = response.extensions().get::<ReasonPhrase>() {
            answer.extensions_mut().insert(reason.clone());
        }
        match response.bytes().await {
            Ok(body) => *answer.body_mut() = body.into(),
            // The handler is through, but what it answered, a task for one, is lost.
            Err(error) if answer.status().is_success() => return Err(unanswered(&error)),
            // Of a refusal the status says enough.
            Err(_) => {}
        }
        Ok(answer)
    }
}

/// What became of a request that got no complete answer.
fn unanswered(error: &reqwest::Error) -> Uncarried {
    if error.is_builder() {
        return Uncarried::NotSent(Cause::Invalid(root_text(error)));
    }
    if error.is_connect() {
        return Uncarried::NotSent(distrust(error).unwrap_or_else(|| Cause::Connect(root_text(error))));
    }
    Uncarried::Unanswered(if error.is_timeout() { Cause::TimedOut } else { Cause::Broken(root_text(error)) })
}

/// The innermost text. The outer ones repeat the URL with its query, and say "error sending request".
fn root_text(error: &reqwest::Error) -> String {
    let mut innermost: &dyn StdError = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    if std::ptr::eq(std::ptr::from_ref(innermost).cast::<()>(), std::ptr::from_ref(error).cast()) {
        return "the request could not be made".to_owned();
    }
    innermost.to_string()
}
