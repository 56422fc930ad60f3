use lettre::Address;
use std::{fmt, str::FromStr};

/// A mail address, with a name if it has one: `ann@example.org`, `Ann Lee <ann@example.org>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox(lettre::message::Mailbox);

/// A text that is no mail address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a mail address: write ann@example.org or Ann Lee <ann@example.org>")]
pub struct MailboxError(String);

impl Mailbox {
    pub(crate) fn header(&self) -> lettre::message::Mailbox {
        self.0.clone()
    }

    pub(crate) fn address(&self) -> &Address {
        &self.0.email
    }
}

impl FromStr for Mailbox {
    type Err = MailboxError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || MailboxError(text.to_owned());
        // What could begin another line of a header.
        if text.chars().any(char::is_control) {
            return Err(refused());
        }
        text.parse().map(Self).map_err(|_| refused())
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
