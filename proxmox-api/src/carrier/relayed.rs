//! Connections that stay usable although an answer seems to say otherwise.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::{Connected, Connection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream on which the answers to writes may be followed by others.
///
/// PVE's proxy relays most writes to a daemon beside it, whose `Connection: close` it passes on before its own `Connection:
/// Keep-Alive`; and it means the latter, the connection stays usable. To HTTP (RFC 9112, 9.6) the first one counts: each write
/// would cost a connection with its handshake.
pub(super) struct Relayed<S> {
    stream: S,
    /// Something was written since: what is read next begins with the head of an answer.
    at_head: bool,
}

impl<S> Relayed<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, at_head: false }
    }
}

/// Takes the daemon's header out of sight, where the whole head is there and the proxy's own one follows it. Where it is
/// split, and may be read wrongly, the connection is closed as it says.
fn hide_daemons_close(answer: &mut [u8]) {
    if !answer.starts_with(b"HTTP/1.") {
        return;
    }
    let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { return };
    let head = &answer[..end];
    let (mut close, mut kept) = (None, false);
    let mut at = 0;
    for line in head.split_inclusive(|byte| *byte == b'\n') {
        match connection(line) {
            Some(value) if value.eq_ignore_ascii_case(b"close") && close.is_none() && !kept => {
                close = Some(at);
            }
            Some(value) if value.eq_ignore_ascii_case(b"keep-alive") => kept = true,
            Some(_) => return,
            None => {}
        }
        at += line.len();
    }
    if let Some(close) = close.filter(|_| kept) {
        answer[close] = b'X';
    }
}

/// What a line says of the connection, if it does.
fn connection(line: &[u8]) -> Option<&[u8]> {
    const NAME: &[u8] = b"connection:";
    let (name, value) = line.split_at_checked(NAME.len())?;
    name.eq_ignore_ascii_case(NAME).then(|| value.trim_ascii())
}

impl<S: AsyncRead + Unpin> AsyncRead for Relayed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(cx, buf);
        if self.at_head && buf.filled().len() > before {
            self.at_head = false;
            hide_daemons_close(&mut buf.filled_mut()[before..]);
        }
        outcome
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Relayed<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.at_head = true;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.at_head = true;
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

impl<S: Connection> Connection for Relayed<S> {
    fn connected(&self) -> Connected {
        self.stream.connected()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    const KEPT: &str =
        "HTTP/1.1 200 OK\r\nConnection: close\r\nCache-Control: max-age=0\r\nConnection: Keep-Alive\r\n\r\n";

    fn shown(answer: &str) -> String {
        let mut bytes = answer.as_bytes().to_vec();
        hide_daemons_close(&mut bytes);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn only_a_close_that_is_taken_back_is_hidden() {
        assert_eq!(shown(KEPT), KEPT.replacen("Connection: close", "Xonnection: close", 1));
        for answer in [
            "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
            "HTTP/1.1 500 no\r\nConnection: close\r\nConnection: close\r\nConnection: Keep-Alive\r\n\r\n",
            "HTTP/1.1 200 OK\r\nConnection: upgrade\r\nConnection: Keep-Alive\r\n\r\n",
            "HTTP/1.1 200 OK\r\nConnection: Keep-Alive\r\nConnection: close\r\n\r\n",
            // Not the whole head: what follows is not known.
            "HTTP/1.1 200 OK\r\nConnection: close\r\nConnection: Keep-Alive\r\n",
            // The body may hold what it will.
            "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nConnection: Keep-Alive\r\n\r\n",
            "{\"data\":1}\r\nConnection: close\r\nConnection: Keep-Alive\r\n\r\n",
        ] {
            assert_eq!(shown(answer), answer);
        }
    }

    #[tokio::test]
    async fn a_head_is_what_is_read_first_after_a_request() {
        let (client, mut server) = duplex(1024);
        let mut client = Relayed::new(client);
        let mut buf = [0; 1024];
        for is_head in [true, false] {
            if is_head {
                client.write_all(b"POST / HTTP/1.1\r\n\r\n").await.unwrap();
            }
            server.write_all(KEPT.as_bytes()).await.unwrap();
            let read = client.read(&mut buf).await.unwrap();
            assert_eq!(buf[..read].starts_with(b"HTTP/1.1 200 OK\r\nX"), is_head);
        }
    }
}
