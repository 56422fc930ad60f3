//! A mail, put together.

use crate::{Facts, mail::templates::Words};
use deploy_core::QueuedNotice;
use lettre::{
    Address,
    message::{
        Mailbox, Message, MultiPart,
        header::{HeaderName, HeaderValue},
    },
};
use std::time::SystemTime;

/// Whom a mail of a notice is written to: one notice may be told to both, and those are two mails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audience {
    /// Whom the order names.
    Contact,
    /// Whoever runs the clusters.
    Operator,
    /// The same, about a mail that could not be delivered.
    Undeliverable,
}

/// The outside of a mail.
pub(crate) struct Cover<'c> {
    pub(crate) from: &'c Mailbox,
    pub(crate) reply_to: Option<&'c Mailbox>,
    pub(crate) to: &'c Address,
    pub(crate) audience: Audience,
}

impl Cover<'_> {
    /// The whole mail as it goes out; the same for the same notice, but for the boundary between its parts.
    pub(crate) fn seal(&self, notice: &QueuedNotice, words: &Words) -> Result<Vec<u8>, lettre::error::Error> {
        let to = Mailbox::new(None, self.to.clone());
        let mut builder = Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(words.subject.clone())
            .message_id(Some(self.message_id(notice)))
            // When it came to pass, also where the server was down for a day.
            .date(SystemTime::from(notice.at))
            .raw_header(header("Auto-Submitted", "auto-generated"));
        if let Some(reply_to) = self.reply_to {
            builder = builder.reply_to(reply_to.clone());
        }
        let parts = MultiPart::alternative_plain_html(words.text.clone(), words.html.clone());
        Ok(builder.multipart(parts)?.formatted())
    }

    /// The same at every attempt, so that a repetition is recognised as one by whoever goes by it.
    fn message_id(&self, notice: &QueuedNotice) -> String {
        let audience = match self.audience {
            Audience::Contact => "contact",
            Audience::Operator => "operator",
            Audience::Undeliverable => "undeliverable",
        };
        format!("<{}.{audience}@{}>", Facts::event_id(notice), self.from.email.domain())
    }
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}
