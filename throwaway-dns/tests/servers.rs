//! The servers come up, keep what they have, and are gone when they are dropped.
#![allow(clippy::unwrap_used)] // these are tests, also where a function helps them

use std::net::TcpStream;
use throwaway_dns::{Bind, PowerDns, Row};

fn row(name: &str, content: &str) -> Row {
    Row {
        name: name.to_owned(),
        kind: "A".to_owned(),
        content: content.to_owned(),
        ttl: 300,
        disabled: false,
    }
}

#[test]
fn powerdns_comes_up_again_with_its_records_and_is_gone_when_dropped() {
    let mut server = PowerDns::start(&["example.net"]).unwrap();
    assert_eq!(server.rows().unwrap(), []);
    let one = row("www.example.net", "192.0.2.1");
    server.insert("example.net", &one).unwrap();
    let address = server.address();
    server.stop();
    assert!(TcpStream::connect(address).is_err());
    server.start_again().unwrap();
    assert_eq!(server.rows().unwrap(), [one]);
    server.delete("www.example.net", "192.0.2.1").unwrap();
    assert_eq!(server.rows().unwrap(), []);
    drop(server);
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn bind_comes_up_again_and_is_gone_when_dropped() {
    let mut server = Bind::start(&["example.net", "2.0.192.in-addr.arpa"]).unwrap();
    let address = server.address();
    assert_ne!(server.key().secret, server.other_key().secret);
    server.stop();
    assert!(TcpStream::connect(address).is_err());
    server.start_again().unwrap();
    assert!(TcpStream::connect(address).is_ok());
    drop(server);
    assert!(TcpStream::connect(address).is_err());
}
