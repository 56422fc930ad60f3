use std::{io, path::PathBuf, process::ExitStatus};

/// The server could not be had, or did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The machine lacks a program.
    #[error(
        "no {what} on this machine (looked in {}). Install it with\n    apt-get install -y {package}\n{instead}",
        looked.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
    )]
    Missing {
        /// What is missing.
        what: &'static str,
        /// Debian's package that has it.
        package: &'static str,
        /// Where it was looked for.
        looked: Vec<PathBuf>,
        /// What else would do.
        instead: &'static str,
    },
    /// A program ended with an error.
    #[error("{program} failed ({status}): {output}")]
    Failed {
        /// Which one.
        program: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        output: String,
    },
    /// The server or the bouncer did not come up.
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
    /// There is no place for the server's files.
    #[error("no folder for the server's files: {0}")]
    NoFolder(String),
    /// The server was given by its URL: it is used, and never stopped or changed.
    #[error("the server is not ours to do this with: it was given by its URL")]
    Given,
    /// A name or a URL that cannot be used.
    #[error("{0}")]
    Unusable(String),
}

impl ServerError {
    /// For `map_err`: what was being done when IO failed.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Io { what: what.into(), error }
    }
}
