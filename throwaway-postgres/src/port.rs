use crate::random::random;
use std::net::{Ipv4Addr, TcpListener};

/// Below Linux's ephemeral ports (from 32768), so that no outgoing connection takes the port while its server is stopped.
const FIRST: u16 = 20_000;
const COUNT: u64 = 12_000;

/// A port of 127.0.0.1 that is free at this moment. Somebody else may take it before its server does: who starts one must
/// be ready to try another.
pub(crate) fn free() -> u16 {
    loop {
        let port = FIRST + u16::try_from(random() % COUNT).unwrap_or_default();
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
