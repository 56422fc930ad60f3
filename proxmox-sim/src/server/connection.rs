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
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::core::Core;
use super::relay::{self, Relay};
use super::side;
use super::wire::Wire;
use crate::reply::Reply;
use crate::request::Request;

/// A connection is used for so many requests at most.
const USES: u32 = 100;
const BODY_LIMIT: usize = 512 * 1024;

/// Files may be larger; a real server takes any.
const FILE_LIMIT: usize = 64 << 20;
/// So many headers at most, and so many bytes of them.
const HEADERS: usize = 64;
const HEADER_BYTES: usize = 8192;

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
        let plain = self.acceptor.is_some() && !begins_tls(&stream).await;
        let (wire, cut) = Wire::new(stream);
        match &self.acceptor {
            None => self.speak(wire, &cut).await,
            Some(_) if plain => redirect(wire).await,
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
            .max_headers(HEADERS)
            .title_case_headers(true)
            .serve_connection(TokioIo::new(Relay::new(stream)), service);
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
    let (reply, relayed) = match read(request).await {
        Err(reply) => (reply, false),
        Ok(request) if request.path.starts_with("/sim/") => (side::answer(core, &request), false),
        Ok(request) => {
            let answer = core.handle(request).await;
            if !answer.delay.is_zero() {
                tokio::time::sleep(answer.delay).await;
            }
            let Some(reply) = answer.reply else {
                cut.store(true, Ordering::Relaxed);
                return Err(std::io::ErrorKind::ConnectionReset.into());
            };
            (reply, answer.relayed)
        }
    };
    Ok(respond(&reply, last, relayed))
}

async fn read(request: hyper::Request<Incoming>) -> Result<Request, Reply> {
    let (head, body) = request.into_parts();
    let limit = if head.uri.path().ends_with("/upload") { FILE_LIMIT } else { BODY_LIMIT };
    let body = Limited::new(body, limit).collect().await.map_err(|error| {
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

fn respond(reply: &Reply, last: bool, relayed: bool) -> Response<Full<Bytes>> {
    let json = reply.body.as_ref().map(ToString::to_string);
    let body = json.or_else(|| reply.text.clone()).unwrap_or_default();
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
    headers.insert("pragma", HeaderValue::from_static("no-cache"));
    if relayed {
        headers.insert(relay::CLOSE, HeaderValue::from_static("close"));
    }
    let close = last || reply.status >= 400;
    headers.insert(CONNECTION, HeaderValue::from_static(if close { "close" } else { "Keep-Alive" }));
    response
}

/// Whether a client begins with TLS; one that hangs up at once does not matter.
async fn begins_tls(stream: &TcpStream) -> bool {
    const HANDSHAKE: u8 = 0x16;
    let mut first = [0];
    !matches!(stream.peek(&mut first).await, Ok(1) if first[0] != HANDSHAKE)
}

/// Sends a client that speaks plain HTTP to the same place with TLS.
async fn redirect(mut wire: Wire) {
    let mut head = [0; HEADER_BYTES];
    let mut have = 0;
    while !head[..have].windows(4).any(|end| end == b"\r\n\r\n") && have < head.len() {
        match wire.read(&mut head[have..]).await {
            Ok(0) | Err(_) => return,
            Ok(n) => have += n,
        }
    }
    let text = String::from_utf8_lossy(&head[..have]).into_owned();
    let path = text.split_whitespace().nth(1).unwrap_or("/");
    let host = text.lines().find_map(|line| line.strip_prefix("Host: ")).unwrap_or("localhost");
    let body = "Moved Permanently";
    let answer = format!(
        "HTTP/1.1 301 {body}\r\nCache-Control: max-age=0\r\nConnection: close\r\nPragma: no-cache\r\n\
         Location: https://{host}{path}\r\nServer: pve-api-daemon/3.0\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    // Who is gone misses nothing.
    let _ = wire.write_all(answer.as_bytes()).await;
    let _ = wire.shutdown().await;
}
