//! Where the database is.

use crate::cli::Cli;
use anyhow::Context as _;
use std::path::PathBuf;
use tempfile::TempDir;

/// Where the database is.
pub(crate) enum Place {
    /// In a file that was named, and stays.
    Named(PathBuf),
    /// In a temporary directory, which goes with this run as its simulated cluster does.
    Temporary(TempDir),
}

impl Place {
    pub(crate) fn of(cli: &Cli) -> anyhow::Result<Self> {
        match &cli.db {
            Some(path) => Ok(Self::Named(path.clone())),
            None => {
                Ok(Self::Temporary(TempDir::with_prefix("quickstart-").context("no temporary directory")?))
            }
        }
    }

    pub(crate) fn database(&self) -> PathBuf {
        match self {
            Self::Named(path) => path.clone(),
            Self::Temporary(directory) => directory.path().join("quickstart.db"),
        }
    }
}
