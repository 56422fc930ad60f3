//! Signed messages over TCP, two bytes of length before each (RFC 1035, 4.2.2).

use crate::DnsError;
use deploy_core::ErrorClass;
use hickory_proto::{
    op::{Message, ResponseCode},
    rr::TSigner,
};
use std::{
    net::SocketAddr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// How a server is reached.
pub(super) struct Wire {
    pub(super) server: SocketAddr,
    pub(super) signer: TSigner,
    pub(super) patience: Duration,
}

/// A connection.
pub(super) struct Connection<'a> {
    wire: &'a Wire,
    stream: TcpStream,
}

impl Wire {
    pub(super) async fn connect(&self) -> Result<Connection<'_>, DnsError> {
        let not_reached = |why: String| {
            let message = format!("{} cannot be reached: {why}", self.server);
            DnsError::not_sent(ErrorClass::Unreachable, message)
        };
        match timeout(self.patience, TcpStream::connect(self.server)).await {
            Ok(Ok(stream)) => Ok(Connection { wire: self, stream }),
            Ok(Err(error)) => Err(not_reached(error.to_string())),
            Err(_) => Err(not_reached("no answer in time".to_owned())),
        }
    }
}

impl Connection<'_> {
    /// Sends a message and waits for its answer, which must be signed by the same key. An answer that says that the
    /// signature was not taken cannot be.
    pub(super) async fn ask(&mut self, mut message: Message) -> Result<Message, DnsError> {
        let cannot = |error: &dyn std::fmt::Display| {
            DnsError::not_sent(ErrorClass::Refused, format!("a message cannot be written: {error}"))
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let verifier = message.finalize(&self.wire.signer, now).map_err(|error| cannot(&error))?;
        let bytes = message.to_vec().map_err(|error| cannot(&error))?;
        let answer = self.exchange(&bytes, message.id).await?;
        let parsed = Message::from_vec(&answer)
            .map_err(|error| DnsError::unknown(format!("{}: {error}", self.wire.server)))?;
        if parsed.metadata.response_code == ResponseCode::NotAuth {
            return Ok(parsed);
        }
        if let Some(mut verifier) = verifier {
            verifier.verify(&answer).map_err(|error| {
                let server = self.wire.server;
                DnsError::unknown(format!("{server}: the answer is not signed as it should be: {error}"))
            })?;
        }
        Ok(parsed)
    }

    async fn exchange(&mut self, bytes: &[u8], id: u16) -> Result<Vec<u8>, DnsError> {
        let server = self.wire.server;
        let exchanged = timeout(self.wire.patience, exchange(&mut self.stream, bytes, id)).await;
        match exchanged {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(DnsError::unknown(format!("{server}: the connection was lost: {error}"))),
            Err(_) => Err(DnsError::unknown(format!("{server}: no answer in time"))),
        }
    }
}

async fn exchange(stream: &mut TcpStream, bytes: &[u8], id: u16) -> std::io::Result<Vec<u8>> {
    let too_long = |_| std::io::Error::new(std::io::ErrorKind::InvalidInput, "the message is too long");
    let mut framed = u16::try_from(bytes.len()).map_err(too_long)?.to_be_bytes().to_vec();
    framed.extend_from_slice(bytes);
    stream.write_all(&framed).await?;
    loop {
        let length = stream.read_u16().await?;
        let mut answer = vec![0; usize::from(length)];
        stream.read_exact(&mut answer).await?;
        // Answers to questions that nobody waits for any more are passed over.
        if answer.get(..2) == Some(&id.to_be_bytes()) {
            return Ok(answer);
        }
    }
}
