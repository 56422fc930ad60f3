use crate::{Server, ServerError};
use std::{env, sync::OnceLock};

/// The environment variable with the URL of a server to use instead of one of ours.
pub const TEST_DATABASE_URL: &str = "TEST_DATABASE_URL";

/// The server of this process, started when it is first asked for, and gone with the process. With [`TEST_DATABASE_URL`] set
/// it is that one. Tests share it; each has a [database of its own](Server::fresh_database).
///
/// # Panics
/// Where there is no server to be had, with the line that installs one: a test that needs a server has then failed.
pub fn shared() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(|| match start() {
        Ok(server) => server,
        Err(error) => panic!("{error}"),
    })
}

fn start() -> Result<Server, ServerError> {
    match env::var(TEST_DATABASE_URL) {
        Ok(url) => Server::given(&url),
        // Each test has connections of its own, and a machine with many cores runs many tests at once.
        Err(_) => Server::builder().setting("max_connections", "500").start(),
    }
}
