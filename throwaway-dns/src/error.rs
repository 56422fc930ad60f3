use std::{io, path::PathBuf};

/// A server could not be had, or did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The machine lacks a program or a file of it.
    #[error(
        "{what} is not on this machine (looked in {}). Install it with\n    apt-get install -y {packages}",
        looked.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
    )]
    Missing {
        /// What is missing.
        what: &'static str,
        /// Debian's packages that have it.
        packages: &'static str,
        /// Where it was looked for.
        looked: Vec<PathBuf>,
    },
    /// The server did not come up.
    #[error("{program} did not come up: {reason}\n{log}")]
    NotUp {
        /// Which one.
        program: &'static str,
        /// What was seen.
        reason: String,
        /// The end of its log.
        log: String,
    },
    /// Files or processes could not be had.
    #[error("{what}: {error}")]
    Io {
        /// What was being done.
        what: String,
        /// Why it failed.
        error: io::Error,
    },
    /// The server's database could not be made, read or written.
    #[error("the server's database: {0}")]
    Database(#[from] rusqlite::Error),
}

impl Error {
    /// For `map_err`: what was being done when IO failed.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Io { what: what.into(), error }
    }
}
