//! Mail to people.

mod defaults;
mod letter;
mod mailbox;
mod templates;
#[cfg(test)]
mod tests;
mod unknown;

pub use mailbox::{Mailbox, MailboxError};
pub use templates::{TemplateError, Templates};

use crate::{Facts, Smtp, SmtpError, smtp::Outgoing};
use async_trait::async_trait;
use deploy_core::{Notifier, NotifyError, QueuedNotice, RecordStore};
use letter::{Audience, Cover};
use lettre::Address;
use std::{fmt, sync::Arc};
use templates::Words;

/// Writes a mail for each notice: to the contact that the order names, or to an operator. Both is two of these, in a
/// [`Fanout`](crate::Fanout), which also says of which notices.
///
/// A mail has a text and the same in HTML, from [`Templates`]; its subject and addresses cannot begin a header of their own,
/// whatever the notice says. It is marked as written by a program (`Auto-Submitted`), so that nobody's out-of-office answers.
///
/// # Exactly once, as far as mail can
/// The Message-ID is made from the notice and is the same at every attempt. Where a connection breaks between the mail's last byte
/// and the server's answer, or the worker dies before it has noted the delivery, the mail goes out once more, and those that go
/// by Message-IDs, as mailboxes do that sort out duplicates, show one.
///
/// # What is tried again
/// Everything, without an end, but for one thing: a server's word that there is nobody of the contact's name (5xx for the
/// recipient). Mailing that person every few minutes is what gets senders blocked. With [`Mail::with_undeliverable`] somebody is
/// told what could not be delivered and why, and the notice is through. Without it, it stays an error and is tried again.
/// Greylisting, a full mailbox and other refusals for the time being (4xx) are no such thing.
///
/// An order without a contact is told to nobody: then there is nothing to deliver.
#[derive(Clone)]
pub struct Mail {
    smtp: Smtp,
    store: Arc<dyn RecordStore>,
    sender: Mailbox,
    reply_to: Option<Mailbox>,
    recipient: Recipient,
    undeliverable: Option<Mailbox>,
    templates: Templates,
}

#[derive(Clone)]
enum Recipient {
    Contact,
    Operator(Mailbox),
}

impl Mail {
    /// Mail to the contact that the order names.
    ///
    /// The store is asked for the machine's record, see [`Facts`].
    pub fn to_contact(smtp: Smtp, store: Arc<dyn RecordStore>, sender: Mailbox) -> Self {
        Self {
            smtp,
            store,
            sender,
            reply_to: None,
            recipient: Recipient::Contact,
            undeliverable: None,
            templates: Templates::default(),
        }
    }

    /// Mail to somebody who runs the clusters, whatever the order says.
    pub fn to_operator(smtp: Smtp, store: Arc<dyn RecordStore>, sender: Mailbox, operator: Mailbox) -> Self {
        Self { recipient: Recipient::Operator(operator), ..Self::to_contact(smtp, store, sender) }
    }

    /// With these words.
    pub fn with_templates(mut self, templates: Templates) -> Self {
        self.templates = templates;
        self
    }

    /// Answers go to this address.
    pub fn with_reply_to(mut self, reply_to: Mailbox) -> Self {
        self.reply_to = Some(reply_to);
        self
    }

    /// Told of mail that a contact's server refuses for good.
    pub fn with_undeliverable(mut self, told: Mailbox) -> Self {
        self.undeliverable = Some(told);
        self
    }

    async fn send(
        &self,
        notice: &QueuedNotice,
        to: &Address,
        audience: Audience,
        words: &Words,
    ) -> Result<(), Failure> {
        let from = self.sender.header();
        let reply_to = self.reply_to.as_ref().map(Mailbox::header);
        let cover = Cover { from: &from, reply_to: reply_to.as_ref(), to, audience };
        let mail = cover.seal(notice, words).map_err(|error| Failure::Unwritten(error.to_string()))?;
        let outgoing = Outgoing { from: self.sender.address(), to, mail: &mail };
        self.smtp.send(&outgoing).await.map_err(Failure::Unsent)
    }

    /// Tells somebody that a contact cannot be reached. Without anybody to tell, it is an error.
    async fn turn_over(
        &self,
        notice: &QueuedNotice,
        contact: &str,
        words: &Words,
        why: String,
    ) -> Result<(), NotifyError> {
        let Some(told) = &self.undeliverable else { return Err(NotifyError(why)) };
        tracing::warn!(vm = %notice.key, notice = notice.id.0, why, "a contact cannot be reached; the mail is turned over");
        let words = words.undeliverable(contact, &why);
        self.send(notice, told.address(), Audience::Undeliverable, &words).await.map_err(Failure::into_error)
    }
}

/// Why a mail did not go out.
enum Failure {
    /// It could not be put together.
    Unwritten(String),
    Unsent(SmtpError),
}

impl Failure {
    fn into_error(self) -> NotifyError {
        match self {
            Self::Unwritten(why) => NotifyError(why),
            Self::Unsent(error) => NotifyError(error.to_string()),
        }
    }
}

#[async_trait]
impl Notifier for Mail {
    async fn notify(&self, notice: &QueuedNotice) -> Result<(), NotifyError> {
        let (recipient, audience) = match &self.recipient {
            Recipient::Operator(operator) => (operator.address().to_string(), Audience::Operator),
            Recipient::Contact => match &notice.contact {
                Some(contact) => (contact.to_string(), Audience::Contact),
                None => return Ok(()),
            },
        };
        let facts =
            Facts::gather(notice, &*self.store).await.map_err(|error| NotifyError(error.to_string()))?;
        let words = self.templates.words(&facts);
        // An order takes addresses that mail does not, such as one with two dots in a row.
        let Ok(to) = recipient.parse::<Address>() else {
            let why = format!("{recipient} is not an address that mail can be sent to");
            return self.turn_over(notice, &recipient, &words, why).await;
        };
        match self.send(notice, &to, audience, &words).await {
            Ok(()) => Ok(()),
            Err(Failure::Unsent(error @ SmtpError::Recipient { .. })) if audience == Audience::Contact => {
                self.turn_over(notice, &recipient, &words, error.to_string()).await
            }
            Err(failure) => Err(failure.into_error()),
        }
    }
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operator = match &self.recipient {
            Recipient::Contact => None,
            Recipient::Operator(operator) => Some(operator),
        };
        f.debug_struct("Mail")
            .field("smtp", &self.smtp)
            .field("sender", &self.sender)
            .field("operator", &operator)
            .finish_non_exhaustive()
    }
}
