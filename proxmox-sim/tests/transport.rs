//! The manners of the server's HTTP, byte for byte.

use std::time::Duration;

use proxmox_sim::{ClusterConfig, Running, Server, ServerOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A server without TLS and a connection to it.
struct Wire {
    running: Running,
    stream: TcpStream,
    /// What was read beyond the last answer.
    rest: Vec<u8>,
}

/// Status line, headers as sent, and body.
#[derive(Debug)]
struct Heard {
    head: Vec<String>,
    body: String,
}

impl Heard {
    fn status(&self) -> &str {
        self.head[0].split_once(' ').expect("a status line").1
    }

    fn all(&self, name: &str) -> Vec<&str> {
        let value = |line: &'_ str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(": "));
        let lines = self.head.iter().filter(|line| value(line));
        lines.map(|line| &line[name.len() + 2..]).collect()
    }
}

fn quick() -> ClusterConfig {
    let mut config = ClusterConfig::quick();
    config.durations.scale = 0.1;
    config
}

fn address(running: &Running) -> &str {
    running.url().split_once("://").expect("a URL").1
}

impl Wire {
    async fn start() -> Self {
        let options = ServerOptions { tls: false, ..ServerOptions::default() };
        let running = Server::start(quick(), options).await.expect("a free port");
        let stream = TcpStream::connect(address(&running)).await.expect("a connection");
        Self { running, stream, rest: Vec::new() }
    }

    /// Sends a request and reads its answer.
    async fn send(&mut self, line: &str, headers: &[&str], body: &str) -> Heard {
        let length = format!("Content-Length: {}", body.len());
        let token = format!("Authorization: PVEAPIToken={}", self.running.token());
        let mut lines = vec![line, "Host: x", &token];
        lines.extend(headers);
        lines.extend((!body.is_empty()).then_some(length.as_str()));
        let text = format!("{}\r\n\r\n{body}", lines.join("\r\n"));
        self.stream.write_all(text.as_bytes()).await.expect("written");
        self.read().await
    }

    async fn read(&mut self) -> Heard {
        let mut have = std::mem::take(&mut self.rest);
        loop {
            if let Some(end) = have.windows(4).position(|window| window == b"\r\n\r\n") {
                let text = String::from_utf8_lossy(&have[..end]);
                let head = text.lines().map(str::to_owned).collect();
                let mut answer = Heard { head, body: String::new() };
                let length: usize =
                    answer.all("Content-Length").first().map_or(0, |n| n.parse().expect("a number"));
                if have.len() >= end + 4 + length {
                    self.rest = have.split_off(end + 4 + length);
                    answer.body = String::from_utf8_lossy(&have[end + 4..]).into_owned();
                    return answer;
                }
            }
            let mut more = [0; 4096];
            let n = self.stream.read(&mut more).await.expect("an answer");
            assert!(n > 0, "closed after {:?}", String::from_utf8_lossy(&have));
            have.extend_from_slice(&more[..n]);
        }
    }

    /// Whether the server closes the connection now.
    async fn is_closed(&mut self) -> bool {
        let read = tokio::time::timeout(Duration::from_secs(2), self.stream.read(&mut [0; 16])).await;
        matches!(read, Ok(Ok(0) | Err(_)))
    }
}

const FORM: &str = "Content-Type: application/x-www-form-urlencoded";

#[tokio::test]
async fn a_relayed_write_has_two_connection_headers_and_the_connection_stays() {
    let mut wire = Wire::start().await;
    for comment in ["a=b", "c=d"] {
        let body = format!("description={comment}");
        let put = "PUT /api2/json/nodes/pve1/qemu/9000/config HTTP/1.1";
        let answer = wire.send(put, &[FORM], &body).await;
        assert_eq!(answer.status(), "200 OK");
        assert_eq!(answer.all("Connection"), ["close", "Keep-Alive"], "{answer:?}");
        let answer = wire.send("GET /api2/json/version HTTP/1.1", &[], "").await;
        assert_eq!(answer.all("Connection"), ["Keep-Alive"]);
        assert_eq!(answer.all("Server"), ["pve-api-daemon/3.0"]);
    }
    let refused = wire.send("DELETE /api2/json/nodes/pve1/qemu/555 HTTP/1.1", &[], "").await;
    assert_eq!((refused.status().split(' ').next(), refused.all("Connection")), (Some("500"), vec!["close"]));
    assert!(wire.is_closed().await, "an error ends the connection");
}

#[tokio::test]
async fn the_two_headers_are_there_under_tls_too() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let running = Server::start(quick(), ServerOptions::default()).await.expect("a free port");
    let ca = reqwest::Certificate::from_pem(running.ca_pem().as_bytes()).expect("a certificate");
    let client = reqwest::Client::builder().tls_certs_only([ca]).build().expect("a client");
    let url = format!("{}/api2/json/nodes/pve1/qemu/9000/status/stop", running.url());
    let request = client.post(url).header("Authorization", format!("PVEAPIToken={}", running.token()));
    let answer = request.send().await.expect("an answer");
    let values: Vec<_> = answer.headers().get_all("connection").iter().collect();
    assert_eq!(values, ["close", "Keep-Alive"]);
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_in_plain_text() {
    let mut wire = Wire::start().await;
    let delete = "DELETE /api2/json/nodes/pve1/qemu/9000 HTTP/1.1";
    let answer = wire.send(delete, &[FORM], "purge=1").await;
    assert_eq!(answer.status(), "501 Unexpected content for method 'DELETE'");
    assert_eq!(answer.body, "Unexpected content for method 'DELETE'");
    assert!(answer.all("Content-Type").is_empty());
    let put = "PUT /api2/json/nodes/pve1/qemu/9000/config HTTP/1.1";
    let mut wire = Wire::start().await;
    let answer = wire.send(put, &["Content-Type: text/plain"], "cores=1").await;
    assert_eq!(answer.status(), "506 upload 'Content-Type 'text/plain' not implemented");
    assert_eq!(answer.body, "upload 'Content-Type 'text/plain' not implemented");
    let mut wire = Wire::start().await;
    let answer = wire.send(put, &["Content-Type: application/json"], "{\"cores\":").await;
    assert!(answer.status().starts_with("500 malformed JSON string"), "{answer:?}");
    assert!(answer.body.ends_with("line 917.\n"), "{answer:?}");
}

#[tokio::test]
async fn bodies_end_at_half_a_mebibyte_and_are_never_chunked() {
    let put = "PUT /api2/json/nodes/pve1/qemu/9000/config HTTP/1.1";
    let mut wire = Wire::start().await;
    let answer = wire.send(put, &[FORM], &format!("description={}", "x".repeat(512 * 1024))).await;
    assert_eq!((answer.status(), answer.body.as_str()), ("501 for data too large", ""));
    let mut wire = Wire::start().await;
    let chunks = format!("{put}\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n7\r\ncores=1\r\n0\r\n\r\n");
    wire.stream.write_all(chunks.as_bytes()).await.expect("written");
    let answer = wire.read().await;
    assert_eq!((answer.status(), answer.body.as_str()), ("501 chunked transfer encoding not supported", ""));
}

#[tokio::test]
async fn a_connection_ends_with_its_hundredth_request() {
    let mut wire = Wire::start().await;
    for n in 1..=100 {
        let answer = wire.send("GET /api2/json/version HTTP/1.1", &[], "").await;
        assert_eq!(answer.all("Connection"), [if n < 100 { "Keep-Alive" } else { "close" }], "request {n}");
    }
    assert!(wire.is_closed().await);
}

#[tokio::test]
async fn more_than_sixty_four_headers_are_refused() {
    let headers: Vec<String> = (0..80).map(|n| format!("X-{n}: y")).collect();
    let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
    let mut wire = Wire::start().await;
    let answer = wire.send("GET /api2/json/version HTTP/1.1", &headers, "").await;
    assert!(answer.status().starts_with('4'), "{answer:?}");
    assert!(wire.is_closed().await);
}

#[tokio::test]
async fn the_older_http_is_spoken_and_ends_the_connection() {
    let mut wire = Wire::start().await;
    let answer = wire.send("GET /api2/json/version HTTP/1.0", &[], "").await;
    assert_eq!(answer.status(), "200 OK");
    assert!(answer.body.contains("\"release\""));
    assert!(wire.is_closed().await);
}

#[tokio::test]
async fn plain_http_on_the_tls_port_is_sent_to_the_right_place() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let running = Server::start(quick(), ServerOptions::default()).await.expect("a free port");
    let stream = TcpStream::connect(address(&running)).await.expect("a connection");
    let mut wire = Wire { running, stream, rest: Vec::new() };
    let answer = wire.send("GET /api2/json/version HTTP/1.1", &[], "").await;
    assert_eq!((answer.status(), answer.body.as_str()), ("301 Moved Permanently", "Moved Permanently"));
    assert_eq!(answer.all("Location"), ["https://x/api2/json/version"]);
}
