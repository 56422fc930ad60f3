//! What is needed of those who serve zones.

use async_trait::async_trait;
use deploy_core::{DnsData, DnsName, ErrorClass, Sent};
use jiff::SignedDuration;
use std::fmt;

/// Serves zones, and lets their records be changed.
///
/// # Guarantees
/// - Exactly the record that is named is written or taken away: whatever else stands at the name stays, also in the same set.
/// - Asking twice does no more than asking once.
///
/// # Cancel safety
/// A dropped change may have been carried out, may still be, or never was: look before anything is concluded.
#[async_trait]
pub trait DnsProvider: Send + Sync {
    /// What stands at a name.
    ///
    /// # Errors
    /// [`DnsError`].
    async fn list(&self, zone: &DnsName, name: &DnsName) -> Result<Vec<Standing>, DnsError>;

    /// Makes a record stand. `seen` is what was seen at the name just before: a provider that can refuses the change where it is
    /// no longer so.
    ///
    /// # Errors
    /// [`DnsError`]; of class [`Busy`](ErrorClass::Busy) where something else stands there by now.
    async fn upsert(
        &self,
        zone: &DnsName,
        name: &DnsName,
        data: &DnsData,
        ttl: u32,
        seen: &[Standing],
    ) -> Result<(), DnsError>;

    /// Takes a record away. One that does not stand is as good.
    ///
    /// # Errors
    /// [`DnsError`].
    async fn delete(&self, zone: &DnsName, name: &DnsName, data: &DnsData) -> Result<(), DnsError>;

    /// Whether the zone can be written: a TXT record is put at [`PROBE`] in it, looked at, and taken away again.
    ///
    /// # Errors
    /// [`DnsError`] says what is missing.
    ///
    /// # Cancel safety
    /// Dropped, it may leave the record behind; the next one takes it away.
    async fn check(&self, zone: &DnsName) -> Result<(), DnsError>;
}

/// The label of the record by which zones are checked.
pub const PROBE: &str = "pve-deploy-probe";

/// A record that stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Standing {
    /// What it says.
    pub data: StandingData,
    /// For how many seconds others may keep it.
    pub ttl: u32,
}

/// What a record says that stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum StandingData {
    /// Something that we might have written.
    Known(DnsData),
    /// Anything else.
    Other {
        /// The record's type, in capitals.
        kind: String,
        /// The rest, in whichever form the provider has it.
        text: String,
    },
}

impl StandingData {
    /// What a provider shows as a type and a text.
    pub fn read(kind: &str, text: &str) -> Self {
        let known = kind.parse().ok().and_then(|kind| DnsData::parse(kind, text).ok());
        known.map_or_else(|| Self::Other { kind: kind.to_uppercase(), text: text.to_owned() }, Self::Known)
    }

    /// The type of the record.
    pub fn kind(&self) -> &str {
        match self {
            Self::Known(data) => data.kind().as_str(),
            Self::Other { kind, .. } => kind,
        }
    }
}

impl fmt::Display for StandingData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(data) => write!(f, "{} {data}", data.kind()),
            Self::Other { kind, text } => write!(f, "{kind} {text}"),
        }
    }
}

/// A provider could not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DnsError {
    /// What kind of error.
    pub class: ErrorClass,
    /// Whether the request was sent.
    pub sent: Sent,
    /// What happened, in words.
    pub message: String,
    /// How long the provider wants to be left alone.
    pub retry_after: Option<SignedDuration>,
}

impl DnsError {
    /// An error of a request that provably was not sent.
    pub fn not_sent(class: ErrorClass, message: impl Into<String>) -> Self {
        Self { class, sent: Sent::No, message: message.into(), retry_after: None }
    }

    /// An error that the provider answered with.
    pub fn answered(class: ErrorClass, message: impl Into<String>) -> Self {
        Self { class, sent: Sent::Answered, message: message.into(), retry_after: None }
    }

    /// An error after which nobody knows whether the request was carried out.
    pub fn unknown(message: impl Into<String>) -> Self {
        Self { class: ErrorClass::Unknown, sent: Sent::Unknown, message: message.into(), retry_after: None }
    }

    /// The same error, with words in front that say at what it happened.
    #[must_use]
    pub fn at(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// Whether nobody answers there, so that the next request would not be answered either.
    pub(crate) fn is_provider_down(&self) -> bool {
        match self.class {
            ErrorClass::Unreachable | ErrorClass::Unknown => true,
            ErrorClass::Busy => self.retry_after.is_some(),
            ErrorClass::Failed | ErrorClass::Exhausted | ErrorClass::Refused | ErrorClass::Unauthorized => {
                false
            }
        }
    }
}
