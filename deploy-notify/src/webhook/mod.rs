//! Webhooks: notices for programs.

mod error;
mod receiver;
mod signature;

pub use error::WebhookConfigError;
pub use signature::{
    WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP, WebhookSecret, WebhookSecretError, WebhookVerifier,
    WebhookVerifyError,
};

use crate::Facts;
use async_trait::async_trait;
use deploy_core::{Clock, Notifier, NotifyError, QueuedNotice, RecordStore};
use jiff::Timestamp;
use receiver::{Message, Receiver};
use serde::Serialize;
use std::{fmt, sync::Arc, time::Duration};

/// Posts each notice to a program, as JSON, signed.
///
/// The form is that of [Standard Webhooks](https://www.standardwebhooks.com), version 1.0.0, which receivers in most languages
/// have a library for; in Rust it is [`WebhookVerifier`].
///
/// ```text
/// POST /hooks/machines
/// content-type: application/json
/// webhook-id: 7-0190a4b2-0000-7000-8000-000000000001
/// webhook-timestamp: 1767225600
/// webhook-signature: v1,2B47Icd5+loedJ2xSvG6bCj0VUOqK8s3aJxUxpZAONA=
///
/// {"type":"ready","timestamp":"2026-01-01T00:00:00Z","data":{"event":"7-...","kind":"ready","reference":"order-4711",...}}
/// ```
///
/// - `webhook-id` names the event and is the same at every repetition: a receiver keeps those it has had, and drops what comes
///   again.
/// - `webhook-signature` is `v1,` and, in base64, HMAC-SHA256 under the shared secret over `<webhook-id>.<webhook-timestamp>.<body>`;
///   with two secrets there are two, with a blank between them.
/// - `webhook-timestamp` is the time of the attempt, for the receiver to refuse what is old.
/// - `data` are the [`Facts`].
///
/// Every status from 200 to 299 is a receipt. Anything else, and no answer in time, is an error that says what came, and is tried
/// again, without an end. Redirects are not followed: the signature would go to somebody else.
#[derive(Clone)]
pub struct Webhook {
    receiver: Receiver,
    secrets: Vec<WebhookSecret>,
    store: Option<Arc<dyn RecordStore>>,
    clock: Arc<dyn Clock>,
}

#[derive(Serialize)]
struct Body<'f> {
    r#type: &'f str,
    timestamp: Timestamp,
    data: &'f Facts,
}

impl Webhook {
    /// Posts to this URL, signed with this secret, what the notice says by itself.
    ///
    /// # Errors
    /// [`WebhookConfigError`]; nothing is sent yet.
    pub fn new(url: &str, secret: WebhookSecret) -> Result<Self, WebhookConfigError> {
        let receiver = Receiver::new(url)?;
        Ok(Self { receiver, secrets: vec![secret], store: None, clock: Arc::new(SystemClock) })
    }

    /// Says as well what the machine's record says, which this store is asked for: its name, place, addresses and data.
    pub fn with_records(mut self, store: Arc<dyn RecordStore>) -> Self {
        self.store = Some(store);
        self
    }

    /// Signs with this secret as well, while one is replaced by another.
    pub fn with_secret(mut self, secret: WebhookSecret) -> Self {
        self.secrets.push(secret);
        self
    }

    /// Gives the receiver so long to answer; without this, twenty seconds.
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.receiver = self.receiver.with_timeout(timeout);
        self
    }

    /// Believes the CAs in this PEM text, and no other; without this, those that the system trusts.
    ///
    /// # Errors
    /// [`WebhookConfigError::Trust`].
    pub fn with_ca(mut self, pem: &[u8]) -> Result<Self, WebhookConfigError> {
        self.receiver = self.receiver.with_ca(pem)?;
        Ok(self)
    }

    /// Takes the time of attempts from this clock; without this, from the system's.
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }
}

#[async_trait]
impl Notifier for Webhook {
    async fn notify(&self, notice: &QueuedNotice) -> Result<(), NotifyError> {
        let facts = match &self.store {
            Some(store) => Facts::gather(notice, &**store).await,
            None => Ok(Facts::of(notice, None)),
        };
        let facts = facts.map_err(|error| NotifyError(error.to_string()))?;
        let body = Body { r#type: facts.kind, timestamp: facts.at, data: &facts };
        let body = serde_json::to_vec(&body).map_err(|error| NotifyError(error.to_string()))?;
        let timestamp = self.clock.now().as_second();
        let signatures = self.secrets.iter().map(|secret| secret.sign(&facts.event, timestamp, &body));
        let signatures: Result<Vec<String>, _> = signatures.collect();
        let signatures = signatures.map_err(|error| NotifyError(error.to_string()))?.join(" ");
        let message = Message { id: facts.event, timestamp, signatures, body };
        self.receiver.post(message).await.map_err(NotifyError)
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("receiver", &self.receiver).finish_non_exhaustive()
    }
}

/// The system's clock.
struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
