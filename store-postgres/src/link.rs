//! A connection that comes back.

use crate::{Settings, failure::words, tls::Tls};
use deploy_core::StoreError;
use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{sync::Semaphore, time::Instant};
use tokio_postgres::{
    Client, Config, Connection, NoTls, Socket,
    tls::{MakeTlsConnect, NoTlsStream, TlsConnect},
};
use tokio_postgres_rustls::MakeRustlsConnect;

/// What is not answered for so long is taken for lost. Nothing that the store asks takes that long; a lock that somebody else
/// holds may.
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);
/// All of it: names, sockets, TLS, the password.
const CONNECTS_WITHIN: Duration = Duration::from_secs(10);

/// One connection, made when it is needed and made again when it is gone.
pub(crate) struct Link {
    settings: Arc<Settings>,
    client: Mutex<Option<Arc<Client>>>,
    /// One at a time makes it.
    making: Semaphore,
    /// Why none was to be had, and when that was known.
    unreachable: Mutex<Option<(Instant, String)>>,
}

impl Link {
    pub(crate) fn new(settings: Arc<Settings>) -> Self {
        Self { settings, client: Mutex::new(None), making: Semaphore::new(1), unreachable: Mutex::default() }
    }

    /// The connection.
    ///
    /// # Errors
    /// [`StoreError`] where there is none to be had; nothing was sent.
    pub(crate) async fn client(&self) -> Result<Arc<Client>, StoreError> {
        if let Some(client) = self.living() {
            return Ok(client);
        }
        let closed = |_| StoreError::not_written("the store is closed");
        let asked = Instant::now();
        let _making = self.making.acquire().await.map_err(closed)?;
        if let Some(client) = self.living() {
            return Ok(client);
        }
        // Many may wait; each of them trying anew would make the last ones wait for minutes.
        if let Some((at, why)) = &*self.unreachable.lock().unwrap_or_else(PoisonError::into_inner)
            && *at > asked
        {
            return Err(StoreError::not_written(why.clone()));
        }
        let connected = connect(&self.settings).await;
        *self.unreachable.lock().unwrap_or_else(PoisonError::into_inner) =
            connected.as_ref().err().map(|why| (Instant::now(), why.clone()));
        let client = Arc::new(connected.map_err(StoreError::not_written)?);
        *self.client.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&client));
        Ok(client)
    }

    fn living(&self) -> Option<Arc<Client>> {
        self.client
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
            .filter(|client| !client.is_closed())
    }

    /// The answer to what is asked on this connection; `None` where none came. Without an answer the connection is given up,
    /// also where whoever asked has stopped waiting: a heartbeat is not waited for as long as the connection would be, and the
    /// next one shall not go the same way.
    pub(crate) async fn answered<T>(&self, call: impl Future<Output = T>) -> Option<T> {
        let mut unanswered = Unanswered { link: Some(self) };
        let answer = answered(call).await;
        if answer.is_some() {
            unanswered.link = None;
        }
        answer
    }

    /// Gives the connection up, because it does not answer.
    pub(crate) fn drop_client(&self) {
        *self.client.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Closes it for good.
    pub(crate) fn close(&self) {
        self.making.close();
        self.drop_client();
    }
}

/// A question on a link; dropped without an answer, it gives the connection up.
struct Unanswered<'a> {
    link: Option<&'a Link>,
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if let Some(link) = self.link {
            link.drop_client();
        }
    }
}

/// Makes a connection, and has it worked on in the background until its client is dropped.
///
/// # Errors
/// In words.
pub(crate) async fn connect(settings: &Settings) -> Result<Client, String> {
    let (client, connection) = dial(&settings.config, &settings.tls).await?;
    tokio::spawn(connection.work());
    Ok(client)
}

/// A connection that somebody has to work on.
pub(crate) enum Wire {
    Plain(Box<Connection<Socket, NoTlsStream>>),
    Encrypted(Box<Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>>),
}

impl Wire {
    async fn work(self) {
        let ended = match self {
            Self::Plain(connection) => connection.await,
            Self::Encrypted(connection) => connection.await,
        };
        if let Err(error) = ended {
            tracing::warn!(error = words(&error), "a connection to the database ended");
        }
    }
}

/// Makes a connection.
///
/// # Errors
/// In words.
pub(crate) async fn dial(config: &Config, tls: &Tls) -> Result<(Client, Wire), String> {
    match tls {
        Tls::Off => {
            let (client, connection) = within(with(config, NoTls)).await?;
            Ok((client, Wire::Plain(Box::new(connection))))
        }
        Tls::Preferred(config_of_tls) | Tls::Required(config_of_tls) => {
            let tls = MakeRustlsConnect::new((**config_of_tls).clone());
            let (client, connection) = within(with(config, tls)).await?;
            Ok((client, Wire::Encrypted(Box::new(connection))))
        }
    }
}

async fn with<T>(
    config: &Config,
    tls: T,
) -> Result<(Client, Connection<Socket, T::Stream>), tokio_postgres::Error>
where
    T: MakeTlsConnect<Socket>,
    T::TlsConnect: TlsConnect<Socket>,
{
    config.connect(tls).await
}

async fn within<T>(call: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T, String> {
    match tokio::time::timeout(CONNECTS_WITHIN, call).await {
        Ok(answer) => answer.map_err(|error| words(&error)),
        Err(_) => {
            Err(format!("PostgreSQL cannot be reached: no connection within {} s", CONNECTS_WITHIN.as_secs()))
        }
    }
}

/// An answer that is not waited for longer than [`ANSWERS_WITHIN`]; `None` where it did not come.
pub(crate) async fn answered<T>(call: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(ANSWERS_WITHIN, call).await.ok()
}

/// What it is called when an answer did not come.
pub(crate) fn no_answer() -> String {
    format!("PostgreSQL did not answer within {} s", ANSWERS_WITHIN.as_secs())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // these are tests
mod tests {
    use super::*;
    use tokio::{net::TcpListener, task::JoinSet};

    /// A server that is frozen: connections come about, and nobody answers.
    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_the_attempts_of_the_others() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("postgres://joe@{}/panel?sslmode=disable", listener.local_addr().unwrap());
        let link = Arc::new(Link::new(Arc::new(Settings::parse(&url).unwrap())));
        let began = Instant::now();
        let mut callers = JoinSet::new();
        for _ in 0..20 {
            let link = Arc::clone(&link);
            callers.spawn(async move { link.client().await.map(drop) });
        }
        for answer in callers.join_all().await {
            assert!(answer.unwrap_err().message.contains("cannot be reached"));
        }
        assert!(began.elapsed() < 2 * CONNECTS_WITHIN, "{:?}", began.elapsed());
    }
}
