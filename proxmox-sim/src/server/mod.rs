//! The cluster behind HTTP and HTTPS.

mod connection;
mod core;
mod in_process;
mod relay;
mod side;
mod tls;
mod wire;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;

pub use self::in_process::InProcess;

use self::connection::Connection;
use self::core::Core;
use crate::cluster::{Cluster, Switch};
use crate::config::ClusterConfig;
use crate::counters::Counters;
use crate::faults::{Faults, Mishap};
use crate::journal::Entry;
use crate::task_times::TaskTimes;

/// Connections that wait to be accepted; the system may allow fewer.
const BACKLOG: u32 = 16 * 1024;

/// How a cluster is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerOptions {
    /// Port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// HTTPS, or plain HTTP for a quick look.
    pub tls: bool,
    /// After how long an idle connection is closed.
    pub idle: Duration,
    /// Writes a line for every request to the standard error output.
    pub log_requests: bool,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self { port: 0, tls: true, idle: Duration::from_secs(5), log_requests: false }
    }
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The port could not be bound.
    #[error("cannot listen on port {port}")]
    Listen {
        /// The port.
        port: u16,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The certificate could not be made.
    #[error("cannot make a certificate")]
    Certificate(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Serves a cluster.
#[derive(Debug)]
pub struct Server;

/// A server at work. Dropping it ends the server.
#[derive(Debug)]
pub struct Running {
    core: Arc<Core>,
    url: String,
    token: String,
    fingerprint: String,
    ca_pem: String,
    tasks: JoinSet<()>,
}

impl Server {
    /// Binds 127.0.0.1 and serves from then on, on the current runtime.
    ///
    /// # Errors
    ///
    /// When the port is taken or no certificate can be made.
    #[expect(
        clippy::unused_async,
        reason = "it needs a runtime, and callers need not know what it waits for"
    )]
    pub async fn start(mut config: ClusterConfig, options: ServerOptions) -> Result<Running, ServerError> {
        if config.epoch == 0 {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            config.epoch = now.map(|since| since.as_secs()).unwrap_or_default();
        }
        let port = options.port;
        let listen = |source| ServerError::Listen { port, source };
        let listener = listener(port).map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let certificate = tls::Certificate::make().map_err(ServerError::Certificate)?;
        let token = config.tokens.first().map(crate::TokenConfig::credential).unwrap_or_default();
        let scheme = if options.tls { "https" } else { "http" };
        let acceptor = options.tls.then(|| certificate.acceptor.clone());
        let core = Arc::new(Core::new(Cluster::new(config), options.log_requests));
        let mut tasks = JoinSet::new();
        tasks.spawn(Arc::clone(&core).drive());
        let connection = Connection { acceptor, core: Arc::clone(&core), idle: options.idle };
        tasks.spawn(accept(listener, connection));
        Ok(Running {
            core,
            url: format!("{scheme}://{}:{}", SocketAddr::ip(&address), address.port()),
            token,
            fingerprint: certificate.fingerprint,
            ca_pem: certificate.pem,
            tasks,
        })
    }
}

impl Running {
    /// Where it is, without a path: `https://127.0.0.1:40123`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// SHA-256 fingerprint of the certificate, as Proxmox VE writes it: pairs with colons.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The certificate, to be trusted as its own authority.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The first configured token, as it follows `PVEAPIToken=`.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// What was asked and done so far.
    pub fn counters(&self) -> Counters {
        self.with_cluster(|cluster| cluster.counters().clone())
    }

    /// When the latest tasks began and ended, in the order of their ends.
    pub fn task_times(&self) -> Vec<TaskTimes> {
        self.with_cluster(|cluster| cluster.task_times().cloned().collect())
    }

    /// The latest requests, oldest first.
    pub fn requests(&self) -> Vec<Entry> {
        self.with_cluster(|cluster| cluster.requests())
    }

    /// Everything there is, as `GET /sim/state` shows it.
    pub fn state(&self) -> Value {
        self.with_cluster(|cluster| cluster.state())
    }

    /// What has happened to the cluster by itself, in order.
    pub fn mishaps(&self) -> Vec<Mishap> {
        self.with_cluster(|cluster| cluster.mishaps().to_vec())
    }

    /// Changes the faults from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.with_cluster(|cluster| cluster.set_faults(faults));
    }

    /// Flips a switch.
    ///
    /// # Errors
    ///
    /// When there is nothing of that name.
    pub fn switch(&self, switch: Switch) -> Result<(), String> {
        self.with_cluster(|cluster| cluster.switch(switch))
    }

    /// Looks at the cluster, or changes it, as of now.
    pub fn with_cluster<T>(&self, look: impl FnOnce(&mut Cluster) -> T) -> T {
        let result = self.core.with_cluster(look);
        self.core.wake();
        result
    }

    /// Waits until somebody asks for the end with `POST /sim/shutdown`.
    pub async fn ended(&self) {
        self.core.ended().await;
    }

    /// Ends the server. Open connections are cut.
    pub async fn shutdown(mut self) {
        self.core.end();
        self.tasks.shutdown().await;
    }
}

/// Listens on 127.0.0.1. Thousands may knock at once: those that find no room would try again only seconds later.
fn listener(port: u16) -> std::io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind((Ipv4Addr::LOCALHOST, port).into())?;
    socket.listen(BACKLOG)
}

async fn accept(listener: TcpListener, connection: Connection) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // A failed accept is the client's or a passing lack of resources.
                if let Ok((stream, _)) = accepted {
                    connections.spawn(connection.clone().serve(stream));
                }
            }
            Some(_) = connections.join_next() => {}
            () = connection.core.ended() => break,
        }
    }
    // The answer to the request that asked for the end is on its way.
    tokio::time::sleep(Duration::from_millis(50)).await;
    connections.shutdown().await;
}
