//! The way out for mail: a server, connections to it that are kept, and what it says.

mod connection;
mod error;
mod settings;
#[cfg(test)]
mod tests;

pub use error::{SmtpConfigError, SmtpError};
pub use settings::{Login, MailTrust, Security, SmtpSettings};

use connection::{Connection, Server};
use lettre::Address;
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::time::Instant;

/// A mail server, and connections to it that are kept for the next mail. Clones share them.
#[derive(Clone)]
pub struct Smtp(Arc<Inner>);

struct Inner {
    server: Server,
    kept: Mutex<Vec<(Connection, Instant)>>,
}

/// What one mail comes from, goes to and is.
pub(crate) struct Outgoing<'m> {
    pub(crate) from: &'m Address,
    pub(crate) to: &'m Address,
    pub(crate) mail: &'m [u8],
}

impl Smtp {
    /// Judges the settings; nothing is sent yet.
    ///
    /// # Errors
    /// [`SmtpConfigError`].
    pub fn new(settings: SmtpSettings) -> Result<Self, SmtpConfigError> {
        Ok(Self(Arc::new(Inner { server: Server::new(settings)?, kept: Mutex::default() })))
    }

    /// Connects, logs in and sends nothing: whether mail could be sent, for the start of a program.
    ///
    /// # Errors
    /// [`SmtpError`].
    pub async fn check(&self) -> Result<(), SmtpError> {
        let connection = self.0.server.connect().await?;
        self.keep(connection);
        Ok(())
    }

    /// Hands the server one mail for one person. Dropped, it may have been taken.
    ///
    /// # Errors
    /// [`SmtpError`].
    pub(crate) async fn send(&self, outgoing: &Outgoing<'_>) -> Result<(), SmtpError> {
        let mut connection = self.connection().await?;
        let sent = connection.send(&self.0.server, outgoing).await;
        if connection.is_usable() {
            self.keep(connection);
        }
        sent
    }

    /// One that was kept and is still there, or a new one.
    async fn connection(&self) -> Result<Connection, SmtpError> {
        while let Some(mut kept) = self.take() {
            if kept.is_alive(&self.0.server).await {
                return Ok(kept);
            }
        }
        self.0.server.connect().await
    }

    fn take(&self) -> Option<Connection> {
        let mut kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let kept_for = self.0.server.settings().kept_for;
        kept.retain(|(_, since)| since.elapsed() < kept_for);
        kept.pop().map(|(connection, _)| connection)
    }

    fn keep(&self, connection: Connection) {
        let mut kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < self.0.server.settings().kept {
            kept.push((connection, Instant::now()));
        }
    }
}

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Smtp").field(&self.0.server.name()).finish()
    }
}
