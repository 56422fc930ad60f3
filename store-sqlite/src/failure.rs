//! What goes wrong inside a transaction, and the words for it.

use deploy_core::StoreError;
use rusqlite::ErrorCode;
use std::path::Path;

/// Why a piece of work did not succeed: for a reason of its own, or because of the database.
#[derive(Debug)]
pub(crate) enum Failure<E> {
    /// The answer to the caller: fenced, not found, exhausted.
    Refused(E),
    /// SQLite could not do it.
    Sql(rusqlite::Error),
    /// What is written in the database cannot be understood.
    Unreadable(Unreadable),
}

impl<E> From<rusqlite::Error> for Failure<E> {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl<E> From<Unreadable> for Failure<E> {
    fn from(unreadable: Unreadable) -> Self {
        Self::Unreadable(unreadable)
    }
}

impl<E: From<StoreError>> Failure<E> {
    /// The caller's error; `path` is the database's.
    pub(crate) fn into_error(self, path: &Path) -> E {
        match self {
            Self::Refused(error) => error,
            Self::Sql(error) => StoreError::not_written(words(&error, path)).into(),
            Self::Unreadable(Unreadable(message)) => {
                StoreError::not_written(format!("database {}: {message}", path.display())).into()
            }
        }
    }
}

/// A row that this program cannot understand, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unreadable(pub(crate) String);

/// What happened, in words an operator can act on, with the path. SQLite's own are "error code 26" at worst.
pub(crate) fn words(error: &rusqlite::Error, path: &Path) -> String {
    let path = path.display();
    let detail = match error {
        rusqlite::Error::SqliteFailure(_, Some(message)) => message.clone(),
        other => other.to_string(),
    };
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => {
            format!("the disk is full: {path} cannot grow; make room, then it goes on by itself")
        }
        Some(ErrorCode::ReadOnly) => {
            format!("{path} is read-only; this process must be able to write the file and its directory")
        }
        Some(ErrorCode::NotADatabase) => format!("{path} is not an SQLite database"),
        Some(ErrorCode::DatabaseCorrupt) => {
            format!("{path} is damaged ({detail}); restore it from a backup")
        }
        Some(ErrorCode::CannotOpen) => {
            format!("{path} cannot be opened; check that its directory exists and is writable")
        }
        Some(ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied) => {
            format!("the operating system denies access to {path}")
        }
        Some(ErrorCode::SystemIoFailure) => format!("reading or writing {path} failed ({detail})"),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            format!("another program holds a lock on {path} for too long")
        }
        _ => format!("{path}: {detail}"),
    }
}
