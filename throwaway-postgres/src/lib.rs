//! A PostgreSQL server in a temporary folder, for tests, benches and trials.
//!
//! ```no_run
//! let server = throwaway_postgres::shared();
//! let database = server.fresh_database()?;
//! println!("{}", database.url());
//! # Ok::<(), throwaway_postgres::ServerError>(())
//! ```
//!
//! The server is made of the machine's own PostgreSQL (Debian's packages, or any folder of binaries), with `initdb`, on a
//! loopback port and a socket of its own. It needs no rights: as root, whom PostgreSQL refuses, it runs as an ordinary user.
//! However the process ends that started it, also by `SIGKILL`, the server is stopped and its folder removed.
//!
//! A [`Server`] can be stopped hard and started again on the same data and port, be a standby of another one, speak TLS
//! only, and run out of space; a [`Bouncer`] is Debian's pgbouncer in front of one. Everything here blocks: inside of an
//! asynchronous test that is felt by this test alone.
//!
//! Where there are no binaries, starting is an error that says how to get them. Tests are never silently skipped.

mod account;
mod bouncer;
mod builder;
mod cluster;
mod database;
mod error;
mod folder;
mod port;
mod process;
mod programs;
mod random;
mod server;
mod shared;
mod tls;

pub use bouncer::Bouncer;
pub use builder::Builder;
pub use database::Database;
pub use error::ServerError;
pub use server::Server;
pub use shared::{TEST_DATABASE_URL, shared};
pub use tls::Certificates;
