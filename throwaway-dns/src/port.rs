use crate::Error;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};

/// Below Linux's ephemeral ports (from 32768), so that no outgoing connection takes the port while its server is stopped.
const FIRST: u16 = 20_000;
const COUNT: u32 = 12_000;

const TRIES: u32 = 3;

/// A port of 127.0.0.1 that is free at this moment, for TCP and for UDP. Somebody else may take it before its server does: who
/// starts one must be ready to try another.
pub(crate) fn free() -> u16 {
    loop {
        let mut random = [0; 4];
        // Without randomness the same ports are tried by all; they still find free ones.
        let _ = getrandom::fill(&mut random);
        let port = FIRST + u16::try_from(u32::from_le_bytes(random) % COUNT).unwrap_or_default();
        let place = (Ipv4Addr::LOCALHOST, port);
        if TcpListener::bind(place).is_ok() && UdpSocket::bind(place).is_ok() {
            return port;
        }
    }
}

/// Starts a server on ports of its own choice, and once more on others where it does not come up: somebody may have taken them.
pub(crate) fn until_up<T>(mut start: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    for _ in 1..TRIES {
        match start() {
            Err(Error::NotUp { .. }) => {}
            outcome => return outcome,
        }
    }
    start()
}
