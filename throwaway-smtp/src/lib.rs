//! A mail server in a temporary folder, for tests.
//!
//! ```no_run
//! use throwaway_smtp::{Door, Server};
//!
//! let server = Server::start()?;
//! println!("localhost:{}", server.port(Door::Tls));
//! // ... and once a mail was sent:
//! let mails = server.wait_for("ann@example.org", 1)?;
//! # Ok::<(), throwaway_smtp::ServerError>(())
//! ```
//!
//! It is the machine's own [chasquid](https://blitiri.com.ar/p/chasquid/), of Debian's package: a complete mail server that
//! needs no rights, no system user and no port of the system's, which Debian's other ones do, and that does not drive out the
//! machine's own one. What it takes it delivers into maildirs in its folder. However the process ends that started it, also by
//! `SIGKILL`, the server is stopped and the folder removed. Everything here blocks: inside of an asynchronous test that is felt
//! by this test alone.
//!
//! Where there is no chasquid, starting is an error that says how to get it. Tests are never silently skipped.

mod certificates;
mod error;
mod folder;
mod process;
mod server;

pub use error::ServerError;
pub use server::{Door, Server};

/// The domain whose mail the server takes; nobody else's is delivered.
pub const DOMAIN: &str = "example.org";

/// Who has a mailbox there.
pub const PEOPLE: [&str; 4] =
    ["panel@example.org", "ann@example.org", "operator@example.org", "jürgen@example.org"];

/// Everybody's password.
pub const PASSWORD: &str = "correct horse";
