//! The server comes, goes, and is told to be difficult.
#![allow(clippy::unwrap_used)] // a test that cannot go on should say so at once

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpStream,
    path::PathBuf,
};
use throwaway_smtp::{Door, Server};

/// One dialogue in the clear: what the server answered to the last line.
fn say(server: &Server, lines: &[&str]) -> String {
    let stream = TcpStream::connect(("127.0.0.1", server.port(Door::Plain))).unwrap();
    let mut answers = BufReader::new(stream.try_clone().unwrap()).lines();
    let mut stream = stream;
    let mut last = answers.next().unwrap().unwrap();
    for line in lines {
        write!(stream, "{line}\r\n").unwrap();
        last = answers.by_ref().map(Result::unwrap).find(|answer| answer.as_bytes()[3] == b' ').unwrap();
    }
    last
}

fn mail(to: &str) -> Vec<String> {
    ["HELO test", "MAIL FROM:<>", &format!("RCPT TO:<{to}>"), "DATA", "Subject: hello\r\n\r\nbody\r\n."]
        .map(ToOwned::to_owned)
        .to_vec()
}

fn deliver(server: &Server, lines: &[String]) -> String {
    say(server, &lines.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn mail_is_delivered_put_off_and_refused() {
    let mut server = Server::start().unwrap();
    let lines = mail("ann@example.org");
    assert!(deliver(&server, &lines).starts_with("250"));
    let mails = server.wait_for("ann@example.org", 1).unwrap();
    assert!(String::from_utf8_lossy(&mails[0]).contains("Subject: hello"));

    server.put_off(1).unwrap();
    assert!(deliver(&server, &lines).starts_with("451"));
    assert!(deliver(&server, &lines).starts_with("250"));
    server.refuse(true).unwrap();
    let refused = deliver(&server, &lines);
    assert!(refused.starts_with('5'), "{refused}");
    server.refuse(false).unwrap();

    assert!(deliver(&server, &mail("nobody@example.org")[..3]).starts_with("550"));
    server.lose_directory().unwrap();
    let put_off = deliver(&server, &mail("nobody@example.org")[..3]);
    assert!(put_off.starts_with('4'), "{put_off}");
    assert!(deliver(&server, &lines[..3]).starts_with("250"));
    assert_eq!(server.wait_for("ann@example.org", 2).unwrap().len(), 2);
    assert!(server.wait_for("ann@example.org", 1).is_err());
}

#[test]
fn it_is_stopped_and_started_on_the_same_ports_and_leaves_nothing() {
    let mut server = Server::start().unwrap();
    let port = server.port(Door::Plain);
    assert!(deliver(&server, &mail("ann@example.org")).starts_with("250"));
    server.wait_for("ann@example.org", 1).unwrap();
    server.stop().unwrap();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    server.start_again().unwrap();
    assert_eq!(server.port(Door::Plain), port);
    assert_eq!(server.mails("ann@example.org").len(), 1);
    let folder = folder_of(&server);
    assert!(folder.exists());
    drop(server);
    assert!(!folder.exists() && TcpStream::connect(("127.0.0.1", port)).is_err());

    let mut stopped = Server::start().unwrap();
    let folder = folder_of(&stopped);
    stopped.stop().unwrap();
    assert!(folder.exists());
    drop(stopped);
    assert!(!folder.exists());
}

/// Its folder, as the description of it says.
fn folder_of(server: &Server) -> PathBuf {
    let shown = format!("{server:?}");
    let start = shown.find("Folder(\"").unwrap() + "Folder(\"".len();
    PathBuf::from(&shown[start..start + shown[start..].find('"').unwrap()])
}
