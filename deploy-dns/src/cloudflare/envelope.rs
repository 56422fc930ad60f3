//! What every answer of the API looks like.

use crate::{DnsError, http::Answer};
use deploy_core::ErrorClass;
use jiff::SignedDuration;
use serde::Deserialize;

/// An answer's envelope.
#[derive(Debug, Deserialize)]
pub(super) struct Envelope<T> {
    pub(super) success: bool,
    /// What was asked for; null where it failed.
    pub(super) result: Option<T>,
    pub(super) result_info: Option<Pages>,
}

/// How long a list is.
#[derive(Debug, Deserialize)]
pub(super) struct Pages {
    #[serde(default)]
    pub(super) total_pages: u32,
}

/// A zone of a list.
#[derive(Debug, Deserialize)]
pub(super) struct Named {
    pub(super) id: String,
    pub(super) name: String,
}

/// A record of a list.
#[derive(Debug, Deserialize)]
pub(super) struct Shown {
    pub(super) id: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) name: String,
    /// Left out for types that have their parts in `data` alone.
    #[serde(default)]
    pub(super) content: String,
    pub(super) ttl: u32,
}

/// What an answer says of its failure.
#[derive(Debug, Deserialize)]
struct Failed {
    #[serde(default)]
    errors: Vec<Error>,
}

#[derive(Debug, Deserialize)]
struct Error {
    code: u64,
    message: String,
    /// What is behind it, for some.
    #[serde(default, rename = "error_chain")]
    behind: Vec<Error>,
}

/// The codes of an answer that says that it failed.
pub(super) fn codes(answer: &Answer) -> Vec<u64> {
    let failed = serde_json::from_str::<Failed>(&answer.body);
    failed.map(|failed| failed.errors.iter().map(|error| error.code).collect()).unwrap_or_default()
}

/// An answer that says that it failed, as an error.
pub(super) fn refused(answer: &Answer) -> DnsError {
    let status = answer.status.as_u16();
    let Ok(Failed { errors, .. }) = serde_json::from_str::<Failed>(&answer.body) else {
        let message = format!("Cloudflare answers {status}, and not by its API");
        // What is in front of the API may have lost the answer.
        return match answer.class() {
            ErrorClass::Failed => DnsError::unknown(message),
            class => limited(answer, DnsError::answered(class, message)),
        };
    };
    let said: Vec<String> = errors.iter().map(Error::words).collect();
    let mut message = format!("Cloudflare: {} ({status})", said.join("; "));
    if answer.class() == ErrorClass::Unauthorized {
        message
            .push_str(": the token needs the rights Zone / Zone / Read and Zone / DNS / Edit for the zone");
    }
    let class = if answer.status.is_success() { ErrorClass::Refused } else { answer.class() };
    limited(answer, DnsError::answered(class, message))
}

/// Too many requests: it says how long to wait, or else five minutes are counted.
fn limited(answer: &Answer, error: DnsError) -> DnsError {
    let wait = answer.retry_after;
    let wait =
        if error.class == ErrorClass::Busy { wait.or(Some(SignedDuration::from_mins(5))) } else { wait };
    DnsError { retry_after: wait, ..error }
}

impl Error {
    fn words(&self) -> String {
        let behind: Vec<String> = self.behind.iter().map(Self::words).collect();
        let behind = if behind.is_empty() { String::new() } else { format!(" ({})", behind.join("; ")) };
        format!("{} [{}]{behind}", self.message, self.code)
    }
}
