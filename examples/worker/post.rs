//! Tells notices on the standard output.

use async_trait::async_trait;
use deploy_core::{EmailAddress, Notice, Notifier, NotifyError, QueuedNotice};
use serde::Serialize;
use std::io::Write as _;

/// Writes each notice as a line of JSON. A line may come twice, after a crash; its `id` is then the same.
pub(crate) struct Lines;

#[derive(Serialize)]
struct Line<'a> {
    id: i64,
    at: String,
    reference: &'a str,
    contact: Option<&'a EmailAddress>,
    #[serde(flatten)]
    notice: &'a Notice,
}

#[async_trait]
impl Notifier for Lines {
    async fn notify(&self, queued: &QueuedNotice) -> Result<(), NotifyError> {
        let QueuedNotice { id, external_ref, contact, at, notice, .. } = queued;
        let (at, contact, reference) = (at.to_string(), contact.as_ref(), external_ref.as_str());
        let line = Line { id: id.0, at, reference, contact, notice };
        let mut text = serde_json::to_string(&line).map_err(|error| NotifyError(error.to_string()))?;
        text.push('\n');
        // Whoever reads may be slow.
        let written = tokio::task::spawn_blocking(move || {
            let mut out = std::io::stdout().lock();
            out.write_all(text.as_bytes()).and_then(|()| out.flush())
        });
        match written.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(NotifyError(format!("the standard output: {error}"))),
            Err(error) => Err(NotifyError(error.to_string())),
        }
    }
}
