//! A server that does what it is told: one behaviour per request, in order, and a record of what it was sent.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use crate::described::violations;
use proxmox_api::{Client, ClientBuilder, Credentials, Fingerprint};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// What to do with a request.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Send this, and keep the connection.
    Answer(Vec<u8>),
    /// Send this, and close the connection.
    Last(Vec<u8>),
    /// Close without an answer, with a reset.
    Reset,
    /// Never answer.
    Hang,
}

/// Whatever a test is about, every request that reaches the server is one that PVE's description allows.
pub(crate) struct Canned {
    pub(crate) url: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    acts: Mutex<VecDeque<Act>>,
    requests: Mutex<Vec<String>>,
    violations: Mutex<Vec<String>>,
}

impl Drop for Canned {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let violations = self.shared.violations.lock().unwrap();
            assert!(violations.is_empty(), "not as described: {violations:#?}");
        }
    }
}

pub(crate) fn answer(status: &str, body: &str) -> Act {
    Act::Answer(format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes())
}

pub(crate) fn token() -> Credentials {
    Credentials::Token("root@pam!t1=secret".parse().unwrap())
}

impl Canned {
    /// Over plain HTTP.
    pub(crate) async fn start(acts: impl IntoIterator<Item = Act>) -> Self {
        Self::listen(acts, None, "http").await
    }

    /// Over TLS with a certificate of its own, whose PEM and fingerprint are returned, too.
    pub(crate) async fn start_tls(acts: impl IntoIterator<Item = Act>) -> (Self, String, Fingerprint) {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let certificate = CertificateDer::from(made.cert.der().to_vec());
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let server = Self::listen(acts, Some(acceptor), "https").await;
        (server, made.cert.pem(), Fingerprint::of(&certificate))
    }

    async fn listen(acts: impl IntoIterator<Item = Act>, tls: Option<TlsAcceptor>, scheme: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let shared = Shared { acts: Mutex::new(acts.into_iter().collect()), ..Shared::default() };
        let server = Self { url, shared: Arc::new(shared) };
        let shared = Arc::clone(&server.shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (server, tls) = (Arc::clone(&shared), tls.clone());
                tokio::spawn(async move {
                    // A reset instead of an orderly end, whenever the stream is dropped.
                    stream.set_zero_linger().unwrap();
                    match tls {
                        None => server.serve(stream).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                server.serve(stream).await;
                            }
                        }
                    }
                });
            }
        });
        server
    }

    /// Adds a behaviour.
    pub(crate) fn push(&self, act: Act) {
        self.shared.acts.lock().unwrap().push_back(act);
    }

    /// What it was sent, heads and bodies.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// A description of a client for it.
    pub(crate) fn builder(&self) -> ClientBuilder {
        Client::builder().url(&self.url).credentials(token()).allow_plain_http()
    }

    /// A client for it.
    pub(crate) fn client(&self) -> Client {
        self.builder().build().unwrap()
    }
}

impl Shared {
    async fn serve(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        while let Some(request) = read_request(&mut stream).await {
            self.violations.lock().unwrap().extend(violations(&request));
            self.requests.lock().unwrap().push(request);
            let act = self.acts.lock().unwrap().pop_front();
            match act {
                Some(Act::Answer(bytes)) => stream.write_all(&bytes).await.unwrap(),
                Some(Act::Last(bytes)) => {
                    stream.write_all(&bytes).await.unwrap();
                    stream.shutdown().await.unwrap();
                    // Not dropped before it is read: the reset would overtake it.
                    let _ = stream.read(&mut [0]).await;
                    return;
                }
                Some(Act::Hang) => std::future::pending().await,
                Some(Act::Reset) | None => return,
            }
        }
    }
}

async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(end) = text.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&text[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
            if text.len() >= end + 4 + length {
                return Some(String::from_utf8(text).unwrap());
            }
        }
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => text.extend_from_slice(&buffer[..count]),
        }
    }
}

/// An address where nothing listens.
pub(crate) async fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}
