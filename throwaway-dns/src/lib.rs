//! DNS servers for tests: real ones, on loopback ports, in a temporary folder, gone when they are dropped or the process ends.
//!
//! - [`PowerDns`]: PowerDNS with its SQLite backend and its HTTP API (Debian: `pdns-server`, `pdns-backend-sqlite3`).
//! - [`Bind`]: BIND with zones that are updated by keys (Debian: `bind9`).
//!
//! Where a program is missing the error says which line installs it.
//!
//! ```no_run
//! let server = throwaway_dns::Bind::start(&["example.net", "113.0.203.in-addr.arpa"])?;
//! println!("{} takes updates by the key {}", server.address(), server.key().name);
//! # Ok::<(), throwaway_dns::Error>(())
//! ```

mod bind;
mod error;
mod port;
mod powerdns;
mod process;
mod program;

pub use bind::{Bind, Key};
pub use error::Error;
pub use powerdns::{PowerDns, Row};
