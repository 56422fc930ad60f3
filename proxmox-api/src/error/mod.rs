//! What can go wrong with a request, and how far it got.

mod classify;
mod failure;
mod sent;

pub use classify::{classify, locked_by};
pub use failure::{Already, Busy, Failure};
pub use sent::Sent;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use http::Method;

use crate::tls::FingerprintMismatch;

/// A request that failed: which one, why, and apart from that whether the server may have acted.
///
/// Holds no secret: neither parameters nor headers. Cheap to clone.
#[derive(Clone)]
pub struct ApiError(Arc<Inner>);

struct Inner {
    method: Method,
    path: String,
    sent: Sent,
    cause: Cause,
}

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// The request could not be built; the text says what is wrong with it.
    #[error("the request is not valid: {0}")]
    Invalid(String),
    /// No server could be reached, or the TLS handshake failed for another reason than trust.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The server showed another certificate than the pinned ones.
    #[error(transparent)]
    Fingerprint(#[from] FingerprintMismatch),
    /// The server's certificate is not signed by a trusted CA, has expired, or is for another name.
    #[error(
        "the server's certificate is not trusted ({0}); trust the cluster's CA \
         (/etc/pve/pve-root-ca.pem on a node) or pin the certificate's SHA-256 fingerprint"
    )]
    Certificate(String),
    /// The request was not sent on purpose; the text says why.
    #[error("held back: {0}")]
    HeldBack(String),
    /// No complete answer came within the time-out.
    #[error("no answer within the time-out")]
    TimedOut,
    /// The connection broke before the answer was complete.
    #[error("the connection broke before the answer was complete: {0}")]
    Broken(String),
    /// The server answered with an error.
    #[error(transparent)]
    Answer(#[from] Answer),
    /// The server reported success, but the answer is not what this call answers with.
    #[error("the answer (status {status}) cannot be read: {problem}")]
    Undecodable {
        /// The status code.
        status: u16,
        /// What the decoder says.
        problem: String,
    },
    /// The guest agent was reached and answered with an error (inside an answer with status 200).
    #[error("the guest agent answered: {0}")]
    Agent(String),
    /// The account needs a second factor, which a program does not have.
    #[error("the account needs a second factor; use an API token")]
    SecondFactor,
}

/// An error answer of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer {
    /// The status code; 595 to 599 come from a node that forwarded the request.
    pub status: u16,
    /// The message: from the body where there is one, else the reason phrase, which is the only place of it on
    /// servers before 8.4. Without a final newline. May be empty.
    pub message: String,
    /// What is wrong with which parameter (status 400).
    pub errors: BTreeMap<String, String>,
}

impl std::error::Error for Answer {}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.message)?;
        for (parameter, problem) in &self.errors {
            write!(f, " [{parameter}: {}]", problem.trim())?;
        }
        Ok(())
    }
}

impl ApiError {
    pub(crate) fn new(method: Method, path: impl Into<String>, sent: Sent, cause: impl Into<Cause>) -> Self {
        Self(Arc::new(Inner { method, path: path.into(), sent, cause: cause.into() }))
    }

    /// The request's method.
    pub fn method(&self) -> &Method {
        &self.0.method
    }

    /// The request's path below `/api2/json`, without parameters.
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// How far the request got.
    pub fn sent(&self) -> Sent {
        self.0.sent
    }

    /// Why it failed.
    pub fn cause(&self) -> &Cause {
        &self.0.cause
    }

    /// The server's error answer, if it gave one.
    pub fn answer(&self) -> Option<&Answer> {
        match &self.0.cause {
            Cause::Answer(answer) => Some(answer),
            _ => None,
        }
    }

    /// The status code of the error answer, if there was one.
    pub fn status(&self) -> Option<u16> {
        self.answer().map(|answer| answer.status)
    }

    /// What is wrong with one parameter, if the server said so.
    pub fn error(&self, parameter: &str) -> Option<&str> {
        self.answer()?.errors.get(parameter).map(String::as_str)
    }

    /// What the failure means.
    ///
    /// A status 400 is judged by its `errors`: some of them say that the wish is fulfilled already.
    pub fn class(&self) -> Failure {
        match &self.0.cause {
            Cause::Invalid(_) | Cause::SecondFactor => Failure::Refused,
            Cause::Connect(_) | Cause::HeldBack(_) => Failure::Transient,
            Cause::Fingerprint(_) | Cause::Certificate(_) => Failure::Untrusted,
            Cause::TimedOut | Cause::Broken(_) | Cause::Undecodable { .. } => Failure::UnknownOutcome,
            Cause::Agent(_) => Failure::Guest,
            Cause::Answer(answer) => answer.class(),
        }
    }
}

impl Answer {
    fn class(&self) -> Failure {
        match self.status {
            401 => Failure::Unauthorized,
            595 => Failure::Transient,
            502..=504 | 596..=599 => Failure::UnknownOutcome,
            300..=399 | 501 | 505 | 506 => Failure::Refused,
            // One parameter error that means something decides; otherwise it is the parameters.
            400 if !self.errors.is_empty() => self
                .errors
                .values()
                .map(|problem| classify(problem))
                .find(|class| !matches!(class, Failure::Other | Failure::Refused))
                .unwrap_or(Failure::Refused),
            400 => match classify(&self.message) {
                Failure::Other => Failure::Refused,
                class => class,
            },
            403 => match classify(&self.message) {
                Failure::Refused => Failure::Refused,
                _ => Failure::Forbidden,
            },
            _ => classify(&self.message),
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {} ({})", self.0.method, self.0.path, self.0.cause, self.0.sent)
    }
}

impl fmt::Debug for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiError")
            .field("method", &self.0.method)
            .field("path", &self.0.path)
            .field("sent", &self.0.sent)
            .field("cause", &self.0.cause)
            .finish()
    }
}

impl std::error::Error for ApiError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0.cause)
    }
}
