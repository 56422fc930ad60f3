//! A receiver of webhooks that answers as it is told.

use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    header::HeaderMap,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use rcgen::CertifiedKey;
use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, rustls};

/// What is answered.
#[derive(Clone)]
pub(crate) enum Answer {
    Status(u16),
    Says(u16, &'static str),
    /// To another place.
    Redirect(String),
    /// Nothing at all.
    Silence,
}

/// What came.
pub(crate) struct Came {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Came {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

pub(crate) struct Receiver {
    pub(crate) url: String,
    /// The PEM text of its certificate, where it has one.
    pub(crate) certificate: String,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// Answered in turn; then everything is taken.
    answers: Mutex<VecDeque<Answer>>,
    came: Mutex<Vec<Came>>,
}

impl Receiver {
    pub(crate) async fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hooks?key=hidden", listener.local_addr().unwrap());
        let state =
            Arc::new(State { answers: Mutex::new(answers.into_iter().collect()), ..State::default() });
        let serving = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&serving)));
            }
        });
        Self { url, certificate: String::new(), state }
    }

    /// The same by TLS, with a certificate of its own for `localhost`.
    pub(crate) async fn start_with_tls() -> Self {
        let CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}/hooks", listener.local_addr().unwrap().port());
        let state = Arc::new(State::default());
        let serving = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, state) = (acceptor.clone(), Arc::clone(&serving));
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve(stream, state).await;
                    }
                });
            }
        });
        Self { url, certificate: cert.pem(), state }
    }

    /// What came so far, taken out.
    pub(crate) fn came(&self) -> Vec<Came> {
        std::mem::take(&mut self.state.came.lock().unwrap())
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, state: Arc<State>) {
    let answer = service_fn(move |request| answer(request, Arc::clone(&state)));
    // A client that goes away in the middle is what the silence is for.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
}

async fn answer(request: Request<Incoming>, state: Arc<State>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes().to_vec();
    let came =
        Came { method: head.method.to_string(), path: head.uri.to_string(), headers: head.headers, body };
    state.came.lock().unwrap().push(came);
    let answer = state.answers.lock().unwrap().pop_front().unwrap_or(Answer::Status(204));
    let (status, location, text) = match answer {
        Answer::Status(status) => (status, None, ""),
        Answer::Says(status, text) => (status, None, text),
        Answer::Redirect(to) => (307, Some(to), ""),
        Answer::Silence => std::future::pending().await,
    };
    let mut response = Response::builder().status(status);
    if let Some(location) = location {
        response = response.header("location", location);
    }
    Ok(response.body(Full::new(Bytes::from(text))).unwrap())
}

/// A port where nobody listens.
pub(crate) async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    assert!(TcpStream::connect(address).await.is_err());
    format!("http://{address}/hooks?key=hidden")
}
