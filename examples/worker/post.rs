//! Tells notices: on the standard output, and to whom the file names.

use async_trait::async_trait;
use deploy_core::{EmailAddress, Notice, NoticeKind, Notifier, NotifyError, QueuedNotice, RecordStore};
use deploy_notify::{Fanout, Mail, Mailbox, Smtp, Templates, Webhook};
use serde::Serialize;
use std::{io::Write as _, sync::Arc};
use tracing::{info, warn};

/// Who is told of notices, beside the standard output.
pub(crate) struct Post {
    pub(crate) letters: Option<Letters>,
    /// Of which notices.
    pub(crate) webhook: Option<(Webhook, Vec<NoticeKind>)>,
}

/// Mail.
pub(crate) struct Letters {
    pub(crate) smtp: Smtp,
    pub(crate) templates: Templates,
    pub(crate) sender: Mailbox,
    pub(crate) reply_to: Option<Mailbox>,
    pub(crate) operator: Option<Mailbox>,
    pub(crate) contact_kinds: Vec<NoticeKind>,
    pub(crate) operator_kinds: Vec<NoticeKind>,
}

impl Post {
    /// All who are told.
    pub(crate) fn notifier(&self, store: &Arc<dyn RecordStore>) -> Fanout {
        let mut all = Fanout::new().with("standard output", NoticeKind::ALL, Lines);
        if let Some(letters) = &self.letters {
            all = letters.add_to(all, store);
        }
        if let Some((webhook, kinds)) = &self.webhook {
            all = all.with("webhook", kinds.clone(), webhook.clone().with_records(Arc::clone(store)));
        }
        all
    }

    /// Says in the log whether mail can be sent. That it cannot be now is no reason not to work: it is tried again.
    pub(crate) async fn check(&self) {
        let Some(Letters { smtp, .. }) = &self.letters else { return };
        match smtp.check().await {
            Ok(()) => info!("mail can be sent"),
            Err(error) => warn!(%error, "mail cannot be sent for now; notices wait"),
        }
    }
}

impl Letters {
    fn add_to(&self, all: Fanout, store: &Arc<dyn RecordStore>) -> Fanout {
        let (smtp, sender) = (|| self.smtp.clone(), || self.sender.clone());
        let contact = self.dress(Mail::to_contact(smtp(), Arc::clone(store), sender()));
        let Some(operator) = &self.operator else {
            return all.with("mail to the contact", self.contact_kinds.clone(), contact);
        };
        let to_operator =
            self.dress(Mail::to_operator(smtp(), Arc::clone(store), sender(), operator.clone()));
        all.with(
            "mail to the contact",
            self.contact_kinds.clone(),
            contact.with_undeliverable(operator.clone()),
        )
        .with("mail to the operator", self.operator_kinds.clone(), to_operator)
    }

    fn dress(&self, mail: Mail) -> Mail {
        let mail = mail.with_templates(self.templates.clone());
        match &self.reply_to {
            Some(reply_to) => mail.with_reply_to(reply_to.clone()),
            None => mail,
        }
    }
}

/// Writes each notice as a line of JSON. A line may come twice, after a crash; its `id` is then the same.
struct Lines;

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
