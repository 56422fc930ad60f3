use std::error::Error as StdError;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tower_service::Service;

use super::relayed::Relayed;

/// Silent connections are tried after so long, so that a server that is gone is noticed.
const ALIVE_AFTER: Duration = Duration::from_secs(15);

/// Makes connections: name, TCP and TLS together within a limit, for meanwhile nothing is sent.
#[derive(Clone)]
pub(super) struct Connector {
    https: HttpsConnector<HttpConnector>,
    limit: Duration,
}

type Stream = <HttpsConnector<HttpConnector> as Service<Uri>>::Response;
type Failed = Box<dyn StdError + Send + Sync>;

impl Connector {
    pub(super) fn new(tls: rustls::ClientConfig, limit: Duration) -> Self {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_keepalive(Some(ALIVE_AFTER));
        http.set_connect_timeout(Some(limit));
        Self { https: HttpsConnector::from((http, tls)), limit }
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Relayed<TokioIo<Stream>>>;
    type Error = Failed;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Failed>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        self.https.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (connecting, limit) = (self.https.call(uri), self.limit);
        Box::pin(async move {
            let stream =
                tokio::time::timeout(limit, connecting).await.map_err(|_| "operation timed out")??;
            Ok(TokioIo::new(Relayed::new(TokioIo::new(stream))))
        })
    }
}
