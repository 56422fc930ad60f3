use std::error::Error as StdError;
use std::time::Duration;

use async_trait::async_trait;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::ext::ReasonPhrase;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::timeout;

use super::connector::Connector;
use super::{Carrier, Uncarried};
use crate::error::Cause;
use crate::timeouts::Timeouts;
use crate::tls::distrust;

/// The real network. Nothing in the environment makes it use a proxy, which would see what machines are managed: a cluster is
/// nearby.
pub(crate) struct Https(Client<Connector, Full<Bytes>>);

impl Https {
    pub(crate) fn new(tls: rustls::ClientConfig, timeouts: &Timeouts) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(timeouts.idle)
            .pool_timer(TokioTimer::new())
            .build(Connector::new(tls, timeouts.connect));
        Self(client)
    }

    async fn exchange(&self, request: http::Request<Vec<u8>>) -> Result<http::Response<Vec<u8>>, Uncarried> {
        let request = request.map(|body| Full::new(Bytes::from(body)));
        let (head, body) = self.0.request(request).await.map_err(|error| unanswered(&error))?.into_parts();
        let mut answer = http::Response::new(Vec::new());
        *answer.status_mut() = head.status;
        if let Some(reason) = head.extensions.get::<ReasonPhrase>() {
            answer.extensions_mut().insert(reason.clone());
        }
        match body.collect().await {
            Ok(body) => *answer.body_mut() = body.to_bytes().into(),
            // The handler is through, but what it answered, a task for one, is lost.
            Err(error) if head.status.is_success() => {
                return Err(Uncarried::Unanswered(Cause::Broken(root_text(&error))));
            }
            // Of a refusal the status says enough.
            Err(_) => {}
        }
        Ok(answer)
    }
}

#[async_trait]
impl Carrier for Https {
    async fn carry(
        &self,
        request: http::Request<Vec<u8>>,
        limit: Duration,
    ) -> Result<http::Response<Vec<u8>>, Uncarried> {
        match timeout(limit, self.exchange(request)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Uncarried::Unanswered(Cause::TimedOut)),
        }
    }
}

/// What became of a request that got no answer. What to repeat is decided where it is known what a repetition does; the library
/// repeats only what found its connection closed before anything of it was written.
fn unanswered(error: &Error) -> Uncarried {
    if error.is_connect() {
        return Uncarried::NotSent(distrust(error).unwrap_or_else(|| Cause::Connect(root_text(error))));
    }
    Uncarried::Unanswered(Cause::Broken(root_text(error)))
}

/// The innermost text: the outer ones say no more than that something failed.
fn root_text(error: &(dyn StdError + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
