//! One connection: HTTP/1, with the manners of the real server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;
use hyper::header::{
    AUTHORIZATION, CONNECTION, CONTENT_TYPE, COOKIE, HeaderName, HeaderValue, TRANSFER_ENCODING,
};
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::core::Core;
use super::side;
use super::wire::Wire;
use crate::reply::Reply;
use crate::request::Request;

/// A connection is used for so many requests at most.
const USES: u32 = 100;
const BODY_LIMIT: usize = 512 * 1024;

/// What every connection is served with.
#[derive(Clone)]
pub(super) struct Connection {
    pub(super) acceptor: Option<TlsAcceptor>,
    pub(super) core: Arc<Core>,
    pub(super) idle: Duration,
}

impl Connection {
    pub(super) async fn serve(self, stream: TcpStream) {
        // Small answers must not wait for more to send.
        let _ = stream.set_nodelay(true);
        let (wire, cut) = Wire::new(stream);
        match &self.acceptor {
            None => self.speak(wire, &cut).await,
            Some(acceptor) => {
                if let Ok(stream) = acceptor.accept(wire).await {
                    self.speak(stream, &cut).await;
                }
            }
        }
    }

    async fn speak(&self, stream: impl AsyncRead + AsyncWrite + Unpin, cut: &AtomicBool) {
        let uses = AtomicU32::new(0);
        let service = service_fn(|request| {
            let last = uses.fetch_add(1, Ordering::Relaxed) + 1 >= USES;
            answer(request, &self.core, cut, last)
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.idle)
            .serve_connection(TokioIo::new(stream), service);
        // Clients come and go; how is of no interest here.
        let _ = connection.await;
    }
}

/// The error stands for a connection that is cut.
async fn answer(
    request: hyper::Request<Incoming>,
    core: &Core,
    cut: &AtomicBool,
    last: bool,
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let reply = match read(request).await {
        Err(reply) => reply,
        Ok(request) if request.path.starts_with("/sim/") => side::answer(core, &request),
        Ok(request) => {
            let answer = core.handle(request).await;
            if !answer.delay.is_zero() {
                tokio::time::sleep(answer.delay).await;
            }
            let Some(reply) = answer.reply else {
                cut.store(true, Ordering::Relaxed);
                return Err(std::io::ErrorKind::ConnectionReset.into());
            };
            reply
        }
    };
    Ok(respond(&reply, last))
}

async fn read(request: hyper::Request<Incoming>) -> Result<Request, Reply> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, BODY_LIMIT).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            Reply::bare(501, "for data too large")
        } else {
            Reply::bare(400, "incomplete request")
        }
    })?;
    let header = |name: HeaderName| {
        let value = head.headers.get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    Ok(Request {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        content_type: header(CONTENT_TYPE),
        body: body.to_bytes().to_vec(),
        chunked: head.headers.contains_key(TRANSFER_ENCODING),
        authorization: header(AUTHORIZATION),
        cookie: header(COOKIE),
        csrf: header(HeaderName::from_static("csrfpreventiontoken")),
    })
}

fn respond(reply: &Reply, last: bool) -> Response<Full<Bytes>> {
    let body = reply.body.as_ref().map(ToString::to_string).unwrap_or_default();
    let mut response = Response::new(Full::new(Bytes::from(body)));
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *response.status_mut() = status;
    if let Ok(reason) = ReasonPhrase::try_from(reply.reason.as_bytes()) {
        response.extensions_mut().insert(reason);
    }
    let headers = response.headers_mut();
    if reply.body.is_some() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json;charset=UTF-8"));
    }
    headers.insert("server", HeaderValue::from_static("pve-api-daemon/3.0"));
    headers.insert("cache-control", HeaderValue::from_static("max-age=0"));
    if last || reply.status >= 400 {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
