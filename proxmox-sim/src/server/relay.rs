//! The two `Connection` headers of a relayed answer.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Stands for the `Connection: close` that came from the daemon behind. An HTTP library would close
/// the connection over it; the server, which sends it before its own `Keep-Alive`, does not.
pub(super) const CLOSE: &str = "xonnection";

/// [`CLOSE`] as it is written out, and as it is sent.
const WRITTEN: &[u8] = b"Xonnection: close\r\n";
const SENT: &[u8] = b"Connection: close\r\n";

/// Puts the real name in, on the way out.
#[derive(Debug)]
pub(super) struct Relay<S> {
    stream: S,
}

impl<S> Relay<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream }
    }
}

/// The bytes to send; nothing when they are to be sent as they are.
fn renamed(bytes: &[u8]) -> Option<Vec<u8>> {
    // A write that was accepted in part may go on exactly where the header begins.
    let begins = |at: &usize| *at == 0 || bytes[..*at].ends_with(b"\r\n");
    let found = bytes.windows(WRITTEN.len()).position(|window| window == WRITTEN).filter(begins)?;
    let mut renamed = bytes.to_vec();
    renamed[found..found + SENT.len()].copy_from_slice(SENT);
    Some(renamed)
}

impl<S: AsyncRead + Unpin> AsyncRead for Relay<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Relay<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let renamed = renamed(buf);
        Pin::new(&mut self.stream).poll_write(cx, renamed.as_deref().unwrap_or(buf))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
