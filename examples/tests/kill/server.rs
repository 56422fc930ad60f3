//! The PostgreSQL server, which is stopped hard in the middle of everything.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

/// So long after it is back, whoever was in the middle of connecting may still find out that it was away.
const GRACE: Duration = Duration::from_secs(2);

#[derive(Clone)]
pub(crate) struct Server {
    postgres: Arc<throwaway_postgres::Server>,
    url: String,
    /// When each of its outages ended; `None` for one that lasts.
    outages: Arc<Mutex<Vec<Option<Instant>>>>,
}

impl Server {
    /// A server that keeps what it acknowledged, also where the machine loses its power.
    pub(crate) async fn start() -> Self {
        let start = || {
            let server = throwaway_postgres::Server::builder().durable().start()?;
            let url = server.create_database("deploy")?;
            Ok::<_, throwaway_postgres::ServerError>((server, url))
        };
        let (server, url) =
            tokio::task::spawn_blocking(start).await.unwrap().unwrap_or_else(|error| panic!("{error}"));
        Self { postgres: Arc::new(server), url, outages: Arc::default() }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Stops it as a crash does.
    pub(crate) async fn stop(&self) {
        self.outages.lock().unwrap().push(None);
        self.blocking(throwaway_postgres::Server::stop_immediately).await;
    }

    pub(crate) async fn start_again(&self) {
        self.blocking(throwaway_postgres::Server::start_again).await;
        *self.outages.lock().unwrap().last_mut().unwrap() = Some(Instant::now());
    }

    async fn blocking(
        &self,
        what: fn(&throwaway_postgres::Server) -> Result<(), throwaway_postgres::ServerError>,
    ) {
        let server = Arc::clone(&self.postgres);
        tokio::task::spawn_blocking(move || what(&server)).await.unwrap().unwrap();
    }

    /// Whether it was away at any time since then.
    pub(crate) fn was_away(&self, since: Instant) -> bool {
        let touches = |ended: &Option<Instant>| ended.is_none_or(|ended| ended + GRACE > since);
        self.outages.lock().unwrap().iter().any(touches)
    }

    pub(crate) fn outages(&self) -> usize {
        self.outages.lock().unwrap().len()
    }

    /// What it wrote into its log, for people.
    pub(crate) fn log(&self) -> String {
        self.postgres.log().unwrap_or_else(|error| error.to_string())
    }
}
