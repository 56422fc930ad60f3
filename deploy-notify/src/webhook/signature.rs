use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use hmac::{Hmac, Mac as _, digest::InvalidLength};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretSlice};
use sha2::Sha256;
use std::str::FromStr;

/// The header that names the event: the same at every repetition of a notice, so a receiver drops those that it has had.
pub const WEBHOOK_ID: &str = "webhook-id";
/// The header with the time of the attempt, in seconds since 1970.
pub const WEBHOOK_TIMESTAMP: &str = "webhook-timestamp";
/// The header with the signatures.
pub const WEBHOOK_SIGNATURE: &str = "webhook-signature";

/// What a secret begins with.
const PREFIX: &str = "whsec_";
/// What a signature begins with, of the one scheme that is spoken here.
const SCHEME: &str = "v1,";
/// How many bytes a secret has.
const SIZES: std::ops::RangeInclusive<usize> = 24..=64;

/// What sender and receiver of a webhook share: `whsec_` and 24 to 64 random bytes in base64, one for each receiver.
///
/// ```sh
/// echo "whsec_$(openssl rand -base64 32)"
/// ```
#[derive(Debug, Clone)]
pub struct WebhookSecret(SecretSlice<u8>);

/// A text that is no secret; it is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a webhook's secret is \"whsec_\" and 24 to 64 bytes in base64: echo \"whsec_$(openssl rand -base64 32)\""
)]
pub struct WebhookSecretError;

impl WebhookSecret {
    /// A signature of one message, as its header has it.
    pub(crate) fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> Result<String, InvalidLength> {
        let tag = self.mac(id, &timestamp.to_string(), body)?.finalize().into_bytes();
        Ok(format!("{SCHEME}{}", BASE64.encode(tag)))
    }

    /// The state in which all that is signed was taken in: `<id>.<timestamp>.<body>`. HMAC takes keys of every length; the type
    /// does not know that.
    fn mac(&self, id: &str, timestamp: &str, body: &[u8]) -> Result<Hmac<Sha256>, InvalidLength> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose_secret())?;
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        Ok(mac)
    }
}

impl FromStr for WebhookSecret {
    type Err = WebhookSecretError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let encoded = text.trim().strip_prefix(PREFIX).ok_or(WebhookSecretError)?;
        let bytes = BASE64.decode(encoded).map_err(|_| WebhookSecretError)?;
        if !SIZES.contains(&bytes.len()) {
            return Err(WebhookSecretError);
        }
        Ok(Self(bytes.into()))
    }
}

/// Says on the receiving side whether a request is from who shares the secret, whole and fresh.
///
/// ```
/// use deploy_notify::{WebhookSecret, WebhookVerifier};
///
/// let secret: WebhookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse()?;
/// let verifier = WebhookVerifier::new(secret);
/// // With a web framework's headers: |name| headers.get(name)?.to_str().ok()
/// let header = |name: &str| match name {
///     "webhook-id" => Some("7-0190a4b2-0000-7000-8000-000000000001"),
///     "webhook-timestamp" => Some("1767225600"),
///     "webhook-signature" => Some("v1,2B47Icd5+loedJ2xSvG6bCj0VUOqK8s3aJxUxpZAONA="),
///     _ => None,
/// };
/// let now = "2026-01-01T00:01:00Z".parse()?;
/// // The body as it came, before anything has parsed it.
/// let id = verifier.verify(header, br#"{"type":"ready"}"#, now)?;
/// // Whoever has seen this id has had the notice.
/// assert!(id.starts_with("7-"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct WebhookVerifier {
    secrets: Vec<WebhookSecret>,
    tolerance: SignedDuration,
}

/// A request that is not to be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WebhookVerifyError {
    /// It lacks a header.
    #[error("the header {0} is missing")]
    Missing(&'static str),
    /// Its time is no time.
    #[error("the header webhook-timestamp is not a number of seconds")]
    Timestamp,
    /// It was signed too long ago, or by a clock that is ahead: somebody may be repeating what he has overheard.
    #[error("it was signed {0} s ago, and the receiver's clock allows for no such age")]
    Stale(i64),
    /// No signature is of a secret that is known.
    #[error("the signature is wrong")]
    Signature,
}

impl WebhookVerifier {
    /// Believes who has this secret, with five minutes of tolerance between the clocks.
    pub fn new(secret: WebhookSecret) -> Self {
        Self { secrets: vec![secret], tolerance: SignedDuration::from_mins(5) }
    }

    /// Believes this secret as well, while one is replaced by another.
    pub fn with_secret(mut self, secret: WebhookSecret) -> Self {
        self.secrets.push(secret);
        self
    }

    /// With another tolerance, in both directions.
    pub fn with_tolerance(mut self, tolerance: SignedDuration) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// The event's id, if the request is to be believed. `header` gives a header of this name in lower case. Takes the same
    /// time whatever signature came.
    ///
    /// # Errors
    /// [`WebhookVerifyError`].
    pub fn verify<'h>(
        &self,
        header: impl Fn(&str) -> Option<&'h str>,
        body: &[u8],
        now: Timestamp,
    ) -> Result<&'h str, WebhookVerifyError> {
        let named = |name| header(name).ok_or(WebhookVerifyError::Missing(name));
        let (id, timestamp, signatures) =
            (named(WEBHOOK_ID)?, named(WEBHOOK_TIMESTAMP)?, named(WEBHOOK_SIGNATURE)?);
        let signed_at: i64 = timestamp.parse().map_err(|_| WebhookVerifyError::Timestamp)?;
        let age = now.as_second().saturating_sub(signed_at);
        if age.unsigned_abs() > self.tolerance.unsigned_abs().as_secs() {
            return Err(WebhookVerifyError::Stale(age));
        }
        let tags = signatures.split(' ').filter_map(|signature| {
            // Of other schemes nothing is known.
            BASE64.decode(signature.strip_prefix(SCHEME)?).ok()
        });
        // The timestamp goes in as it was signed, not as it was understood.
        let is_ours = |tag: &Vec<u8>| {
            let macs = self.secrets.iter().flat_map(|secret| secret.mac(id, timestamp, body));
            macs.map(|mac| mac.verify_slice(tag)).any(|verified| verified.is_ok())
        };
        if tags.collect::<Vec<_>>().iter().any(is_ours) { Ok(id) } else { Err(WebhookVerifyError::Signature) }
    }
}

#[cfg(test)]
mod tests;
