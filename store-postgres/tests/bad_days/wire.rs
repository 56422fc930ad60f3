//! The network between a store and its server, with all that networks do.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
    sync::watch,
};

/// What happens to what the store says on a connection that writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weather {
    /// It arrives, and so does the answer.
    Fair,
    /// It arrives; then the connection is cut instead of the answer.
    AnswerLost,
    /// The connection is cut before it arrives, for good.
    RequestLost,
    /// It does not arrive, nor does anything after it, and nobody notices: the connection stays.
    Silence,
    /// The store's side is cut; what it said arrives at the server after [`Wire::let_through`].
    RequestLate,
}

/// Which request it happens to.
#[derive(Debug, Clone, Copy)]
enum Which {
    /// The next one that contains the words.
    With(&'static str),
    /// The one after so many others.
    After(u32),
}

/// A relay in front of a server.
pub(crate) struct Wire {
    pub(crate) port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    server: SocketAddr,
    /// What strikes next, if anything does.
    forecast: Mutex<Option<(Weather, Which)>>,
    late: watch::Sender<bool>,
    arrived: watch::Sender<u32>,
}

impl Wire {
    /// A relay to this port of this machine.
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shared = Arc::new(Shared {
            server: SocketAddr::from(([127, 0, 0, 1], port)),
            forecast: Mutex::default(),
            late: watch::Sender::new(false),
            arrived: watch::Sender::new(0),
        });
        let wire = Self { port: listener.local_addr().unwrap().port(), shared: shared.clone() };
        tokio::spawn(async move {
            while let Ok((store, _)) = listener.accept().await {
                tokio::spawn(relay(store, shared.clone()));
            }
        });
        wire
    }

    /// The next request that contains `words` meets this weather; everything after it is fair.
    pub(crate) fn forecast(&self, weather: Weather, words: &'static str) {
        *self.shared.forecast.lock().unwrap() = Some((weather, Which::With(words)));
    }

    /// The request after so many others meets this weather, on whichever connection it is; everything else is fair.
    pub(crate) fn forecast_after(&self, weather: Weather, requests: u32) {
        *self.shared.forecast.lock().unwrap() = Some((weather, Which::After(requests)));
    }

    /// Calls the forecast off; says whether it had come true.
    pub(crate) fn has_struck(&self) -> bool {
        self.shared.forecast.lock().unwrap().take().is_none()
    }

    /// Lets late requests arrive, and returns when the server has answered them.
    pub(crate) async fn let_through(&self) {
        let mut arrived = self.shared.arrived.subscribe();
        self.shared.late.send_replace(true);
        arrived.wait_for(|arrived| *arrived > 0).await.unwrap();
    }
}

async fn relay(store: TcpStream, shared: Arc<Shared>) {
    let server = TcpStream::connect(shared.server).await.unwrap();
    let (from_store, to_store) = store.into_split();
    let (from_server, to_server) = server.into_split();
    let (answers, are) = watch::channel(Answers::Heard);
    let passing = tokio::spawn(pass(from_server, to_store, are));
    requests(from_store, to_server, passing, answers, &shared).await;
}

/// What becomes of what the server says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answers {
    Heard,
    /// The store's side is open, and hears nothing.
    Lost,
    /// The store's side is cut.
    Cut,
}

/// Passes on what the server says, until it ends.
async fn pass(mut from: OwnedReadHalf, to: OwnedWriteHalf, mut answers: watch::Receiver<Answers>) {
    let mut buffer = vec![0; 65536];
    let mut to = Some(to);
    loop {
        let length = tokio::select! {
            length = from.read(&mut buffer) => length.unwrap_or(0),
            Ok(()) = answers.changed() => {
                to = to.filter(|_| *answers.borrow_and_update() != Answers::Cut);
                continue;
            }
        };
        if length == 0 {
            return;
        }
        let listens = *answers.borrow() == Answers::Heard;
        if let Some(to) = to.as_mut().filter(|_| listens)
            && to.write_all(&buffer[..length]).await.is_err()
        {
            return;
        }
    }
}

async fn requests(
    mut from_store: OwnedReadHalf,
    mut to_server: OwnedWriteHalf,
    passing: tokio::task::JoinHandle<()>,
    answers: watch::Sender<Answers>,
    shared: &Shared,
) {
    let mut buffer = vec![0; 65536];
    while let Ok(length @ 1..) = from_store.read(&mut buffer).await {
        let request = &buffer[..length];
        match shared.strikes(request) {
            Weather::Fair => {
                if to_server.write_all(request).await.is_err() {
                    break;
                }
            }
            Weather::RequestLost => break,
            Weather::Silence => while let Ok(1..) = from_store.read(&mut buffer).await {},
            Weather::AnswerLost => {
                answers.send_replace(Answers::Lost);
                to_server.write_all(request).await.unwrap();
                to_server.shutdown().await.unwrap();
                // The server closes when it has carried out all that it was sent; the store's side is closed after that.
                let _ = passing.await;
                return;
            }
            Weather::RequestLate => {
                answers.send_replace(Answers::Cut);
                drop(from_store);
                let mut late = shared.late.subscribe();
                late.wait_for(|late| *late).await.unwrap();
                to_server.write_all(request).await.unwrap();
                to_server.shutdown().await.unwrap();
                // The server closes when it has carried out all that it was sent.
                let _ = passing.await;
                shared.arrived.send_modify(|arrived| *arrived += 1);
                return;
            }
        }
    }
    passing.abort();
}

impl Shared {
    fn strikes(&self, request: &[u8]) -> Weather {
        let mut forecast = self.forecast.lock().unwrap();
        let strikes = match &mut *forecast {
            Some((_, Which::With(words))) => {
                request.windows(words.len()).any(|part| part == words.as_bytes())
            }
            Some((_, Which::After(0))) => true,
            Some((_, Which::After(others))) => {
                *others -= 1;
                false
            }
            None => false,
        };
        let struck = if strikes { forecast.take() } else { None };
        struck.map_or(Weather::Fair, |(weather, _)| weather)
    }
}
