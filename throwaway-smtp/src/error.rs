use std::{io, path::PathBuf};

/// The server could not be had, or did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The machine lacks the program.
    #[error(
        "no {program} on this machine (looked in {}). Install it with\n    apt-get install -y chasquid\nor put the folder of \
         its program on the PATH",
        looked.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
    )]
    Missing {
        /// Which one.
        program: &'static str,
        /// Where it was looked for.
        looked: Vec<PathBuf>,
    },
    /// A program ended with an error.
    #[error("{program} failed: {output}")]
    Failed {
        /// Which one.
        program: &'static str,
        /// What it said.
        output: String,
    },
    /// The server did not come up.
    #[error("chasquid did not come up on port {port}\n{log}")]
    NotUp {
        /// Where it was waited for.
        port: u16,
        /// Its log.
        log: String,
    },
    /// Mail did not come.
    #[error("{address} has {found} mails after a while, not {wanted}\n{log}")]
    NoMail {
        /// Whose mail.
        address: String,
        /// How many there are.
        found: usize,
        /// How many were waited for.
        wanted: usize,
        /// The server's log.
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
    /// A certificate could not be made.
    #[error("no certificate can be made: {0}")]
    Certificate(String),
}

impl ServerError {
    /// For `map_err`: what was being done when IO failed.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Io { what: what.into(), error }
    }
}
