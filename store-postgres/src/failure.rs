//! What goes wrong with the database, and the words for it.

use deploy_core::StoreError;
use rustls::CertificateError;
use std::{error::Error as _, io};
use tokio_postgres::error::{Severity, SqlState};

/// Why a piece of work did not succeed: for a reason of its own, or because of the database.
#[derive(Debug)]
pub(crate) enum Failure<E> {
    /// The answer to the caller: fenced, not found, exhausted.
    Refused(E),
    /// PostgreSQL could not do it, or was not reached.
    Sql(tokio_postgres::Error),
    /// What is written in the database cannot be understood.
    Unreadable(Unreadable),
}

impl<E> From<tokio_postgres::Error> for Failure<E> {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Sql(error)
    }
}

impl<E> From<Unreadable> for Failure<E> {
    fn from(unreadable: Unreadable) -> Self {
        Self::Unreadable(unreadable)
    }
}

impl<E: From<StoreError>> Failure<E> {
    /// The caller's error, for work after which nothing is written.
    pub(crate) fn into_error(self) -> E {
        match self {
            Self::Refused(error) => error,
            Self::Sql(error) => StoreError::not_written(words(&error)).into(),
            Self::Unreadable(Unreadable(message)) => {
                StoreError::not_written(format!("database: {message}")).into()
            }
        }
    }
}

/// A row that this program cannot understand, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unreadable(pub(crate) String);

/// Whether the same would succeed a moment later: others were in the way, and PostgreSQL undid all of it.
pub(crate) fn is_passing(error: &tokio_postgres::Error) -> bool {
    let passing = [SqlState::T_R_DEADLOCK_DETECTED, SqlState::T_R_SERIALIZATION_FAILURE];
    error.code().is_some_and(|code| passing.contains(code))
}

/// Whether an error means that the connection is gone. An answer of the server that ends the session counts, too:
/// a shutdown may come after the commit and before its answer.
pub(crate) fn is_lost(error: &tokio_postgres::Error) -> bool {
    match error.as_db_error() {
        Some(answer) => {
            let ends = [
                SqlState::ADMIN_SHUTDOWN,
                SqlState::CRASH_SHUTDOWN,
                SqlState::CANNOT_CONNECT_NOW,
                SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
            ];
            ends.contains(answer.code())
                || answer.code().code().starts_with("08")
                // Not the severity's name, which comes in the server's language. A panic, as where the log of changes finds no
                // room, may come after the commit was written.
                || matches!(answer.parsed_severity(), Some(Severity::Fatal | Severity::Panic))
        }
        // Wrong types of parameters and columns are ours; everything else came from the wire.
        None => {
            error.is_closed()
                || source::<io::Error>(error).is_some()
                || error.to_string().contains("unexpected message")
        }
    }
}

fn source<T: std::error::Error + 'static>(error: &tokio_postgres::Error) -> Option<&T> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

/// What happened, in words an operator can act on.
pub(crate) fn words(error: &tokio_postgres::Error) -> String {
    let Some(answer) = error.as_db_error() else { return of_the_wire(error) };
    let (code, said) = (answer.code(), answer.message());
    let act = match *code {
        SqlState::INVALID_PASSWORD | SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
            "check user and password, and pg_hba.conf of the server"
        }
        SqlState::INVALID_CATALOG_NAME => "create the database (createdb), or correct its name",
        SqlState::TOO_MANY_CONNECTIONS => {
            "each process takes four connections, one fewer without a listener; raise max_connections, or put pgbouncer in front"
        }
        SqlState::READ_ONLY_SQL_TRANSACTION => {
            "the server or this user is read-only (a standby, or default_transaction_read_only); connect to the primary"
        }
        SqlState::CANNOT_CONNECT_NOW => "the server is starting, stopping or recovering; it is tried again",
        SqlState::LOCK_NOT_AVAILABLE => {
            "a transaction of somebody else holds what this one needs; see pg_stat_activity for who has not committed"
        }
        SqlState::DISK_FULL => "the server's disk is full; make room, then it goes on by itself",
        SqlState::INSUFFICIENT_PRIVILEGE => {
            "the user needs CREATE on the database, or all rights on the store's schema"
        }
        SqlState::ADMIN_SHUTDOWN | SqlState::CRASH_SHUTDOWN => "the server was stopped; it is tried again",
        SqlState::UNDEFINED_TABLE | SqlState::INVALID_SCHEMA_NAME | SqlState::UNDEFINED_FUNCTION => {
            "the store's schema is damaged or was dropped while the program ran"
        }
        _ => return format!("PostgreSQL: {said} ({})", code.code()),
    };
    format!("PostgreSQL: {said} ({}): {act}", code.code())
}

fn of_the_wire(error: &tokio_postgres::Error) -> String {
    // The library's own text is "error connecting to server"; what happened is in its sources.
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    match advice(error, &text) {
        Some(act) => format!("PostgreSQL cannot be reached: {text}: {act}"),
        None => format!("PostgreSQL cannot be reached: {text}"),
    }
}

/// What to do about a connection that did not come about. The library has no codes for what it finds by itself.
fn advice(error: &tokio_postgres::Error, text: &str) -> Option<&'static str> {
    let by_tls =
        source::<io::Error>(error).and_then(|error| error.get_ref()?.downcast_ref::<rustls::Error>());
    if let Some(rustls::Error::InvalidCertificate(why)) = by_tls {
        return Some(match why {
            CertificateError::UnknownIssuer => {
                "sslrootcert must name the file of the CA that signed the server's certificate"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "connect by a name that the server's certificate is for"
            }
            _ => {
                "the server needs a certificate that is valid now, for its name, and from the CA in sslrootcert"
            }
        });
    }
    if text.contains("does not support TLS") {
        return Some("turn it on at the server (ssl = on), or do without it (sslmode=prefer or disable)");
    }
    text.contains("password missing").then_some(
        "the server asks for a password: give one in the URL, in PGPASSWORD, or by the program's own setting",
    )
}
